//! Guests that reach out, by each of the three doors.

use std::net::TcpListener;

use serde_json::{Value, json};

use super::answers_the_next_call;
use crate::harness::{Setup, TestHost, Upstream};

async fn ask(host: &TestHost, input: Value) -> Value {
    host.call("http", &input).await.structured()
}

#[test]
pub(super) fn http() {
    let upstream = Upstream::start();
    Setup::default().allow(&upstream).run(async |host| {
        host.install_guests(&["http"]).await;
        let url = upstream.url("/echo");
        let answer = ask(
            &host,
            json!({"method": "PUT", "url": url, "headers": {"x-mine": "yes"}, "body": "hi"}),
        )
        .await;
        assert_eq!(answer["status"], 200);
        let seen: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        assert_eq!(
            (&seen["method"], &seen["body"]),
            (&json!("PUT"), &json!("hi"))
        );
        assert!(
            seen["headers"]
                .as_array()
                .unwrap()
                .contains(&json!(["x-mine", "yes"])),
            "{seen}"
        );

        // Redirects come back as they are: following one would be another request to decide on.
        let redirect = ask(&host, json!({"url": upstream.url("/redirect")})).await;
        assert_eq!(redirect["status"], 302);
        let failed = ask(&host, json!({"url": upstream.url("/fail")})).await;
        assert_eq!(
            (&failed["status"], &failed["body"]),
            (&json!(500), &json!("no"))
        );

        let body = host
            .call("http", &json!({"url": upstream.url("/hello")}))
            .await
            .expect(200);
        assert_eq!(body["usage"]["requests"], 1);
        assert_eq!(body["usage"]["received_bytes"], 5);
    });
}

#[test]
fn http_errors() {
    let upstream = Upstream::start();
    // A port that was free a moment ago, and that nobody listens on.
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    Setup::default()
        .allow(&upstream)
        .flag("--allow-http", format!("http://{closed}"))
        .limits("response-bytes=100000")
        .run(async |host| {
            host.install_guests(&["http"]).await;
            let error = async |input| ask(&host, input).await["error"].clone();
            assert_eq!(
                error(json!({"url": format!("http://{closed}/")})).await,
                "connect"
            );
            let never = json!({"url": upstream.url("/never"), "timeout_ms": 50});
            assert_eq!(error(never).await, "timeout");
            let endless = ask(&host, json!({"url": upstream.url("/endless")})).await;
            assert_eq!(endless, json!({"error": "too-large", "message": "100000"}));
            for bad in [
                json!({"url": "not a url"}),
                json!({"url": upstream.url("/"), "method": "NOT A METHOD"}),
                json!({"url": upstream.url("/"), "headers": {"bad header": "x"}}),
                json!({"url": upstream.url("/"), "headers": {"x": "a\r\nb: c"}}),
            ] {
                assert_eq!(error(bad.clone()).await, "invalid-request", "{bad}");
            }
            answers_the_next_call(&host).await;
        });
}

#[test]
fn nothing_is_allowed_but_exact_origins() {
    let (upstream, other) = (Upstream::start(), Upstream::start());
    Setup::default().allow(&upstream).run(async |host| {
        host.install_guests(&["http", "wasi_http", "http_stream"])
            .await;
        let same_by_name = upstream.url("/hello").replace("127.0.0.1", "localhost");
        for url in [
            other.url("/hello"),
            same_by_name,
            "https://example.com/".to_owned(),
        ] {
            let answer = ask(&host, json!({"url": url})).await;
            assert_eq!(answer["error"], "denied", "{url}");
            let by_stream = host
                .call("http_stream", &json!({"urls": [url], "chunks": []}))
                .await;
            let problem = by_stream.problem(424, "tool-failed");
            assert!(
                problem["detail"].as_str().unwrap().contains("Denied"),
                "{problem}"
            );
            host.call("wasi_http", &json!({"url": url}))
                .await
                .problem(424, "tool-failed");
        }
        assert_eq!(other.requests(), 0);
    });
}

#[test]
pub(super) fn http_stream() {
    let upstream = Upstream::start();
    Setup::default().allow(&upstream).run(async |host| {
        host.install_guests(&["http_stream"]).await;
        let before = upstream.requests();
        let input = json!({
            "urls": [upstream.url("/gate"), upstream.url("/echo"), upstream.url("/gate")],
            "chunks": ["one ", "two"],
        });
        let call = host.call("http_stream", &input);
        let release = async {
            // All three are in flight at once before either gated one may end.
            upstream.arrived(before + 3).await;
            upstream.open_gate(2);
        };
        let (answer, ()) = tokio::join!(call, release);
        let body = answer.expect(200);
        let ended = body["output"]["structured"].as_array().unwrap().clone();
        assert_eq!(ended.len(), 3);
        let echo = ended
            .iter()
            .find(|one| one["url"] == upstream.url("/echo"))
            .unwrap();
        let seen: Value = serde_json::from_str(echo["body"].as_str().unwrap()).unwrap();
        assert_eq!(seen["body"], "one two");
        assert_eq!(
            ended.iter().filter(|one| one["body"] == "through").count(),
            2
        );
        assert_eq!(body["usage"]["requests"], 3);
    });
}

#[test]
pub(super) fn wasi_http() {
    let upstream = Upstream::start();
    Setup::default().allow(&upstream).run(async |host| {
        host.install_guests(&["wasi_http"]).await;
        let answer = host
            .call("wasi_http", &json!({"url": upstream.url("/hello")}))
            .await;
        assert_eq!(answer.structured(), json!({"status": 200, "body": "hello"}));
        assert_eq!(answer.json()["usage"]["requests"], 1);
    });
}
