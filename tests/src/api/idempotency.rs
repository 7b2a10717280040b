//! `Idempotency-Key`: a call that is sent again runs once, and is answered as it was.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AnyConnection, Connection as _};

use super::key;
use crate::cli::beside as soma;
use crate::harness::{Answer, Client, Setup, TestHost, Upstream, pack_guest, send, until};

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
fn what_is_answered_again_counts_in_its_keys_rate() {
    Setup::default().run(async |host| {
        host.install_guests(&["echo"]).await;
        let wanted = json!({"tenant": "default", "scopes": ["invoke"], "calls_per_minute": 12});
        let caller = key(&host, wanted).await;
        let first = named(&caller, "echo", &json!({}), "k").await;
        is_new(&first, 200);
        is_again(&named(&caller, "echo", &json!({}), "k").await, &first);
        // A sixth of them may come at once.
        let third = named(&caller, "echo", &json!({}), "k").await;
        third.problem(429, "rate-limited");
    });
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
        // Each time that it was given again is recorded, and that it ran but once.
        let records = async |kind: &str| {
            let path = format!("/v1/admin/audit?kind={kind}");
            let answer = host.admin.get(&path).await.expect(200);
            answer["records"].as_array().unwrap().clone()
        };
        let again = records("replay").await;
        assert_eq!(again.len(), 4, "{again:?}");
        let (_, _, trap) = &answers[1];
        let last = &again[0];
        assert_eq!(last["of"], trap.header("soma-invocation"));
        assert_ne!(last["invocation"], last["of"]);
        assert_eq!(
            (&last["capsule"], &last["tool"]),
            (&json!("tests/trap"), &json!("run"))
        );
        let ran = records("call").await;
        assert_eq!(ran.len(), 3, "{ran:?}");
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
        let unknown =
            "soma_calls_total{capsule=\"tests/http\",outcome=\"outcome-unknown\",tool=\"run\"}";
        assert_eq!(host.metric(unknown).await, 2.0);
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

/// Has every call begun a day before it did.
async fn a_day_earlier(host: &TestHost) {
    sqlx::any::install_default_drivers();
    let own = format!("sqlite://{}", host.data().join("soma.db").display());
    let url = host.database().unwrap_or(&own);
    let mut database = AnyConnection::connect(url).await.unwrap();
    let earlier = "UPDATE answers SET made_at = made_at - 86400000, ends_at = ends_at - 86400000";
    let changed = sqlx::query(earlier).execute(&mut database).await.unwrap();
    assert!(changed.rows_affected() > 0);
    database.close().await.unwrap();
}

#[test]
fn a_call_is_forgotten_after_a_day() {
    Setup::default().run(async |host| {
        host.install_guests(&["echo"]).await;
        let (first, second) = (json!({"n": 1}), json!({"n": 2}));
        let call = async |input: &Value| named(&host.invoke, "echo", input, "k").await;
        is_new(&call(&first).await, 200);
        call(&second).await.problem(422, "idempotency-mismatch");
        a_day_earlier(&host).await;
        let answer = call(&second).await;
        is_new(&answer, 200);
        assert_eq!(answer.structured(), second);
        is_again(&call(&second).await, &answer);
    });
}

#[test]
fn hosts_of_one_database_run_a_call_once() {
    let upstream = Upstream::start();
    let setup = Setup::default().allow(&upstream);
    setup.clone().run(async |mut host| {
        let Some(database) = host.database().map(str::to_owned) else {
            return;
        };
        let other = TestHost::start(&setup, Some(database)).await;
        for guest in ["echo", "http"] {
            let package = pack_guest(guest);
            host.install(&package).await;
            other.admin.install(package.bytes()).await.expect(200);
        }
        let wanted = json!({"tenant": "default", "scopes": ["invoke"]});
        let made = host.admin.post("/v1/admin/keys", &wanted).await.expect(201);
        let secret = made["secret"].as_str().unwrap();
        let (here, there) = (host.invoke.with_key(secret), other.invoke.with_key(secret));
        let budget = async |tokens: u64| {
            let wanted =
                json!({"tenant": "default", "span": "lifetime", "tokens": tokens, "hard": true});
            let set = host.admin.put("/v1/admin/budgets", &wanted).await;
            set.expect(200);
        };
        // It takes the one token that there is: to run it anew there would be none.
        budget(1).await;
        let first = named(&here, "echo", &json!({}), "k").await;
        is_new(&first, 200);
        for client in [&there, &here, &there] {
            is_again(&named(client, "echo", &json!({}), "k").await, &first);
        }
        let new = named(&there, "echo", &json!({}), "new").await;
        new.problem(402, "budget-exhausted");
        budget(1_000_000).await;

        let before = upstream.requests();
        let input = json!({"url": upstream.url("/gate")});
        let meanwhile = async {
            upstream.arrived(before + 1).await;
            let answer = named(&there, "http", &input, "gate").await;
            answer.problem(409, "idempotency-in-progress");
            upstream.open_gate(1);
        };
        let (first, ()) = tokio::join!(named(&here, "http", &input, "gate"), meanwhile);
        is_new(&first, 200);
        is_again(&named(&there, "http", &input, "gate").await, &first);
        assert_eq!(upstream.requests(), before + 1);

        // The one that ran it knows that it is lost, and for the other it may be under way.
        tokio::select! {
            answer = named(&here, "http", &input, "lost") => panic!("{}", answer.text),
            () = upstream.arrived(before + 2) => {}
        }
        host.kill_and_restart().await;
        let answer = named(&there, "http", &input, "lost").await;
        answer.problem(409, "idempotency-in-progress");
        let here = host.invoke.with_key(secret);
        let answer = named(&here, "http", &input, "lost").await;
        answer.problem(500, "outcome-unknown");
        assert_eq!(upstream.requests(), before + 2);
    });
}
