//! The code cache: native code that is not what this host wrote is never run.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::harness::{Setup, TestHost, command};

const HITS: &str = "soma_code_cache_hits";
const MISSES: &str = "soma_code_cache_misses";

fn own() -> Setup {
    Setup::default().own_code_cache()
}

/// The one file of cached code.
fn code_file(data: &Path) -> PathBuf {
    let files = fs::read_dir(data.join("code"))
        .unwrap()
        .map(|file| file.unwrap().path());
    let mut code: Vec<PathBuf> = files
        .filter(|path| path.extension().is_some_and(|end| end == "code"))
        .collect();
    assert_eq!(code.len(), 1, "{code:?}");
    code.remove(0)
}

/// Calls the echo guest, and gives how often the cache had its code and had it not.
async fn hits_and_misses(host: &TestHost) -> (f64, f64) {
    assert_eq!(
        host.call("echo", &json!({"a": 1})).await.structured(),
        json!({"a": 1})
    );
    (host.metric(HITS).await, host.metric(MISSES).await)
}

#[test]
fn a_restart_compiles_nothing() {
    own().run(async |mut host| {
        host.install_guests(&["echo"]).await;
        assert_eq!(hits_and_misses(&host).await, (0.0, 1.0));
        host.restart(|data| {
            let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&data.join("code")), 0o700);
            assert_eq!(mode(&data.join("code/key")), 0o600);
            assert_eq!(mode(&code_file(data)), 0o600);
        })
        .await;
        assert_eq!(hits_and_misses(&host).await, (1.0, 0.0));
    });
}

#[test]
fn a_changed_byte_is_compiled_again() {
    own().run(async |mut host| {
        host.install_guests(&["echo"]).await;
        let length = code_file(&host.data()).metadata().unwrap().len() as usize;
        // In the code, in the MAC, and cut short.
        for at in [0, length / 2, length - 1] {
            host.restart(|data| {
                let file = code_file(data);
                let mut code = fs::read(&file).unwrap();
                code[at] ^= 1;
                fs::write(&file, code).unwrap();
            })
            .await;
            assert_eq!(hits_and_misses(&host).await, (0.0, 1.0), "byte {at}");
            host.logged("cached code is not what this host wrote").await;
        }
        host.restart(|data| fs::write(code_file(data), "short").unwrap())
            .await;
        assert_eq!(hits_and_misses(&host).await, (0.0, 1.0));
    });
}

#[test]
fn another_capsules_code_does_not_pass() {
    own().run(async |mut host| {
        host.install_guests(&["compute"]).await;
        let other = fs::read(code_file(&host.data())).unwrap();
        host.admin
            .delete("/v1/capsules/tests/compute")
            .await
            .expect(204);
        host.install_guests(&["echo"]).await;
        host.restart(|data| fs::write(code_file(data), &other).unwrap())
            .await;
        assert_eq!(hits_and_misses(&host).await, (0.0, 1.0));
    });
}

#[test]
fn another_key_opens_nothing() {
    own().run(async |mut host| {
        host.install_guests(&["echo"]).await;
        host.restart(|data| fs::write(data.join("code/key"), [7; 32]).unwrap())
            .await;
        assert_eq!(hits_and_misses(&host).await, (0.0, 1.0));
        host.restart(|data| fs::remove_file(data.join("code/key")).unwrap())
            .await;
        assert_eq!(hits_and_misses(&host).await, (0.0, 1.0));
    });
}

#[test]
fn a_component_changed_on_disk_is_refused() {
    own().run(async |mut host| {
        host.install_guests(&["echo"]).await;
        host.restart(|data| {
            fs::remove_file(code_file(data)).unwrap();
            let stored = fs::read_dir(data.join("capsules/sha256"))
                .unwrap()
                .next()
                .unwrap();
            let path = stored.unwrap().path();
            let mut file = fs::read(&path).unwrap();
            let last = file.len() - 1;
            file[last] ^= 1;
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            fs::write(&path, file).unwrap();
        })
        .await;
        let problem = host.call("echo", &json!({})).await.problem(500, "internal");
        assert!(problem["detail"].is_null(), "{problem}");
        host.logged("the host failed").await;
    });
}

#[test]
fn a_cache_that_others_can_reach_is_refused() {
    own().run(async |mut host| {
        host.signal(rustix::process::Signal::TERM);
        host.ended().await;
        let data = host.data();
        for path in ["code", "code/key"] {
            let path = data.join(path);
            let before = path.metadata().unwrap().permissions();
            fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
            let output = command(&data)
                .args(["serve", "--listen", "127.0.0.1:0"])
                .output()
                .unwrap();
            assert!(!output.status.success());
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(said.contains("chmod go="), "{said}");
            fs::set_permissions(&path, before).unwrap();
        }
    });
}
