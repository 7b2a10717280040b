//! Guests that reach out, by each of the three doors.

use std::net::TcpListener;

use serde_json::{Value, json};

use super::answers_the_next_call;
use crate::harness::{Recorder, Setup, TestHost, Upstream, until};

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
fn an_upstream_that_is_down_is_left_alone_until_it_is_back() {
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let origin = format!("http://{address}");
    let allow = Setup::default().flag("--allow-http", &origin);
    allow.run(async |host| {
        host.install_guests(&["http"]).await;
        let input = json!({"url": format!("{origin}/hello")});
        let mut said = Value::Null;
        for _ in 0..6 {
            said = ask(&host, input.clone()).await;
            assert_eq!(said["error"], "connect", "{said}");
        }
        let words = said["message"].as_str().unwrap();
        assert!(words.contains("5 times in a row"), "{said}");
        host.logged("an upstream is left alone").await;
        let upstream = Upstream::start_at(address);
        // It has not been asked since, and is asked again in a moment.
        until(async || ask(&host, input.clone()).await["status"] == 200).await;
        host.logged("an upstream is back").await;
        assert_eq!(ask(&host, input.clone()).await["body"], "hello");
        drop(upstream);
    });
}

/// What says where a request ends is the host's to say: a peer that a guest could lie to would
/// take what comes after, on a shared connection, for a part of this request.
#[test]
fn a_guest_does_not_frame_its_requests() {
    let recorder = Recorder::start();
    let allow = Setup::default().flag("--allow-http", recorder.origin());
    allow.run(async |host| {
        host.install_guests(&["http", "http_stream"]).await;
        let url = format!("{}/", recorder.origin());
        for (method, body, headers) in [
            ("GET", "", json!({"content-length": "100"})),
            ("HEAD", "", json!({"Content-Length": "100"})),
            ("PUT", "hi", json!({"content-length": "3"})),
            ("PUT", "hi", json!({"content-length": "1"})),
            ("PUT", "hi", json!({"content-length": "+2"})),
            ("PUT", "hi", json!({"content-length": "2, 2"})),
            ("PUT", "hi", json!({"expect": "100-continue"})),
            ("PUT", "hi", json!({"transfer-encoding": "chunked"})),
        ] {
            let input = json!({"url": url, "method": method, "body": body, "headers": headers});
            let answer = ask(&host, input).await;
            assert_eq!(answer["error"], "invalid-request", "{headers}");
        }
        assert_eq!(recorder.take(), "");

        let right = json!({"content-length": "2"});
        let input = json!({"url": url, "method": "PUT", "body": "hi", "headers": right});
        assert_eq!(ask(&host, input).await["status"], 200);
        let seen = recorder.take();
        assert_eq!(seen.matches("content-length").count(), 1, "{seen}");
        assert!(seen.contains("content-length: 2\r\n"), "{seen}");
        assert!(seen.ends_with("\r\n\r\nhi"), "{seen}");

        // A streamed body's length is not known but by what the guest says.
        let stream = async |length: &str| {
            let headers = json!({"content-length": length});
            let input = json!({"urls": [url], "headers": headers, "chunks": ["one ", "two"]});
            host.call("http_stream", &input).await
        };
        stream("7").await.expect(200);
        let seen = recorder.take();
        assert!(seen.contains("content-length: 7\r\n"), "{seen}");
        assert!(seen.ends_with("\r\n\r\none two"), "{seen}");
        for wrong in ["5", "8", "100"] {
            stream(wrong).await.problem(424, "tool-failed");
        }
        answers_the_next_call(&host).await;
    });
}

#[test]
pub(super) fn header_bomb() {
    let upstream = Upstream::start();
    Setup::default().allow(&upstream).run(async |host| {
        host.install_guests(&["header_bomb"]).await;
        let url = upstream.url("/hello");
        for stream in [false, true] {
            for (fields, bytes) in [(257, 1), (30_000, 1), (1, 4 << 20)] {
                let input = json!({"url": url, "fields": fields, "bytes": bytes, "stream": stream});
                let error = host.call("header_bomb", &input).await.structured();
                let error = error.as_str().unwrap();
                assert!(error.contains("InvalidRequest"), "{error:.200}");
                assert!(error.len() < 1000, "{} bytes", error.len());
            }
            let fits = json!({"url": url, "fields": 50, "bytes": 10, "stream": stream});
            assert_eq!(
                host.call("header_bomb", &fits).await.structured(),
                json!(null)
            );
        }
        answers_the_next_call(&host).await;
    });
}

/// Peers that do not read what they are sent make the host wait, and not hold it.
#[test]
pub(super) fn body_bomb() {
    // Connections are made by the kernel, and nobody takes them. Of what is sent the kernel keeps
    // some megabytes.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", deaf.local_addr().unwrap());
    Setup::default()
        .flag("--allow-http", &origin)
        .limits("time-ms=3000")
        .run(async |host| {
            host.install_guests(&["body_bomb", "echo"]).await;
            host.call("echo", &json!({})).await.expect(200);
            let before = host.peak_memory();
            let input = json!({"url": origin, "exchanges": 100, "bytes": 15_000_000});
            host.call("body_bomb", &input)
                .await
                .problem(504, "out-of-time");
            let more = (host.peak_memory() - before) >> 20;
            assert!(more < 100, "{more} MiB");
            host.call("echo", &json!({})).await.expect(200);
        });
}

#[test]
pub(super) fn denied_flood() {
    Setup::default().limits("log-lines=10").run(async |host| {
        host.install_guests(&["denied_flood"]).await;
        let many = host
            .call("denied_flood", &json!({"times": 1000, "bytes": 60}))
            .await;
        let usage = many.expect(200)["usage"].clone();
        assert_eq!(
            (&usage["log_lines"], &usage["log_dropped"]),
            (&json!(10), &json!(990))
        );
        host.logged("the manifest must ask for `GET http://ddd")
            .await;

        let long = host
            .call("denied_flood", &json!({"times": 5, "bytes": 2_000_000}))
            .await;
        assert!(long.structured().as_u64().unwrap() < 1000);
        assert!(host.log().len() < 100_000, "{} bytes", host.log().len());
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
