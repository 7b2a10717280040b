//! Capsules that call each other: only what is asked for, granted and the key's to call, within what
//! is left of the call, and recorded.

use serde_json::{Value, json};

use crate::api::key;
use crate::cli::beside as soma;
use crate::harness::{Client, Recorder, Setup, TestHost, Upstream, component, pack, pack_with};

const TOOLBOX: &str = "tests/toolbox";

/// Asks for every tool of these guests.
fn asking(guests: &[&str]) -> String {
    let entry = |guest: &&str| format!("[[capabilities.tools]]\ncapsule = \"tests/{guest}\"\n");
    guests.iter().map(entry).collect()
}

/// Installed, asking for the tools of these guests and granted them all.
async fn install(host: &TestHost, guests: &[&str]) {
    host.install(&pack_with("toolbox", &asking(guests))).await;
    let tools: Vec<String> = guests.iter().map(|it| format!("tests/{it}/*")).collect();
    grant(host, &json!(tools)).await;
}

async fn grant(host: &TestHost, tools: &Value) {
    let wanted = json!({"grant": {"tools": tools}});
    host.grant(TOOLBOX, &wanted).await.expect(200);
}

/// What calls of these tools gave, made by one call.
async fn calls(client: &Client, calls: Value) -> Value {
    let input = json!({ "calls": calls });
    client.call(TOOLBOX, "run", &input).await.structured()
}

async fn denied(client: &Client, tool: &str) -> String {
    let (capsule, tool) = tool.rsplit_once('/').unwrap();
    let answer = calls(client, json!([[capsule, tool, {}]])).await;
    assert_eq!(answer[0]["code"], Value::Null, "{answer}");
    answer[0]["error"].as_str().unwrap().to_owned()
}

#[test]
pub(super) fn toolbox() {
    Setup::default().run(async |host| {
        host.install_guests(&["echo", "errors", "spin"]).await;
        install(&host, &["echo", "errors", "gone"]).await;
        let made = calls(
            &host.invoke,
            json!([
                ["tests/echo", "run", {"a": [1, "ü"]}],
                ["tests/errors", "run", {}],
                ["tests/errors", "run", {"error": "rate-limited"}],
                ["tests/echo", "walk", {}],
                ["tests/gone", "run", {}],
                ["tests/echo", "run", "no object"],
                ["no name", "run", {}]
            ]),
        );
        let made = made.await;
        assert_eq!(made[0]["structured"], json!({"a": [1, "ü"]}));
        assert_eq!(made[1]["text"], "a text");
        assert_eq!(made[1]["content"][1]["data"], "AAH/");
        for (call, code, part) in [
            (2, "tool-rate-limited", "as asked"),
            (3, "unknown-tool", "no tool `walk`"),
            (4, "unknown-capsule", "not installed"),
            (5, "invalid-input", "object"),
            (6, "bad-request", "namespace/name"),
        ] {
            assert_eq!(made[call]["code"], code, "{made}");
            assert!(
                made[call]["error"].as_str().unwrap().contains(part),
                "{made}"
            );
        }
        // As the capsule's own answer or failure, by the SDK's `?`.
        let pass = async |capsule: &str, input: Value| {
            let input = json!({"pass": [capsule, "run", input]});
            host.invoke.call(TOOLBOX, "run", &input).await
        };
        let echoed = pass("tests/echo", json!({"b": 2})).await;
        assert_eq!(echoed.structured(), json!({"b": 2}));
        let limited = pass("tests/errors", json!({"error": "rate-limited"})).await;
        let limited = limited.problem(429, "tool-rate-limited");
        assert_eq!(limited["retry_after_ms"], 1500);
        pass("tests/errors", json!({"error": "not-found"}))
            .await
            .problem(422, "tool-not-found");
        pass("tests/spin", json!({}))
            .await
            .problem(424, "tool-denied");
    });
}

#[test]
fn a_tool_is_asked_for_granted_and_the_keys() {
    Setup::default().run(async |host| {
        host.install_guests(&["echo", "compute", "errors"]).await;
        host.install(&pack_with("toolbox", &asking(&["echo", "compute"])))
            .await;
        let why = denied(&host.invoke, "tests/echo/run").await;
        assert!(
            why.contains("no other capsules' tools were granted"),
            "{why}"
        );

        grant(&host, &json!(["tests/echo/run", "tests/errors/*"])).await;
        let echoed = calls(&host.invoke, json!([["tests/echo", "run", {"a": 1}]])).await;
        assert_eq!(echoed[0]["structured"], json!({"a": 1}));
        let why = denied(&host.invoke, "tests/compute/run").await;
        assert!(
            why.contains("no grant covers the tool tests/compute/run"),
            "{why}"
        );
        host.logged("soma grant set tests/toolbox --tool tests/compute/run")
            .await;
        let why = denied(&host.invoke, "tests/errors/run").await;
        assert!(
            why.contains("the manifest does not ask for the tool tests/errors/run"),
            "{why}"
        );

        let limited = json!({
            "tenant": "default", "scopes": ["invoke"], "tools": ["tests/toolbox/*"]
        });
        let limited = key(&host, limited).await;
        let why = denied(&limited, "tests/echo/run").await;
        assert!(
            why.contains("the key that called may not call tests/echo/run"),
            "{why}"
        );
        let both = json!({
            "tenant": "default", "scopes": ["invoke"],
            "tools": ["tests/toolbox/run", "tests/echo/run"]
        });
        let both = key(&host, both).await;
        let echoed = calls(&both, json!([["tests/echo", "run", {"b": 1}]])).await;
        assert_eq!(echoed[0]["structured"], json!({"b": 1}));

        // What is withdrawn holds for the next call.
        host.admin
            .delete(&TestHost::grant_path(TOOLBOX))
            .await
            .expect(204);
        denied(&host.invoke, "tests/echo/run").await;
    });
}

#[test]
fn what_is_called_burns_the_fuel_and_the_time_of_the_call() {
    Setup::default()
        .limits("fuel=50000000,time-ms=1000")
        .run(async |host| {
            host.install_guests(&["compute", "spin", "sleep"]).await;
            install(&host, &["compute", "spin", "sleep"]).await;
            let run = async |made: Value| {
                let input = json!({ "calls": made });
                host.invoke.call(TOOLBOX, "run", &input).await
            };
            let alone = host
                .call("compute", &json!({"n": 100_000}))
                .await
                .expect(200);
            let alone = alone["usage"]["fuel"].as_u64().unwrap();
            let twice = json!([
                ["tests/compute", "run", {"n": 100_000}], ["tests/compute", "run", {"n": 100_000}]
            ]);
            let usage = run(twice).await.expect(200)["usage"].clone();
            assert_eq!(
                (&usage["tool_calls"], &usage["tool_fuel"]),
                (&json!(2), &json!(2 * alone))
            );
            assert!(usage["fuel"].as_u64().unwrap() > 2 * alone, "{usage}");

            // It spends what is left, and so ends the call that made it.
            let spun = run(json!([["tests/spin", "run", {}], ["tests/compute", "run", {"n": 1}]]));
            let spun = spun.await.problem(424, "out-of-fuel");
            assert_eq!(spun["usage"]["fuel"], 50_000_000);
            let many = Value::from(vec![json!(["tests/compute", "run", {"n": 1_000_000}]); 50]);
            let many = run(many).await.problem(424, "out-of-fuel");
            assert_eq!(many["usage"]["fuel"], 50_000_000);

            let slept = run(json!([["tests/sleep", "run", {"ms": 60_000}]])).await;
            let slept = slept.problem(504, "out-of-time");
            assert!(
                slept["usage"]["time_us"].as_u64().unwrap() < 5_000_000,
                "{slept}"
            );
        });
}

#[test]
fn a_key_that_is_revoked_calls_nothing_more() {
    let upstream = Upstream::start();
    let setup = Setup::default().allow(&upstream);
    setup.run(async |host| {
        host.install_guests(&["http", "echo"]).await;
        install(&host, &["http", "echo"]).await;
        let wanted = json!({"tenant": "default", "scopes": ["invoke"]});
        let made = host.admin.post("/v1/admin/keys", &wanted).await.expect(201);
        let key = host.admin.with_key(made["secret"].as_str().unwrap());
        let before = upstream.requests();
        let gate = json!({"url": upstream.url("/gate")});
        let both = json!([["tests/http", "run", gate], ["tests/echo", "run", {}]]);
        let revoke = async {
            upstream.arrived(before + 1).await;
            let path = format!("/v1/admin/keys/{}", made["id"].as_str().unwrap());
            host.admin.delete(&path).await.expect(204);
            upstream.open_gate(1);
        };
        let (called, ()) = tokio::join!(calls(&key, both), revoke);
        assert_eq!(called[0]["structured"]["body"], "through", "{called}");
        assert_eq!(called[1]["code"], "unauthorized", "{called}");
    });
}

#[test]
fn what_is_called_too_often_is_refused_within_a_call_too() {
    let setup = Setup::default().flag("--capsule-calls-per-minute", "12");
    setup.run(async |host| {
        host.install_guests(&["echo"]).await;
        install(&host, &["echo"]).await;
        // A sixth of the minute's may come at once, and some more while they are made.
        let many = vec![json!(["tests/echo", "run", {"a": 1}]); 8];
        let made = calls(&host.invoke, Value::from(many)).await;
        let made = made.as_array().unwrap();
        for echoed in &made[..2] {
            assert_eq!(echoed["structured"], json!({"a": 1}), "{echoed}");
        }
        let refused = made.iter().filter(|it| it["code"] == "rate-limited");
        let refused: Vec<&Value> = refused.collect();
        assert!(!refused.is_empty(), "{made:?}");
        for refused in &refused {
            let why = refused["error"].as_str().unwrap();
            assert!(why.contains("12 a minute on the capsule's calls"), "{why}");
        }
        let counted = host
            .metric("soma_rate_limited_total{level=\"capsule\"}")
            .await;
        assert_eq!(counted, refused.len() as f64);
    });
}

#[test]
fn whoever_calls_in_a_circle_comes_to_an_end() {
    Setup::default().run(async |host| {
        install(&host, &["toolbox"]).await;
        let bottom = host.invoke.call(TOOLBOX, "run", &json!({"depth": 0})).await;
        let bottom = bottom.structured();
        assert_eq!(bottom["depth"], 8, "{bottom}");
        assert!(
            bottom["error"].as_str().unwrap().contains("8 deep"),
            "{bottom}"
        );
    });
    // With one slot, and one for all that is within.
    Setup::default()
        .flag("--concurrent-calls", "1")
        .run(async |host| {
            host.install_guests(&["echo"]).await;
            install(&host, &["toolbox", "echo"]).await;
            let bottom = host.invoke.call(TOOLBOX, "run", &json!({"depth": 0})).await;
            let bottom = bottom.structured();
            assert_eq!(bottom["depth"], 1, "{bottom}");
            assert!(
                bottom["error"].as_str().unwrap().contains("overloaded"),
                "{bottom}"
            );
            let made = (0..20).map(|n| {
                let client = host.invoke.clone();
                async move { calls(&client, json!([["tests/echo", "run", {"n": n}]])).await }
            });
            for (n, echoed) in futures::future::join_all(made)
                .await
                .into_iter()
                .enumerate()
            {
                assert_eq!(echoed[0]["structured"]["n"], n, "{echoed}");
            }
        });
}

/// What is called has a grant and a credential of its own; who calls it has neither.
#[test]
fn nobody_lends_what_was_granted() {
    let recorder = Recorder::start();
    Setup::default().run(async |host| {
        let origin = recorder.origin();
        let http = format!(
            "[[capabilities.http]]\norigin = \"{origin}\"\nmethods = [\"GET\"]\npaths = [\"/**\"]\n\
             why = \"A test.\"\ncredential = \"api\"\n"
        );
        let inner = pack(&component("toolbox"), "tests/inner", &http);
        host.install(&inner).await;
        let secret = json!({"value": "a-secret-of-the-inner-capsule"});
        host.admin
            .put("/v1/admin/secrets/api", &secret)
            .await
            .expect(200);
        let entry = json!({
            "origin": origin, "methods": ["GET"], "paths": ["/**"], "credential": "api"
        });
        let wanted = json!({"grant": {"http": [entry]}});
        host.grant("tests/inner", &wanted).await.expect(200);
        install(&host, &["inner"]).await;

        let url = format!("{origin}/hello");
        let own = host.invoke.call(TOOLBOX, "run", &json!({"url": url})).await;
        own.problem(424, "tool-denied");
        let made = calls(&host.invoke, json!([["tests/inner", "run", {"url": url}]])).await;
        assert!(made[0]["structured"].is_string(), "{made}");
        let shown = recorder.take();
        assert_eq!(shown.matches("GET /hello").count(), 1, "{shown}");
        assert!(shown.contains("a-secret-of-the-inner-capsule"), "{shown}");

        // Each has a record, and the outer one is on disk before the answer, since something was sent.
        let records = host
            .admin
            .get("/v1/admin/audit?kind=call")
            .await
            .expect(200);
        let records = records["records"].as_array().unwrap();
        let of = |capsule: &str| records.iter().find(|it| it["capsule"] == capsule);
        let (inner, outer) = (of("tests/inner").unwrap(), of(TOOLBOX).unwrap());
        assert_eq!(inner["within"], outer["invocation"]);
        assert_eq!(inner["egress"][0]["path"], "/hello");
        assert!(outer.get("within").is_none(), "{outer}");
    });
}

#[test]
fn tools_are_granted_by_hand() {
    Setup::default().run(async |host| {
        host.install_guests(&["echo"]).await;
        host.install(&pack_with("toolbox", &asking(&["echo"])))
            .await;
        let grant = async |arguments: &[&str]| {
            let arguments = [&["grant"], arguments].concat();
            soma(&host, &arguments).await.exits(0).out
        };
        let shown = grant(&["show", TOOLBOX]).await;
        assert!(
            shown.contains("may call every tool of tests/echo"),
            "{shown}"
        );
        let set = grant(&["set", TOOLBOX, "--tool", "tests/echo/run", "--yes"]).await;
        assert!(set.contains("the tool tests/echo/run"), "{set}");
        let diff = grant(&["diff", TOOLBOX]).await;
        assert!(
            diff.contains("the tools tests/echo/run of tests/echo/*"),
            "{diff}"
        );
        grant(&["set", TOOLBOX, "--all", "--yes"]).await;
        let diff = grant(&["diff", TOOLBOX]).await;
        assert!(diff.contains("Exactly what is asked"), "{diff}");
        let made = calls(&host.invoke, json!([["tests/echo", "run", {"a": 1}]])).await;
        assert_eq!(made[0]["structured"], json!({"a": 1}));
    });
}
