//! Files that are no capsules.

use crate::harness::{Setup, component, full, pack, pack_guest};

#[test]
fn other_files() {
    let packed = pack_guest("echo").into_bytes();
    let core_module = wat::parse_str("(module (func (export \"run\")))").unwrap();
    let mut random = vec![0; 100_000];
    let mut state = 1;
    random.fill_with(|| xorshift(&mut state) as u8);
    let random_component = [b"\0asm\x0d\0\x01\0".as_slice(), &random].concat();
    Setup::default().run(async |host| {
        for (bytes, words) in [
            (Vec::new(), "not a WebAssembly file"),
            (core_module.clone(), "core module"),
            (component("echo"), "not a capsule"),
            (packed[..packed.len() / 2].to_vec(), ""),
            (packed[..packed.len() - 1].to_vec(), "cut off"),
            (random.clone(), "not a WebAssembly file"),
            (random_component.clone(), ""),
        ] {
            let problem = host
                .admin
                .install(&bytes)
                .await
                .problem(422, "invalid-capsule");
            assert!(
                problem["detail"].as_str().unwrap().contains(words),
                "{problem}"
            );
        }
        super::answers_the_next_call(&host).await;
    });
}

/// A capsule with a bit turned over here and there is refused, or is another capsule: the host
/// lives on either way.
#[test]
fn damaged_files() {
    let packed = pack(&component("echo"), "tests/damaged", "").into_bytes();
    let rounds = if full() { 80 } else { 10 };
    Setup::default().own_code_cache().run(async |host| {
        let mut state = 7;
        for _ in 0..rounds {
            let mut damaged = packed.clone();
            let at = xorshift(&mut state) as usize % damaged.len();
            damaged[at] ^= 1 << (xorshift(&mut state) % 8);
            let answer = host.admin.install(&damaged).await;
            assert!(
                matches!(answer.status, 201 | 422),
                "byte {at}: {}",
                answer.text
            );
            if answer.status == 201 {
                let call = host
                    .invoke
                    .call("tests/damaged", "run", &serde_json::json!({}))
                    .await;
                assert!(
                    call.status < 500 || call.status == 504,
                    "byte {at}: {}",
                    call.text
                );
                let uninstall = host.admin.delete("/v1/capsules/tests/damaged");
                uninstall.await.expect(204);
            }
        }
        super::answers_the_next_call(&host).await;
    });
}

fn xorshift(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}
