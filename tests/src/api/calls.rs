//! `POST /v1/capsules/{namespace}/{name}/tools/{tool}`.

use reqwest::Method;
use serde_json::{Value, json};
use soma_capability::Tool;
use soma_registry::{Manifest, Package};

use crate::harness::{Setup, TestHost, component, send};

/// The echo guest under a schema that asks for something.
fn strict_echo() -> Package {
    let tool: Tool = serde_json::from_value(json!({
        "name": "run",
        "description": "Echoes.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "name": {"type": "string", "minLength": 2},
                "list": {"type": "array", "items": {"type": "integer"}},
            },
            "required": ["name"],
            "additionalProperties": false,
        },
        "annotations": {
            "readOnlyHint": true,
            "destructiveHint": false,
            "idempotentHint": true,
            "openWorldHint": false,
        },
    }))
    .unwrap();
    let manifest = "name = 'tests/strict'\nversion = '1.0.0'\ndescription = 'Echoes.'";
    let manifest = Manifest::from_toml(manifest).unwrap();
    Package::pack(&component("echo"), manifest, vec![tool]).unwrap()
}

async fn post_text(
    host: &TestHost,
    content_type: &str,
    body: impl Into<reqwest::Body>,
) -> crate::harness::Answer {
    let path = "/v1/capsules/tests/strict/tools/run";
    let request = host.invoke.request(Method::POST, path);
    send(request.header("content-type", content_type).body(body)).await
}

#[test]
fn input_is_checked_before_the_guest_runs() {
    Setup::default().run(async |host| {
        host.install(&strict_echo()).await;
        let call = async |input: Value| host.invoke.call("tests/strict", "run", &input).await;
        call(json!({"name": "Ada", "list": [1]})).await.expect(200);
        for (input, pointer, words) in [
            (json!({"name": "A"}), "/name", "shorter than 2"),
            (
                json!({"name": "Ada", "list": [1, "2"]}),
                "/list/1",
                "integer",
            ),
            (json!({"name": "Ada", "more": 1}), "", "more"),
            (json!({}), "", "name"),
            (json!([]), "", "object"),
        ] {
            let problem = call(input.clone()).await.problem(422, "invalid-input");
            assert_eq!(problem["pointer"], pointer, "{problem}");
            let detail = problem["errors"][0]["detail"].as_str().unwrap();
            assert!(detail.contains(words), "{problem}");
            assert!(problem["usage"].is_null(), "the guest ran: {problem}");
        }
        let both = call(json!({"name": 1, "list": [true]}))
            .await
            .problem(422, "invalid-input");
        assert_eq!(both["errors"].as_array().unwrap().len(), 2, "{both}");
    });
}

#[test]
fn bodies_that_are_no_input() {
    Setup::default()
        .flag("--maximum-limits", "input-bytes=1000")
        .run(async |host| {
            host.install(&strict_echo()).await;
            let json = "application/json";
            for body in [
                "",
                "{",
                "{} {}",
                "{\"name\":\"Ada\",\"name\":\"Bob\"}",
                "\u{feff}{}",
            ] {
                post_text(&host, json, body)
                    .await
                    .problem(400, "invalid-json");
            }
            post_text(&host, json, vec![b'"', 0xff, b'"'])
                .await
                .problem(400, "invalid-json");
            post_text(&host, "text/plain", "{}")
                .await
                .problem(415, "unsupported-media-type");
            let charset = "application/json; charset=utf-8";
            post_text(&host, charset, "{\"name\":\"Ada\"}")
                .await
                .expect(200);
            let long = format!("{{\"name\":\"{}\"}}", "a".repeat(1000));
            post_text(&host, json, long.clone())
                .await
                .problem(413, "too-large");
            // Without a length in front.
            let chunks = futures::stream::iter([Ok::<_, std::io::Error>(long)]);
            post_text(&host, json, reqwest::Body::wrap_stream(chunks))
                .await
                .problem(413, "too-large");
        });
}

#[test]
fn an_input_of_too_many_values_is_refused_before_the_guest_runs() {
    Setup::default().run(async |host| {
        host.install_guests(&["echo"]).await;
        // 800 kB, and some hundred bytes of memory for every eight of them.
        let input = format!("{{\"list\": [{}1]}}", "{\"\":0},".repeat(100_000));
        let request = host
            .invoke
            .request(Method::POST, "/v1/capsules/tests/echo/tools/run")
            .header("content-type", "application/json")
            .body(input);
        let problem = send(request).await.problem(413, "too-large");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("1000000"), "{detail}");
    });
}

#[test]
fn paths_that_lead_nowhere() {
    Setup::default().run(async |host| {
        host.install_guests(&["echo"]).await;
        let input = json!({});
        let call = async |capsule, tool| host.invoke.call(capsule, tool, &input).await;
        call("tests/none", "run")
            .await
            .problem(404, "unknown-capsule");
        let problem = call("tests/echo", "walk")
            .await
            .problem(404, "unknown-tool");
        assert!(
            problem["detail"].as_str().unwrap().contains("run"),
            "{problem}"
        );
        call("Tests/echo", "run").await.problem(400, "bad-request");
        call("tests/echo", "a%20b")
            .await
            .problem(400, "bad-request");
        call("..%2ftests/echo", "run")
            .await
            .problem(400, "bad-request");
        host.invoke
            .get("/v2/anything")
            .await
            .problem(404, "no-such-path");
        let answer = host.invoke.get("/v1/capsules/tests/echo/tools/run").await;
        answer.problem(405, "method-not-allowed");
        assert_eq!(answer.header("allow"), "POST");
    });
}

#[test]
fn a_client_that_hangs_up_leaves_no_instance() {
    let upstream = crate::harness::Upstream::start();
    Setup::default()
        .allow(&upstream)
        .limits("time-ms=500")
        .run(async |host| {
            host.install_guests(&["http"]).await;
            let before = upstream.requests();
            let input = json!({"url": upstream.url("/never")});
            let call = host.call("http", &input);
            tokio::select! {
                answer = call => panic!("it must not answer: {answer:?}"),
                () = upstream.arrived(before + 1) => {}
            }
            // Dropping the host checks that the instance ended.
        });
}
