//! An intent is on disk before the first byte goes out, an outcome before the answer; and where
//! neither can be, nothing happens.

use std::time::Duration;

use serde_json::{Value, json};

use super::{install_sender, on_disk, records};
use crate::cli::beside as soma;
use crate::harness::{Setup, TestHost, Upstream, until};

fn get(url: &str) -> Value {
    json!({"method": "GET", "url": url})
}

/// The newest file of records, in bytes: no more fits.
fn bytes(host: &TestHost) -> u64 {
    let file = host.data().join("audit/records/000000000000.jsonl");
    std::fs::metadata(file).unwrap().len()
}

#[test]
fn an_intent_is_on_disk_before_the_first_byte_goes_out() {
    let upstream = Upstream::start();
    Setup::default().run(async |mut host| {
        install_sender(&host, &upstream).await;
        let before = upstream.requests();
        let input = get(&upstream.url("/never"));
        let call = host.invoke.call("tests/http", "run", &input);
        tokio::select! {
            answer = call => panic!("{}", answer.text),
            () = upstream.arrived(before + 1) => {}
        }
        assert!(on_disk(&host).contains("\"intent\""));
        // What became of it, nobody knows; that it may have happened is known for ever.
        host.kill_and_restart().await;
        assert_eq!(records(&host, "intent").await.len(), 1);
        assert_eq!(records(&host, "call").await, [] as [Value; 0]);
        soma(&host, &["audit", "verify"]).await.exits(0);
    });
}

#[test]
fn what_was_answered_is_recorded_whenever_the_host_is_killed() {
    let upstream = Upstream::start();
    Setup::default().run(async |mut host| {
        install_sender(&host, &upstream).await;
        let mut answered = Vec::new();
        for round in 0..5 {
            let input = get(&upstream.url("/hello"));
            let calls = async {
                loop {
                    let answer = host.call("http", &input).await.expect(200);
                    answered.push(answer["invocation"].clone());
                }
            };
            let moment = Duration::from_millis(150 + 37 * round);
            let _: Result<(), _> = tokio::time::timeout(moment, calls).await;
            host.kill_and_restart().await;
        }
        assert!(answered.len() > 5, "{}", answered.len());
        let text = on_disk(&host);
        for invocation in &answered {
            let invocation = invocation.as_str().unwrap();
            let of_it = text.lines().filter(|line| line.contains(invocation));
            assert_eq!(of_it.count(), 2, "{invocation}");
        }
        soma(&host, &["audit", "verify"]).await.exits(0);
    });
}

#[test]
fn what_cannot_be_recorded_does_not_happen() {
    let upstream = Upstream::start();
    // On Postgres too, nothing but the log is written by a call.
    Setup::default().run(async |host| {
        install_sender(&host, &upstream).await;
        host.call("http", &get(&upstream.url("/hello")))
            .await
            .expect(200);
        let before = upstream.requests();

        // A call that came in still: its first byte does not go out.
        host.limit_files(Some(bytes(&host)));
        let answer = host.call("http", &get(&upstream.url("/hello"))).await;
        let answer = answer.structured();
        assert_eq!(answer["error"], "connect", "{answer}");
        assert_eq!(upstream.requests(), before);
        let problem = host.call("http", &get(&upstream.url("/hello"))).await;
        problem.problem(503, "audit-unwritable");
        let ready = host.admin.get("/readyz").await;
        ready.problem(503, "audit-unwritable");
        let admin = json!({"tenant": "default", "scopes": ["admin"]});
        let made = host.admin.post("/v1/admin/keys", &admin).await;
        made.problem(503, "audit-unwritable");
        let keys = host.admin.get("/v1/admin/keys").await.expect(200);
        assert_eq!(keys["keys"].as_array().unwrap().len(), 2, "{keys}");
        host.limit_files(None);
        let hello = get(&upstream.url("/hello"));
        until(async || host.call("http", &hello).await.status == 200).await;

        // A call that has sent something: what came of it is not known.
        let before = upstream.requests();
        let gate = get(&upstream.url("/gate"));
        let call = host.call("http", &gate);
        let full = async {
            upstream.arrived(before + 1).await;
            host.limit_files(Some(bytes(&host)));
            upstream.open_gate(1);
        };
        let (answer, ()) = tokio::join!(call, full);
        let problem = answer.problem(500, "outcome-unknown");
        assert!(
            problem["detail"]
                .as_str()
                .unwrap()
                .contains("do not simply")
        );
        assert!(problem["retry_after_ms"].is_null());
        let unknown =
            "soma_calls_total{capsule=\"tests/http\",outcome=\"outcome-unknown\",tool=\"run\"}";
        assert_eq!(host.metric(unknown).await, 1.0);
        host.limit_files(None);
        until(async || host.call("http", &hello).await.status == 200).await;
        // What could not be recorded then is recorded now.
        let invocation = problem["invocation"].as_str().unwrap();
        let path = format!("/v1/admin/audit?kind=call&invocation={invocation}");
        let answer = host.admin.get(&path).await.expect(200);
        assert_eq!(answer["records"][0]["outcome"], "ok", "{answer}");
        soma(&host, &["audit", "verify"]).await.exits(0);
    });
}
