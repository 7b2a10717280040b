//! Beyond the bounds a call is turned away at once, and the rest go on.

use futures::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::api::{asking, of};
use crate::harness::{Client, Setup, TestHost, Upstream, pack_with, send, until};

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
fn what_is_taken_back_while_a_call_waits_is_not_given_to_it() {
    let (upstream, gate) = (Upstream::start(), Upstream::start());
    let setup = Setup::default()
        .allow(&gate)
        .flag("--concurrent-calls", "1");
    setup.run(async |host| {
        host.install(&pack_with("http", &asking(&upstream))).await;
        host.install_guests(&["wasi_http"]).await;
        let granted = of(&upstream, &["GET"], &["/hello"]);
        let path = TestHost::grant_path("tests/http");
        let invoke = json!({"tenant": "default", "scopes": ["invoke"]});
        let calls = async |client: &Client| {
            let input = json!({"method": "GET", "url": upstream.url("/hello")});
            client.call("tests/http", "run", &input).await
        };
        // What the waiting call is answered where this happens before its turn.
        let meanwhile = async |client: &Client, what: &dyn Fn() -> Waited| {
            host.admin.put(&path, &granted).await.expect(200);
            assert_eq!(calls(client).await.structured()["status"], 200);
            let before = upstream.requests();
            let input = json!({"method": "GET", "url": gate.url("/gate")});
            let first = host.call("wasi_http", &input);
            let rest = async {
                until(async || host.metric("soma_calls_running").await >= 1.0).await;
                let waiting = calls(client);
                let taken = async {
                    until(async || host.metric("soma_calls_waiting").await >= 1.0).await;
                    let Waited { method, path } = what();
                    send(host.admin.request(method, &path)).await.expect(204);
                    gate.open_gate(1);
                };
                tokio::join!(waiting, taken).0
            };
            let (first, answer) = tokio::join!(first, rest);
            first.expect(200);
            assert_eq!(upstream.requests(), before);
            answer
        };
        let delete = |path: &str| Waited {
            method: Method::DELETE,
            path: path.to_owned(),
        };
        let answer = meanwhile(&host.invoke, &|| delete(&path)).await;
        assert_eq!(answer.structured()["error"], "denied");

        let made = host.admin.post("/v1/admin/keys", &invoke).await.expect(201);
        let key = host.admin.with_key(made["secret"].as_str().unwrap());
        let revoke = format!("/v1/admin/keys/{}", made["id"].as_str().unwrap());
        let answer = meanwhile(&key, &|| delete(&revoke)).await;
        answer.problem(401, "unauthorized");

        let uninstall = "/v1/capsules/tests/http";
        let answer = meanwhile(&host.invoke, &|| delete(uninstall)).await;
        answer.problem(404, "unknown-capsule");
    });
}

/// A request that takes something back.
struct Waited {
    method: Method,
    path: String,
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
