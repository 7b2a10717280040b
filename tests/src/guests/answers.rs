//! Guests that answer, or fail, each in one of the ways there are.

use serde_json::json;

use super::{answers_the_next_call, fails};
use crate::harness::{Setup, repository};

#[test]
pub(super) fn echo() {
    Setup::default().run(async |host| {
        host.install_guests(&["echo"]).await;
        let input = json!({"text": "ü\u{0}\u{1f600}", "list": [1, 2.5, null, {"deep": []}]});
        let answer = host.call("echo", &input).await;
        let body = answer.expect(200);
        assert_eq!(body["output"]["structured"], input);
        assert_eq!(body["invocation"], answer.header("soma-invocation"));
        let id: uuid::Uuid = body["invocation"].as_str().unwrap().parse().unwrap();
        assert_eq!(id.get_version_num(), 7);

        let length = input.to_string().len();
        let usage = &body["usage"];
        assert_eq!(
            (&usage["input_bytes"], &usage["output_bytes"]),
            (&json!(length), &json!(length))
        );
        for (name, least) in [("fuel", 100), ("time_us", 1), ("memory_bytes", 65_536)] {
            assert!(usage[name].as_u64().unwrap() >= least, "{usage}");
        }
        assert_eq!(usage["requests"], 0);
    });
}

#[test]
pub(super) fn compute() {
    Setup::default().run(async |host| {
        host.install_guests(&["compute"]).await;
        let first = host.call("compute", &json!({"n": 1000})).await.expect(200);
        let same = host.call("compute", &json!({"n": 1000})).await.expect(200);
        let longer = host.call("compute", &json!({"n": 2000})).await.expect(200);
        assert_eq!(first["output"], same["output"]);
        assert_ne!(first["output"], longer["output"]);
        // Fuel is a count of instructions: exact, and in step with the work.
        let fuel = |answer: &serde_json::Value| answer["usage"]["fuel"].as_u64().unwrap();
        assert_eq!(fuel(&first), fuel(&same));
        let difference = fuel(&longer) - fuel(&first);
        assert!((5_000..50_000).contains(&difference), "{difference}");
    });
}

#[test]
pub(super) fn errors() {
    Setup::default().run(async |host| {
        host.install_guests(&["errors"]).await;
        for (error, status, code) in [
            ("invalid-input", 422, "tool-invalid-input"),
            ("not-found", 422, "tool-not-found"),
            ("unauthorized", 424, "tool-unauthorized"),
            ("denied", 424, "tool-denied"),
            ("rate-limited", 429, "tool-rate-limited"),
            ("upstream", 502, "tool-upstream"),
            ("failed", 424, "tool-failed"),
        ] {
            let answer = host.call("errors", &json!({"error": error})).await;
            let problem = answer.problem(status, code);
            assert_eq!(problem["detail"], "as asked");
            match error {
                "rate-limited" => {
                    assert_eq!(problem["retry_after_ms"], 1500);
                    assert_eq!(answer.header("retry-after"), "2");
                }
                "upstream" => assert_eq!(problem["upstream_status"], 502),
                _ => {}
            }
        }
        let content = host.call("errors", &json!({})).await.expect(200);
        assert_eq!(
            content["output"],
            json!({
                "structured": {"n": 1},
                "content": [
                    {"type": "text", "text": "a text"},
                    {"type": "image", "data": "AAH/", "mimeType": "image/png"},
                    {"type": "audio", "data": "AAH/", "mimeType": "audio/wav"},
                    {"type": "resource", "resource": {
                        "uri": "file:///a", "mimeType": "text/plain", "text": "a document",
                    }},
                    {"type": "resource", "resource": {
                        "uri": "file:///a", "mimeType": "text/plain", "blob": "Bw==",
                    }},
                ],
            })
        );
    });
}

#[test]
pub(super) fn bad_json() {
    Setup::default().run(async |host| {
        host.install_guests(&["bad_json"]).await;
        let deep = "[".repeat(100_000);
        for text in [
            "{not json",
            "",
            "1 2",
            "{\"a\":1}}",
            "\"\u{1}\"",
            deep.as_str(),
        ] {
            let answer = host.call("bad_json", &json!({"text": text})).await;
            answer.problem(424, "invalid-output");
        }
        for text in ["null", " {\"a\": 1} ", "\"\\ud800\\udc00\""] {
            host.call("bad_json", &json!({"text": text}))
                .await
                .expect(200);
        }
        answers_the_next_call(&host).await;
    });
}

#[test]
pub(super) fn trap() {
    fails(Setup::default(), "trap", &json!({}), 424, "trap");
}

#[test]
pub(super) fn wild_pointer() {
    fails(Setup::default(), "wild_pointer", &json!({}), 424, "trap");
}

#[test]
pub(super) fn panic() {
    Setup::default().run(async |host| {
        host.install_guests(&["panic"]).await;
        let answer = host.call("panic", &json!({})).await;
        let problem = answer.problem(424, "trap");
        let cause = problem["detail"].as_str().unwrap();
        assert!(cause.len() < 300, "{cause}");
        // Neither the guest's panic nor the host's own paths and frames are the caller's.
        for secret in [
            "/home",
            repository().to_str().unwrap(),
            "admin.key",
            "backtrace",
            "wasm-function",
            ".rs",
        ] {
            assert!(!answer.text.contains(secret), "{}", answer.text);
        }
        answers_the_next_call(&host).await;
    });
}
