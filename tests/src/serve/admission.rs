//! Beyond the bounds a call is turned away at once, and the rest go on.

use futures::future::join_all;
use serde_json::json;

use crate::harness::{Setup, Upstream};

#[test]
fn beyond_running_and_waiting_calls() {
    let upstream = Upstream::start();
    let setup = Setup::default().allow(&upstream);
    setup
        .flag("--concurrent-calls", "2")
        .flag("--waiting-calls", "1")
        .run(async |host| {
            host.install_guests(&["http"]).await;
            let before = upstream.requests();
            let input = json!({"url": upstream.url("/gate")});
            let admitted = join_all((0..3).map(|_| host.call("http", &input)));
            let refused = async {
                // Two run, and the third is known to wait.
                upstream.arrived(before + 2).await;
                while host.metric("soma_calls_waiting").await < 1.0 {
                    tokio::task::yield_now().await;
                }
                let answer = host.call("http", &input).await;
                let problem = answer.problem(503, "overloaded");
                assert_eq!(answer.header("retry-after"), "1");
                assert_eq!(problem["retry_after_ms"], 1000);
                // Everything but calls is still answered.
                host.invoke.get("/v1/tools").await.expect(200);
                upstream.open_gate(3);
            };
            let (answers, ()) = tokio::join!(admitted, refused);
            for answer in answers {
                assert_eq!(answer.structured()["body"], "through");
            }
            assert_eq!(upstream.requests(), before + 3);
        });
}

#[test]
fn many_clients_at_once() {
    let rounds = if crate::harness::full() { 2000 } else { 100 };
    Setup::default()
        .flag("--waiting-calls", "1000")
        .limits("fuel=20000000")
        .run(async |host| {
            host.install_guests(&["echo", "spin", "trap", "memory_bomb"])
                .await;
            let clients = (0..16).map(async |client| {
                for round in 0..rounds / 16 {
                    let input = json!({"client": client, "round": round});
                    assert_eq!(host.call("echo", &input).await.structured(), input);
                    match (client + round) % 8 {
                        0 => drop(host.call("spin", &input).await.problem(424, "out-of-fuel")),
                        1 => drop(host.call("trap", &input).await.problem(424, "trap")),
                        2 => {
                            let answer = host.call("memory_bomb", &input).await;
                            assert_eq!(answer.status, 424, "{}", answer.text);
                        }
                        _ => {}
                    }
                }
            });
            join_all(clients).await;
        });
}
