//! `soma/jq`.

use serde_json::{Value, json};

use super::sample;
use crate::harness::{Setup, component};

#[test]
fn filters_over_json() {
    Setup::default().run(async |host| {
        host.install(&sample("jq")).await;
        let jq = async |filter: &str, input: Value| {
            let input = json!({"filter": filter, "input": input});
            host.invoke.call("soma/jq", "jq", &input).await
        };
        let people = json!([
            {"name": "Ada", "city": "London", "born": 1815},
            {"name": "Alan", "city": "London", "born": 1912},
            {"name": "Grace", "city": "New York", "born": 1906},
        ]);
        for (filter, outputs) in [
            (".[0].name", json!(["Ada"])),
            (".[].born", json!([1815, 1912, 1906])),
            (
                "map(select(.born > 1900) | .name)",
                json!([["Alan", "Grace"]]),
            ),
            (
                "group_by(.city) | map({(.[0].city): length}) | add",
                json!([{"London": 2, "New York": 1}]),
            ),
            (
                "[.[] | .name | ascii_downcase | test(\"^a\")]",
                json!([[true, true, false]]),
            ),
            ("empty", json!([])),
        ] {
            assert_eq!(
                jq(filter, people.clone()).await.structured(),
                outputs,
                "{filter}"
            );
        }
        // Numbers keep their digits, which a float would not.
        let big = "{\"filter\": \".\", \"input\": 12345678901234567890123}";
        let path = "/v1/capsules/soma/jq/tools/jq";
        let request = host.invoke.request(reqwest::Method::POST, path);
        let answer =
            crate::harness::send(request.header("content-type", "application/json").body(big))
                .await;
        assert!(
            answer.text.contains("12345678901234567890123"),
            "{}",
            answer.text
        );

        let problem = jq(".[", json!([])).await.problem(422, "tool-invalid-input");
        assert!(problem["detail"].is_string());
        jq("error(\"no\")", json!(1))
            .await
            .problem(422, "tool-invalid-input");
        host.invoke
            .call("soma/jq", "jq", &json!({"input": 1}))
            .await
            .problem(422, "invalid-input");
    });
}

#[test]
fn endless_filters_end() {
    Setup::default().limits("fuel=500000000").run(async |host| {
        host.install(&sample("jq")).await;
        for filter in ["def f: f; f", "[range(1e12)]", "last(repeat(1))"] {
            let input = json!({"filter": filter});
            let answer = host.invoke.call("soma/jq", "jq", &input).await;
            assert!(
                matches!(answer.status, 422 | 424 | 504),
                "{filter}: {}",
                answer.text
            );
        }
        let input = json!({"filter": ".", "input": 1});
        host.invoke.call("soma/jq", "jq", &input).await.expect(200);
    });
}

/// The file is the component that the toolchain made, with one section more.
#[test]
fn it_asks_for_no_network() {
    let sample = sample("jq");
    let imports = sample.imports().join(" ");
    assert!(!imports.contains("http"), "{imports}");
    assert_ne!(sample.bytes(), component("echo"));
}
