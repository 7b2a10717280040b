//! Keys that may use less than what is granted.

use serde_json::{Value, json};

use super::key;
use crate::cli::beside as soma;
use crate::harness::{Client, Setup, TestHost, Upstream, pack_with};

/// A key to all tools, whose calls may use this of the grants.
async fn narrowed(host: &TestHost, narrowed: Value) -> Client {
    let wanted = json!({"tenant": "default", "scopes": ["invoke"], "narrowed": narrowed});
    key(host, wanted).await
}

fn requests(upstream: &Upstream, path: &str) -> Value {
    json!({"origin": upstream.origin(), "methods": ["GET"], "paths": [path]})
}

#[test]
fn a_key_reaches_less_and_never_more() {
    let upstream = Upstream::start();
    Setup::default().run(async |host| {
        let before = upstream.requests();
        let origin = upstream.origin();
        let asked = format!(
            "[[capabilities.http]]\norigin = \"{origin}\"\nmethods = [\"GET\"]\n\
             paths = [\"/hello\", \"/echo\", \"/fail\"]\nwhy = \"A test.\"\n"
        );
        host.install(&pack_with("http", &asked)).await;
        let mut granted = requests(&upstream, "/hello");
        granted["paths"] = json!(["/hello", "/echo"]);
        host.grant("tests/http", &json!({"grant": {"http": [granted]}}))
            .await
            .expect(200);

        let ask = async |client: &Client, path: &str| {
            let input = json!({"url": upstream.url(path)});
            let answer = client.call("tests/http", "run", &input).await.structured();
            answer["message"].as_str().unwrap_or("sent").to_owned()
        };
        let http = json!({"http": [requests(&upstream, "/hello"), requests(&upstream, "/fail")]});
        let less = narrowed(&host, json!({"tests/http": http})).await;
        assert_eq!(ask(&less, "/hello").await, "sent");
        let why = ask(&less, "/echo").await;
        assert!(
            why.contains("the key of this call does not allow GET"),
            "{why}"
        );
        // What it names and is not granted stays so.
        let why = ask(&less, "/fail").await;
        assert!(why.contains("no grant covers"), "{why}");
        assert_eq!(ask(&host.invoke, "/echo").await, "sent");
        let nothing = narrowed(&host, json!({"tests/http": {}})).await;
        let why = ask(&nothing, "/hello").await;
        assert!(why.contains("the key of this call"), "{why}");
        host.install_guests(&["kv"]).await;
        let others = narrowed(&host, json!({"tests/kv": {}})).await;
        assert_eq!(ask(&others, "/echo").await, "sent");
        assert_eq!(upstream.requests() - before, 3);
    });
    // Nor what is open to everybody.
    Setup::default().allow(&upstream).run(async |host| {
        host.install_guests(&["http"]).await;
        let http = json!({"http": [requests(&upstream, "/hello")]});
        let less = narrowed(&host, json!({"tests/http": http})).await;
        let get = async |path: &str| {
            let input = json!({"url": upstream.url(path)});
            less.call("tests/http", "run", &input).await.structured()
        };
        assert_eq!(get("/hello").await["status"], 200);
        let why = get("/echo").await;
        assert!(
            why["message"]
                .as_str()
                .unwrap()
                .contains("the key of this call"),
            "{why}"
        );
    });
}

#[test]
fn a_key_keeps_and_calls_less() {
    Setup::default().run(async |host| {
        host.install(&pack_with("kv", "[capabilities]\nkv = { quota-kib = 64 }"))
            .await;
        let wanted = json!({"grant": {"kv": {"quota-kib": 64}}});
        host.grant("tests/kv", &wanted).await.expect(200);
        let keep = async |client: &Client, bytes: u32| {
            let steps = json!({"steps": [["set", "a", bytes]]});
            client.call("tests/kv", "run", &steps).await.structured()[0].to_string()
        };
        let none = narrowed(&host, json!({"tests/kv": {}})).await;
        assert!(keep(&none, 1).await.contains("no store was granted"));
        let little = narrowed(&host, json!({"tests/kv": {"kv": {"quota-kib": 1}}})).await;
        assert_eq!(keep(&little, 500).await, "null");
        assert!(keep(&little, 2000).await.contains("1024"));
        assert_eq!(keep(&host.invoke, 2000).await, "null");

        host.install_guests(&["echo", "compute"]).await;
        let asked = "[[capabilities.tools]]\ncapsule = \"tests/echo\"\n\
                     [[capabilities.tools]]\ncapsule = \"tests/compute\"\n";
        host.install(&pack_with("toolbox", asked)).await;
        let wanted = json!({"grant": {"tools": ["tests/echo/*", "tests/compute/*"]}});
        host.grant("tests/toolbox", &wanted).await.expect(200);
        let less = json!({"tests/toolbox": {"tools": ["tests/echo/run"]}});
        let less = narrowed(&host, less).await;
        let calls = json!({"calls": [
            ["tests/echo", "run", {"a": 1}], ["tests/compute", "run", {"n": 1}]
        ]});
        let made = less.call("tests/toolbox", "run", &calls).await.structured();
        assert_eq!(made[0]["structured"], json!({"a": 1}));
        assert!(
            made[1]["error"].as_str().unwrap().contains("may not call"),
            "{made}"
        );
    });
}

#[test]
fn keys_are_narrowed_by_hand() {
    Setup::default().run(async |host| {
        host.install_guests(&["echo"]).await;
        let file = host.data().join("less.toml");
        let path = file.to_str().unwrap();
        let create = ["key", "create", "--narrow", path];
        for (text, part) in [
            ("", "0 capsules"),
            ("x", "narrows nothing"),
            (
                "[\"tests/http\".config]\nregion = \"eu\"",
                "tests/http: a key decides",
            ),
            ("[\"tests/http\"]\nhttp = []", "0 entries"),
        ] {
            std::fs::write(&file, text).unwrap();
            let said = soma(&host, &create).await.exits(2);
            assert!(said.err.contains(part), "{text}: {}", said.err);
        }
        let text = "[[\"tests/http\".http]]\norigin = \"https://a.test\"\nmethods = [\"GET\"]\n\
                    paths = [\"/**\"]\n";
        std::fs::write(&file, text).unwrap();
        // A name with a slip in it would narrow nothing.
        let said = soma(&host, &create).await.exits(5);
        assert!(
            said.err.contains("`tests/http` is not installed"),
            "{}",
            said.err
        );
        host.install_guests(&["http"]).await;
        let said = soma(&host, &create).await.exits(0);
        let client = host.admin.with_key(said.out.trim());
        client
            .call("tests/echo", "run", &json!({}))
            .await
            .expect(200);
        let list = soma(&host, &["key", "list"]).await.exits(0);
        assert!(list.out.contains("tests/http"), "{}", list.out);
        let wanted = json!({"tenant": "default", "scopes": ["install"], "narrowed": {"a/b": {}}});
        let refused = host.admin.post("/v1/admin/keys", &wanted).await;
        refused.problem(400, "bad-request");
        // Whoever may make keys is held by none.
        let wanted = json!({
            "tenant": "default", "scopes": ["invoke", "admin"], "narrowed": {"tests/echo": {}}
        });
        let refused = host.admin.post("/v1/admin/keys", &wanted).await;
        refused.problem(400, "bad-request");
    });
}
