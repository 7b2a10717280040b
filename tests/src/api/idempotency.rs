//! `Idempotency-Key`: a call that is sent again runs once, and is answered as it was.

use reqwest::Method;
use serde_json::{Value, json};

use super::key;
use crate::cli::beside as soma;
use crate::harness::{Answer, Client, Setup, Upstream, send, until};

/// A call that its caller calls this.
async fn named(client: &Client, guest: &str, input: &Value, name: &str) -> Answer {
    client
        .call_with(guest, input, &[("idempotency-key", name)])
        .await
}

/// Nothing was given again.
#[track_caller]
fn is_new(answer: &Answer, status: u16) {
    answer.status_is(status);
    assert_eq!(answer.header("soma-replayed"), "", "{}", answer.text);
}

/// The answer is the first one's, and says so.
#[track_caller]
fn is_again(answer: &Answer, first: &Answer) {
    assert_eq!((answer.status, &answer.text), (first.status, &first.text));
    for name in ["soma-invocation", "content-type"] {
        assert_eq!(answer.header(name), first.header(name));
    }
    assert_eq!(answer.header("soma-replayed"), "true");
    assert_eq!(answer.header("soma-usage-tokens"), "");
}

#[test]
fn what_ran_is_answered_as_it_was() {
    Setup::default().run(async |mut host| {
        host.install_guests(&["echo", "trap"]).await;
        let mut answers = Vec::new();
        for (guest, status) in [("echo", 200), ("trap", 424)] {
            let input = json!({"guest": guest});
            let first = named(&host.invoke, guest, &input, guest).await;
            is_new(&first, status);
            is_again(&named(&host.invoke, guest, &input, guest).await, &first);
            let other = named(&host.invoke, guest, &input, "another").await;
            // The second guest is another call than the first one's of that name.
            let expected = if guest == "echo" { 200 } else { 422 };
            is_new(&other, expected);
            answers.push((guest, input, first));
        }
        host.restart(|_| {}).await;
        for (guest, input, first) in &answers {
            is_again(&named(&host.invoke, guest, input, guest).await, first);
        }
    });
}

#[test]
fn another_call_needs_another_key() {
    Setup::default().run(async |host| {
        host.install_guests(&["echo", "trap"]).await;
        let input = json!({"n": 1});
        let name = ("idempotency-key", "k");
        let first = host.invoke.call_with("echo", &input, &[name]).await;
        is_new(&first, 200);
        let most = ("soma-max-tokens", "9");
        let session = ("soma-session", "s");
        for (guest, input, headers) in [
            ("echo", json!({"n": 2}), &[name][..]),
            ("trap", input.clone(), &[name]),
            ("echo", input.clone(), &[name, most]),
            ("echo", input.clone(), &[name, session]),
        ] {
            let answer = host.invoke.call_with(guest, &input, headers).await;
            answer.problem(422, "idempotency-mismatch");
        }
        is_again(
            &host.invoke.call_with("echo", &input, &[name]).await,
            &first,
        );

        // Another API key has names of its own.
        let other = key(&host, json!({"tenant": "default", "scopes": ["invoke"]})).await;
        let others = named(&other, "echo", &input, "k").await;
        is_new(&others, 200);
        is_again(&named(&other, "echo", &input, "k").await, &others);

        let long = "k".repeat(256);
        for bad in ["", "a b", &long] {
            let answer = named(&host.invoke, "echo", &input, bad).await;
            answer.problem(400, "bad-request");
        }
        let answer = host.invoke.call_with("echo", &input, &[name, name]).await;
        answer.problem(400, "bad-request");
    });
}

#[test]
fn what_is_under_way_is_not_begun_again() {
    let upstream = Upstream::start();
    Setup::default().allow(&upstream).run(async |host| {
        host.install_guests(&["http"]).await;
        let before = upstream.requests();
        let input = json!({"url": upstream.url("/gate")});
        let call = async || named(&host.invoke, "http", &input, "once").await;
        let second = async {
            upstream.arrived(before + 1).await;
            let answer = call().await;
            let problem = answer.problem(409, "idempotency-in-progress");
            assert_eq!(problem["retry_after_ms"], 1000, "{problem}");
            assert_eq!(answer.header("retry-after"), "1");
            upstream.open_gate(1);
        };
        let (first, ()) = tokio::join!(call(), second);
        is_new(&first, 200);
        assert_eq!(first.structured()["body"], "through");
        is_again(&call().await, &first);
        assert_eq!(upstream.requests(), before + 1);

        // Whoever hangs up finds the answer later.
        let call = async || named(&host.invoke, "http", &input, "twice").await;
        tokio::select! {
            answer = call() => panic!("{}", answer.text),
            () = upstream.arrived(before + 2) => {}
        }
        upstream.open_gate(1);
        until(async || call().await.status == 200).await;
        let answer = call().await;
        assert_eq!(answer.header("soma-replayed"), "true");
        assert_eq!(answer.structured()["body"], "through");
        assert_eq!(upstream.requests(), before + 2);
    });
}

#[test]
fn what_did_not_run_is_not_kept() {
    Setup::default().run(async |host| {
        let input = json!({});
        let call = async || named(&host.invoke, "echo", &input, "k").await;
        for _ in 0..2 {
            call().await.problem(404, "unknown-capsule");
        }
        host.install_guests(&["echo"]).await;
        let path = "/v1/capsules/tests/echo/tools/run";
        let broken = host.invoke.request(Method::POST, path).body("{");
        let broken = broken.header("content-type", "application/json");
        let broken = broken.header("idempotency-key", "k");
        send(broken).await.problem(400, "invalid-json");

        let budget = async |tokens: u64| {
            let wanted =
                json!({"tenant": "default", "span": "lifetime", "tokens": tokens, "hard": true});
            let set = host.admin.put("/v1/admin/budgets", &wanted).await;
            set.expect(200);
        };
        budget(0).await;
        call().await.problem(402, "budget-exhausted");
        budget(1).await;
        let first = call().await;
        is_new(&first, 200);
        // Charged once: there is no token left for another call, and none is needed for this one.
        for _ in 0..3 {
            is_again(&call().await, &first);
        }
        let other = named(&host.invoke, "echo", &input, "other").await;
        other.problem(402, "budget-exhausted");
    });
}

#[test]
fn what_a_killed_host_had_begun_is_not_run_again() {
    let upstream = Upstream::start();
    Setup::default().allow(&upstream).run(async |mut host| {
        host.install_guests(&["http"]).await;
        let before = upstream.requests();
        let input = json!({"url": upstream.url("/gate")});
        tokio::select! {
            answer = named(&host.invoke, "http", &input, "k") => panic!("{}", answer.text),
            () = upstream.arrived(before + 1) => {}
        }
        host.kill_and_restart().await;
        for _ in 0..2 {
            let answer = named(&host.invoke, "http", &input, "k").await;
            let problem = answer.problem(500, "outcome-unknown");
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains("not run again"), "{detail}");
        }
        let other = named(&host.invoke, "http", &json!({}), "k").await;
        other.problem(422, "idempotency-mismatch");
        assert_eq!(upstream.requests(), before + 1);
    });
}

#[test]
fn an_answer_that_is_too_long_to_be_kept() {
    Setup::default().run(async |host| {
        host.install_guests(&["huge_output"]).await;
        let input = json!({"bytes": 1 << 20});
        let first = named(&host.invoke, "huge_output", &input, "k").await;
        is_new(&first, 200);
        let again = named(&host.invoke, "huge_output", &input, "k").await;
        let problem = again.problem(409, "outcome-not-kept");
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.contains(first.header("soma-invocation")),
            "{problem}"
        );
        assert!(detail.contains("200"), "{problem}");
    });
}

#[test]
fn a_call_is_named_on_the_command_line() {
    Setup::default().run(async |host| {
        host.install_guests(&["echo"]).await;
        let call = async |input: &str, name: &str| {
            let call = ["call", "tests/echo", "run", input];
            let named = ["--idempotency-key", name, "--json"];
            soma(&host, &[call.as_slice(), &named].concat()).await
        };
        let first = call("{}", "order-17").await.exits(0).json();
        assert!(first["invocation"].is_string(), "{first}");
        assert_eq!(call("{}", "order-17").await.exits(0).json(), first);
        let said = call("{\"n\": 1}", "order-17").await.exits(1);
        assert!(said.err.contains("idempotency-mismatch"), "{}", said.err);
        call("{}", "two words").await.exits(2);
    });
}
