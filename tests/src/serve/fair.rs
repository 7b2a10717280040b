//! How often and how many at once: by key, by capsule, and by tenant where there is not enough for all.

use futures::future::join_all;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::api::{key, tenant};
use crate::harness::{Answer, Client, Setup, TestHost, Upstream, pack_guest, until};

async fn echo(client: &Client) -> Answer {
    client.call("tests/echo", "run", &json!({})).await
}

/// The problem that it is, whose `retry_after_ms` is no longer than a minute.
fn is_limited(answer: &Answer, words: &str) {
    let problem = answer.problem(429, "rate-limited");
    assert!(
        problem["detail"].as_str().unwrap().contains(words),
        "{problem}"
    );
    let wait = problem["retry_after_ms"].as_u64().unwrap();
    assert!((1..=60_000).contains(&wait), "{problem}");
    assert!(problem.get("usage").is_none(), "{problem}");
}

async fn limited(host: &TestHost, level: &str) -> f64 {
    let sample = format!("soma_rate_limited_total{{level=\"{level}\"}}");
    host.metric(&sample).await
}

/// Calls until one is refused, which is after so many at least and not many more.
async fn call_too_often(client: &Client, burst: usize, words: &str) {
    for call in 0..burst + 5 {
        let answer = echo(client).await;
        if answer.status != 200 {
            assert!(call >= burst, "{call}");
            return is_limited(&answer, words);
        }
    }
    panic!("{words}: it never is");
}

#[test]
fn a_key_calls_so_often() {
    let setup = Setup::default().flag("--key-calls-per-minute", "12");
    setup.run(async |host| {
        host.install_guests(&["echo"]).await;
        // A sixth of the minute's calls may come at once.
        call_too_often(&host.invoke, 2, "12 a minute on the key's calls").await;
        let wanted = json!({"tenant": "default", "scopes": ["invoke"], "calls_per_minute": 6});
        let slower = key(&host, wanted).await;
        call_too_often(&slower, 1, "6 a minute on the key's calls").await;
        let wanted = json!({"tenant": "default", "scopes": ["invoke"], "calls_per_minute": 600});
        let no_faster = key(&host, wanted).await;
        call_too_often(&no_faster, 2, "12 a minute on the key's calls").await;
        assert_eq!(limited(&host, "key").await, 3.0);
        let none = json!({"tenant": "default", "scopes": ["invoke"], "calls_per_minute": 0});
        let refused = host.admin.post("/v1/admin/keys", &none).await;
        refused.problem(400, "bad-request");
    });
}

#[test]
fn a_capsule_is_called_so_often_by_whomever() {
    let setup = Setup::default().flag("--capsule-calls-per-minute", "12");
    setup.run(async |host| {
        host.install_guests(&["echo"]).await;
        call_too_often(&host.invoke, 2, "12 a minute on the capsule's calls").await;
        let wanted = json!({"tenant": "default", "scopes": ["invoke"]});
        let other = key(&host, wanted).await;
        call_too_often(&other, 0, "12 a minute on the capsule's calls").await;
        assert_eq!(limited(&host, "capsule").await, 2.0);
        // Another tenant's is another.
        let acme = tenant(&host, "acme").await;
        acme.install(pack_guest("echo").bytes()).await.expect(201);
        echo(&acme).await.expect(200);
    });
}

#[test]
fn so_many_run_at_once_and_a_reload_says_how_many() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("soma.toml");
    let setup = Setup::default().allow(&upstream).flag("--config", &file);
    setup.run_with(
        || std::fs::write(&file, "key-concurrent = 1\ncapsule-concurrent = 1\n").unwrap(),
        async |host| {
            host.install_guests(&["http", "echo"]).await;
            let before = upstream.requests();
            let input = json!({"url": upstream.url("/gate")});
            let gate = host.call("http", &input);
            let meanwhile = async {
                upstream.arrived(before + 1).await;
                is_limited(&echo(&host.invoke).await, "1 at once on the key's calls");
                std::fs::write(&file, "capsule-concurrent = 1\n").unwrap();
                host.signal(Signal::HUP);
                host.logged("configuration reloaded").await;
                echo(&host.invoke).await.expect(200);
                let hello = json!({"url": upstream.url("/hello")});
                let again = host.call("http", &hello).await;
                is_limited(&again, "1 at once on the capsule's calls");
                upstream.open_gate(1);
            };
            let (through, ()) = tokio::join!(gate, meanwhile);
            assert_eq!(through.structured()["body"], "through");
            echo(&host.invoke).await.expect(200);
        },
    );
}

#[test]
fn whoever_floods_waits_for_itself() {
    let upstream = Upstream::start();
    let setup = Setup::default()
        .allow(&upstream)
        .flag("--concurrent-calls", "2")
        .flag("--waiting-calls", "40");
    setup.run(async |host| {
        host.install_guests(&["http"]).await;
        let acme = tenant(&host, "acme").await;
        acme.install(pack_guest("echo").bytes()).await.expect(201);
        let before = upstream.requests();
        let input = json!({"url": upstream.url("/gate")});
        let flood = async {
            let calls = (0..40).map(|_| host.call("http", &input));
            let answers = join_all(calls).await;
            let ran = answers.iter().filter(|it| it.status == 200).count();
            let refused: Vec<Value> = answers
                .iter()
                .filter(|it| it.status != 200)
                .map(|it| it.problem(503, "overloaded"))
                .collect();
            // Two run and half of the others may wait.
            assert_eq!((ran, refused.len()), (22, 18));
        };
        let other = async {
            upstream.arrived(before + 2).await;
            // All of the flood is in or out: one that came later would find a place.
            let refused = "soma_http_responses_total{status=\"503\"}";
            until(async || host.metric(refused).await >= 18.0).await;
            until(async || host.metric("soma_calls_waiting").await >= 20.0).await;
            let waits = echo(&acme);
            let open = async {
                until(async || host.metric("soma_calls_waiting").await >= 21.0).await;
                // Of those that wait, this one is next.
                upstream.open_gate(1);
            };
            let (answer, ()) = tokio::join!(waits, open);
            answer.expect(200);
            assert!(upstream.requests() <= before + 3);
            upstream.open_gate(21);
        };
        tokio::join!(flood, other);
    });
}
