//! Guests that want too much: each limit, and a guest that proves it.

use serde_json::json;

use super::{answers_the_next_call, fails};
use crate::harness::{Setup, Upstream, component, pack, pack_guest, pack_with};

fn limits(limits: &str) -> Setup {
    Setup::default().limits(limits)
}

#[test]
pub(super) fn spin() {
    limits("fuel=100000000").run(async |host| {
        host.install_guests(&["spin"]).await;
        let problem = host
            .call("spin", &json!({}))
            .await
            .problem(424, "out-of-fuel");
        assert_eq!(problem["usage"]["fuel"], 100_000_000);
        answers_the_next_call(&host).await;
    });
}

#[test]
fn spinning_out_of_time() {
    fails(
        limits("time-ms=100,fuel=100000000000"),
        "spin",
        &json!({}),
        504,
        "out-of-time",
    );
}

#[test]
fn a_capsule_asks_for_less() {
    Setup::default().run(async |host| {
        host.install(&pack_with("spin", "[limits]\nfuel = 5_000_000"))
            .await;
        let problem = host
            .call("spin", &json!({}))
            .await
            .problem(424, "out-of-fuel");
        assert_eq!(problem["usage"]["fuel"], 5_000_000);
    });
}

#[test]
fn a_capsule_asks_for_more_than_the_maximum() {
    Setup::default()
        .flag("--maximum-limits", "fuel=7000000")
        .run(async |host| {
            host.install(&pack_with("spin", "[limits]\nfuel = 9_000_000_000"))
                .await;
            let problem = host
                .call("spin", &json!({}))
                .await
                .problem(424, "out-of-fuel");
            assert_eq!(problem["usage"]["fuel"], 7_000_000);
        });
}

#[test]
pub(super) fn start_loop() {
    fails(
        limits("fuel=10000000"),
        "start_loop",
        &json!({}),
        424,
        "out-of-fuel",
    );
}

#[test]
pub(super) fn realloc_loop() {
    fails(
        limits("fuel=10000000"),
        "realloc_loop",
        &json!({}),
        424,
        "out-of-fuel",
    );
}

#[test]
pub(super) fn post_return_loop() {
    fails(
        limits("fuel=10000000"),
        "post_return_loop",
        &json!({}),
        424,
        "out-of-fuel",
    );
}

#[test]
pub(super) fn recursion() {
    fails(
        Setup::default(),
        "recursion",
        &json!({}),
        424,
        "out-of-stack",
    );
}

#[test]
pub(super) fn memory_bomb() {
    limits("memory-bytes=33554432").run(async |host| {
        host.install_guests(&["memory_bomb"]).await;
        let problem = host
            .call("memory_bomb", &json!({}))
            .await
            .problem(424, "out-of-memory");
        let peak = problem["usage"]["memory_bytes"].as_u64().unwrap();
        assert!((30 << 20..=32 << 20).contains(&peak), "{peak}");
        answers_the_next_call(&host).await;
    });
}

#[test]
fn memory_of_a_whole_slot() {
    fails(
        Setup::default(),
        "memory_bomb",
        &json!({}),
        424,
        "out-of-memory",
    );
}

#[test]
pub(super) fn table_bomb() {
    fails(
        Setup::default(),
        "table_bomb",
        &json!({}),
        424,
        "out-of-tables",
    );
}

#[test]
pub(super) fn pollable_bomb() {
    fails(
        Setup::default(),
        "pollable_bomb",
        &json!({}),
        424,
        "out-of-handles",
    );
}

#[test]
pub(super) fn exchange_bomb() {
    let upstream = Upstream::start();
    limits("handles=50").allow(&upstream).run(async |host| {
        host.install_guests(&["exchange_bomb"]).await;
        for url in [upstream.url("/never"), "http://127.0.0.1:9/".to_owned()] {
            let input = json!({"url": url});
            let problem = host
                .call("exchange_bomb", &input)
                .await
                .problem(424, "out-of-handles");
            assert!(
                problem["usage"]["requests"].as_u64().unwrap() <= 50,
                "{problem}"
            );
            assert_eq!(problem["usage"]["host_calls"], 51, "{problem}");
        }
        answers_the_next_call(&host).await;
    });
}

#[test]
pub(super) fn huge_output() {
    limits("output-bytes=100000").run(async |host| {
        host.install_guests(&["huge_output"]).await;
        for content in [false, true] {
            // What JSON adds to a text, alone or as an item of content.
            let frame = if content {
                json!([{"type": "text", "text": ""}])
            } else {
                json!("")
            };
            let most = 100_000 - frame.to_string().len();
            let fits = json!({"bytes": most, "content": content});
            let answer = host.call("huge_output", &fits).await.expect(200);
            assert_eq!(answer["usage"]["output_bytes"], 100_000);
            let more = json!({"bytes": most + 1, "content": content});
            host.call("huge_output", &more)
                .await
                .problem(424, "output-too-large");
        }
        // Nothing, many times, is something.
        host.call("huge_output", &json!({"items": 1000}))
            .await
            .expect(200);
        host.call("huge_output", &json!({"items": 100_000}))
            .await
            .problem(424, "output-too-large");
        answers_the_next_call(&host).await;
    });
}

#[test]
pub(super) fn amplified_output() {
    fails(
        Setup::default(),
        "amplified_output",
        &json!({}),
        424,
        "copy-too-large",
    );
}

#[test]
pub(super) fn huge_error() {
    Setup::default().run(async |host| {
        host.install_guests(&["huge_error"]).await;
        let answer = host.call("huge_error", &json!({"bytes": 12 << 20})).await;
        assert!(answer.status >= 400);
        assert!(
            answer.text.len() < 5 << 20,
            "{} bytes of error",
            answer.text.len()
        );
        answers_the_next_call(&host).await;
    });
}

#[test]
pub(super) fn log_flood() {
    limits("log-lines=10,log-bytes=1000").run(async |host| {
        host.install_guests(&["log_flood"]).await;
        let many = host
            .call("log_flood", &json!({"lines": 1000, "bytes": 10}))
            .await
            .expect(200);
        assert_eq!(many["usage"]["log_lines"], 10);
        assert_eq!(many["usage"]["log_dropped"], 990);
        let long = host
            .call("log_flood", &json!({"lines": 5, "bytes": 400}))
            .await
            .expect(200);
        let bytes = long["usage"]["log_bytes"].as_u64().unwrap();
        assert!(bytes <= 1000, "{bytes}");
        assert!(long["usage"]["log_dropped"].as_u64().unwrap() > 0);
        answers_the_next_call(&host).await;
    });
}

#[test]
pub(super) fn sleep() {
    fails(
        limits("time-ms=100"),
        "sleep",
        &json!({}),
        504,
        "out-of-time",
    );
}

#[test]
fn sleep_in_a_request() {
    let upstream = Upstream::start();
    limits("time-ms=300").allow(&upstream).run(async |host| {
        let before = upstream.requests();
        host.install_guests(&["http"]).await;
        let input = json!({"url": upstream.url("/never")});
        host.call("http", &input).await.problem(504, "out-of-time");
        assert_eq!(upstream.requests(), before + 1);
        answers_the_next_call(&host).await;
    });
}

#[test]
pub(super) fn host_call_flood() {
    limits("host-calls=5000").run(async |host| {
        host.install_guests(&["host_call_flood"]).await;
        let problem = host
            .call("host_call_flood", &json!({}))
            .await
            .problem(424, "out-of-host-calls");
        assert_eq!(problem["usage"]["host_calls"], 5001);
        answers_the_next_call(&host).await;
    });
}

#[test]
pub(super) fn copy_bomb() {
    let input = json!({"bytes": 2_000_000});
    fails(
        limits("copy-bytes=1000000"),
        "copy_bomb",
        &input,
        424,
        "copy-too-large",
    );
}

/// Copying takes no fuel, and nothing in it waits: time ends it all the same.
#[test]
pub(super) fn copy_flood() {
    limits("time-ms=100").run(async |host| {
        host.install_guests(&["copy_flood"]).await;
        let input = json!({"bytes": 15_000_000});
        let problem = host
            .call("copy_flood", &input)
            .await
            .problem(504, "out-of-time");
        let took = problem["usage"]["time_us"].as_u64().unwrap();
        assert!(took < 10_000_000, "{took} µs");
        answers_the_next_call(&host).await;
    });
}

/// More of them than the host has threads do not keep the others waiting until they end.
#[test]
fn copy_floods_leave_room_for_others() {
    let setup = limits("time-ms=5000").flag("--concurrent-calls", "64");
    setup.run(async |host| {
        host.install_guests(&["copy_flood", "echo"]).await;
        let input = json!({"bytes": 1_000_000});
        let threads = std::thread::available_parallelism().unwrap().get();
        let floods = (0..2 * threads.min(16)).map(|_| host.call("copy_flood", &input));
        let floods = futures::future::join_all(floods);
        let other = async {
            while host.metric("soma_instances_in_use").await == 0.0 {}
            host.call("echo", &json!({})).await.expect(200);
        };
        match futures::future::select(std::pin::pin!(floods), std::pin::pin!(other)).await {
            futures::future::Either::Left(_) => panic!("the floods ended first"),
            futures::future::Either::Right(((), floods)) => {
                for flood in floods.await {
                    flood.problem(504, "out-of-time");
                }
            }
        }
    });
}

#[test]
pub(super) fn random_flood() {
    Setup::default().run(async |host| {
        host.install_guests(&["random_flood"]).await;
        let most = host.call("random_flood", &json!({"bytes": 65_536})).await;
        assert_eq!(most.structured(), 65_536);
        host.call("random_flood", &json!({"bytes": 65_537}))
            .await
            .problem(424, "trap");
        answers_the_next_call(&host).await;
    });
}

#[test]
pub(super) fn much_memory() {
    Setup::default().run(async |host| {
        let answer = host.admin.install(pack_guest("much_memory").bytes()).await;
        let problem = answer.problem(422, "invalid-capsule");
        assert!(
            problem["detail"].as_str().unwrap().contains("memory"),
            "{problem}"
        );
        answers_the_next_call(&host).await;
    });
}

#[test]
fn many_core_instances() {
    Setup::default().run(async |host| {
        let fits = pack(&with_core_instances("echo", 38), "tests/fits", "");
        host.install(&fits).await;
        let input = json!({"a": 1});
        assert_eq!(
            host.invoke
                .call("tests/fits", "run", &input)
                .await
                .structured(),
            input
        );

        let many = pack(&with_core_instances("echo", 1000), "tests/many", "");
        let problem = host
            .admin
            .install(many.bytes())
            .await
            .problem(422, "invalid-capsule");
        assert!(
            problem["detail"].as_str().unwrap().contains("instances"),
            "{problem}"
        );
        answers_the_next_call(&host).await;
    });
}

/// The guest's component with more empty core instances in it, so that there are `total`.
fn with_core_instances(guest: &str, total: u32) -> Vec<u8> {
    use wasm_encoder::{ComponentSection as _, InstanceSection, Module, ModuleSection};
    use wasmparser::{Parser, Payload};

    let mut component = component(guest);
    let (mut modules, mut instances) = (0, 0);
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(&component) {
        match payload.expect("a component") {
            Payload::ModuleSection { .. } if depth == 0 => {
                modules += 1;
                depth += 1;
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::InstanceSection(section) if depth == 0 => instances += section.count(),
            Payload::End(_) if depth > 0 => depth -= 1,
            _ => {}
        }
    }
    ModuleSection(&Module::new()).append_to_component(&mut component);
    let mut more = InstanceSection::new();
    for _ in instances..total {
        more.instantiate::<_, &str>(modules, []);
    }
    more.append_to_component(&mut component);
    component
}
