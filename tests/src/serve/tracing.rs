//! Logs and traces: an invocation's id in both, and a client's trace carried on.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::harness::{Setup, send};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

async fn call_with_trace(host: &crate::harness::TestHost) -> crate::harness::Answer {
    let request = host
        .invoke
        .request(Method::POST, "/v1/capsules/tests/imports/tools/run");
    let parent = format!("00-{TRACE}-{PARENT}-01");
    send(request.header("traceparent", parent).json(&json!({}))).await
}

async fn id_of_a_call(host: &crate::harness::TestHost) -> String {
    let answer = call_with_trace(host).await;
    let id = answer.expect(200)["invocation"].as_str().map(str::to_owned);
    id.unwrap()
}

#[test]
fn json_logs_name_the_invocation_and_the_trace() {
    Setup::default()
        .flag("--log-format", "json")
        .run(async |host| {
            host.install_guests(&["imports"]).await;
            let id = id_of_a_call(&host).await;
            let line = host.logged("a line from the guest").await;
            let line: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(line["level"], "WARN");
            let text = line.to_string();
            assert!(text.contains(&id), "{text}");
            assert!(text.contains(TRACE), "{text}");
            for line in host.log().lines() {
                serde_json::from_str::<Value>(line)
                    .unwrap_or_else(|error| panic!("{error}: {line}"));
            }
        });
}

#[test]
fn a_line_names_its_invocation_whatever_the_filter() {
    Setup::default().flag("--log", "warn").run(async |host| {
        host.install_guests(&["imports"]).await;
        let id = id_of_a_call(&host).await;
        let line = host.logged("a line from the guest").await;
        assert!(line.contains(&id), "{line}");
    });
}

#[test]
fn a_refusal_is_in_the_log_under_its_id() {
    Setup::default().run(async |host| {
        let answer = host.invoke.call("no/such", "run", &json!({})).await;
        answer.problem(404, "unknown-capsule");
        let line = host.logged(answer.header("soma-invocation")).await;
        assert!(
            line.contains("refused") && line.contains("unknown-capsule"),
            "{line}"
        );
    });
}

#[test]
fn spans_go_to_the_collector_under_the_clients_trace() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let received = Arc::new(watch::Sender::new(Vec::<u8>::new()));
    let collector = {
        let received = received.clone();
        Router::new().route(
            "/v1/traces",
            post(async move |body: Bytes| received.send_modify(|all| all.extend(&body))),
        )
    };
    let listener = runtime
        .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
        .unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = runtime.spawn(async move { axum::serve(listener, collector).await });

    Setup::default()
        .flag("--otlp-endpoint", endpoint)
        .run(async |mut host| {
            received.send_replace(Vec::new());
            host.install_guests(&["imports"]).await;
            call_with_trace(&host).await.expect(200);
            // Stopping sends what is left.
            host.signal(rustix::process::Signal::TERM);
            assert!(host.ended().await.success());
            let spans = received.borrow().clone();
            let holds = |part: &[u8]| spans.windows(part.len()).any(|window| window == part);
            let bytes = |hex: &str| -> Vec<u8> {
                let digits = hex.as_bytes().chunks(2);
                digits
                    .map(|two| u8::from_str_radix(str::from_utf8(two).unwrap(), 16).unwrap())
                    .collect()
            };
            assert!(
                holds(&bytes(TRACE)) && holds(&bytes(PARENT)),
                "{}",
                host.log()
            );
            assert!(holds(b"tests/imports"));
        });
    server.abort();
}
