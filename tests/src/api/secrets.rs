//! Credentials that accompany requests, and that no guest, log or answer shows.

use std::net::TcpListener;

use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::cli::{Said, fed, soma};
use crate::harness::{
    Answer, Setup, TestHost, Upstream, command, component, database_flag, pack, pack_with, send,
};

/// Too short to be masked where it comes back.
const VALUE: &str = "t0ken-of-tests0";

/// The guest `http`, which asks for some paths with a credential and for others without.
async fn install(host: &TestHost, upstream: &Upstream) {
    let origin = upstream.origin();
    let entry = |paths: &str, more: &str| {
        format!(
            "[[capabilities.http]]\norigin = \"{origin}\"\nmethods = [\"GET\"]\n\
             paths = [{paths}]\nwhy = \"A test.\"\n{more}\n"
        )
    };
    let lines = [
        entry("\"/echo\", \"/redirect\"", "credential = \"upstream\""),
        entry("\"/hello\", \"/items/{id}\"", ""),
    ];
    host.install(&pack_with("http", &lines.concat())).await;
}

async fn grant(host: &TestHost, upstream: &Upstream, credential: Option<&str>) -> Value {
    let mut entry = json!({
        "origin": upstream.origin(), "methods": ["GET"],
        "paths": ["/echo", "/redirect", "/hello"],
    });
    if let Some(credential) = credential {
        entry["credential"] = json!(credential);
    }
    let wanted = json!({"grant": {"http": [entry]}});
    host.grant("tests/http", &wanted).await.expect(200)
}

async fn set(host: &TestHost, name: &str, wanted: &Value) -> Answer {
    let path = format!("/v1/admin/secrets/{name}?tenant=default");
    host.admin.put(&path, wanted).await
}

async fn ask(host: &TestHost, input: Value) -> Value {
    host.call("http", &input).await.structured()
}

/// What the upstream saw: a field's value, and the query.
async fn seen(host: &TestHost, upstream: &Upstream, field: &str) -> (Option<String>, Value) {
    let answer = ask(host, json!({"url": upstream.url("/echo?a=b")})).await;
    assert_eq!(answer["status"], 200, "{answer}");
    let seen: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    let fields = seen["headers"].as_array().unwrap().iter();
    let mut found = fields.filter(|pair| pair[0] == field);
    let value = found
        .next()
        .map(|pair| pair[1].as_str().unwrap().to_owned());
    assert!(found.next().is_none(), "{seen}");
    (value, seen["query"].clone())
}

#[test]
fn a_credential_accompanies_what_it_is_granted_with() {
    let upstream = Upstream::start();
    Setup::default().run(async |host| {
        install(&host, &upstream).await;
        // Granted without it, it stays away; granted with it and not set, nothing is sent.
        grant(&host, &upstream, None).await;
        set(&host, "upstream", &json!({"value": VALUE}))
            .await
            .expect(200);
        assert_eq!(seen(&host, &upstream, "authorization").await.0, None);
        let granted = grant(&host, &upstream, Some("other")).await;
        assert_eq!(granted["unset_credentials"], json!(["other"]));
        assert_eq!(seen(&host, &upstream, "authorization").await.0, None);
        let granted = grant(&host, &upstream, Some("upstream")).await;
        assert_eq!(granted["unset_credentials"], json!([]));
        let (value, _) = seen(&host, &upstream, "authorization").await;
        assert_eq!(value, Some(format!("Bearer {VALUE}")));

        // Each presentation, and each at the next call.
        for (presentation, field, value, query) in [
            (
                json!({"kind": "bearer"}),
                "authorization",
                Some("Bearer v"),
                "a=b",
            ),
            (
                json!({"kind": "basic", "user": "me"}),
                "authorization",
                Some("Basic bWU6dg=="),
                "a=b",
            ),
            (
                json!({"kind": "header", "name": "x-api-key"}),
                "x-api-key",
                Some("v"),
                "a=b",
            ),
            (
                json!({"kind": "query", "name": "key"}),
                "authorization",
                None,
                "a=b&key=v",
            ),
        ] {
            let wanted = json!({"value": "v", "as": presentation});
            set(&host, "upstream", &wanted).await.expect(200);
            let (found, sent) = seen(&host, &upstream, field).await;
            assert_eq!(found.as_deref(), value, "{presentation}");
            assert_eq!(sent, query, "{presentation}");
        }
        // A new value is shown as the old one was.
        set(&host, "upstream", &json!({"value": "w"}))
            .await
            .expect(200);
        assert_eq!(seen(&host, &upstream, "x").await.1, "a=b&key=w");
        // It does not go where the manifest does not ask for it, nor after a redirect.
        let hello = ask(&host, json!({"url": upstream.url("/hello")})).await;
        assert_eq!(hello["status"], 200);
        let answer = ask(&host, json!({"url": upstream.url("/redirect")})).await;
        assert_eq!(answer["status"], 302);

        let path = "/v1/admin/secrets/upstream?tenant=default";
        host.admin.delete(path).await.expect(204);
        host.admin.delete(path).await.problem(404, "unknown-secret");
        let answer = ask(&host, json!({"url": upstream.url("/echo")})).await;
        assert_eq!(answer["error"], "denied");
        assert_eq!(
            answer["message"],
            "the credential `upstream` is not to be had"
        );
        host.logged("soma secret set upstream").await;
    });
}

#[test]
fn a_guest_shows_none_of_its_own() {
    let upstream = Upstream::start();
    Setup::default().run(async |host| {
        install(&host, &upstream).await;
        grant(&host, &upstream, Some("upstream")).await;
        let wanted = json!({"value": "v", "as": {"kind": "header", "name": "x-api-key"}});
        set(&host, "upstream", &wanted).await.expect(200);
        let before = upstream.requests();
        for field in [
            "authorization",
            "Cookie",
            "X-API-Key",
            "proxy-authorization",
        ] {
            let input = json!({"url": upstream.url("/echo"), "headers": {field: "mine"}});
            assert_eq!(
                ask(&host, input).await["error"],
                "invalid-request",
                "{field}"
            );
        }
        let wanted = json!({"value": "v", "as": {"kind": "query", "name": "key"}});
        set(&host, "upstream", &wanted).await.expect(200);
        for query in ["?key=mine", "?a&k%65y=mine"] {
            let url = upstream.url(&format!("/echo{query}"));
            let answer = ask(&host, json!({"url": url})).await;
            assert_eq!(answer["error"], "invalid-request", "{query}");
        }
        assert_eq!(upstream.requests(), before);
    });
}

#[test]
fn values_are_shown_nowhere() {
    let upstream = Upstream::start();
    Setup::default().run(async |host| {
        install(&host, &upstream).await;
        grant(&host, &upstream, Some("upstream")).await;
        let wanted = json!({"value": VALUE, "as": {"kind": "query", "name": "key"}});
        let answer = set(&host, "upstream", &wanted).await;
        answer.status_is(200);
        assert!(!answer.text.contains(VALUE));
        let list = host.admin.get("/v1/admin/secrets?tenant=default").await;
        assert_eq!(list.expect(200)["secrets"][0]["as"]["kind"], "query");
        assert!(!list.text.contains(VALUE));
        // Not in the error of an exchange that breaks off either.
        seen(&host, &upstream, "x").await;
        let broken = broken_off(&host).await;
        assert!(!broken.to_string().contains(VALUE), "{broken}");
        for path in [
            "/v1/admin/keys",
            "/metrics",
            "/v1/admin/grants/tests/http?tenant=default",
        ] {
            assert!(!host.admin.get(path).await.text.contains(VALUE), "{path}");
        }
        assert!(!host.log().contains(VALUE));
        for file in ["soma.db", "soma.db-wal"] {
            let bytes = std::fs::read(host.data().join(file)).unwrap_or_default();
            let found = bytes
                .windows(VALUE.len())
                .any(|part| part == VALUE.as_bytes());
            assert!(!found, "{file}");
        }
    });
}

#[test]
fn a_host_with_another_key_opens_nothing_and_says_so() {
    let upstream = Upstream::start();
    Setup::default().run(async |mut host| {
        install(&host, &upstream).await;
        grant(&host, &upstream, Some("upstream")).await;
        // It has a key of its own, and begins while nothing is sealed under either.
        let other = match host.database() {
            Some(url) => Some(TestHost::start(&Setup::default(), Some(url.to_owned())).await),
            None => None,
        };
        let value = json!({"value": VALUE});
        set(&host, "spare", &value).await.expect(200);
        host.signal(Signal::TERM);
        assert!(host.ended().await.success(), "{}", host.log());
        let data = host.data();
        let key = data.join("secrets.key");
        let own = std::fs::read_to_string(&key).unwrap();
        std::fs::write(&key, "00".repeat(32)).unwrap();
        let mut serve = vec!["serve", "--listen", "127.0.0.1:0"];
        serve.extend(database_flag(host.database()));
        let said = soma(&data, &serve).exits(1);
        for words in ["sealed under another key", "--secrets-key"] {
            assert!(said.err.contains(words), "{}", said.err);
        }

        std::fs::write(&key, own).unwrap();
        let Some(other) = other else {
            host.start_again(|_| {}).await;
            assert!(!host.log().contains("do not open"), "{}", host.log());
            return;
        };
        // Where one opens it starts, and says how many do not; those are not replaced by nothing.
        set(&other, "upstream", &value).await.expect(200);
        host.start_again(|_| {}).await;
        let line = host.logged("do not open").await;
        assert!(line.contains("shut=1 tried=2"), "{line}");
        let input = json!({"url": upstream.url("/echo")});
        host.call("http", &input).await.problem(500, "internal");
        host.logged("sealed under another key than this host's")
            .await;
    });
}

/// What a guest is told of a server that hangs up, and that it asked with the credential.
async fn broken_off(host: &TestHost) -> Value {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || drop(listener.accept()));
    let lines = format!(
        "[[capabilities.http]]\norigin = \"http://{address}\"\nmethods = [\"GET\"]\n\
         paths = [\"/\"]\ncredential = \"upstream\"\nwhy = \"A test.\"\n"
    );
    let package = pack(&component("http"), "tests/broken", &lines);
    host.install(&package).await;
    let entry = json!({
        "origin": format!("http://{address}"), "methods": ["GET"], "paths": ["/"],
        "credential": "upstream",
    });
    let wanted = json!({"grant": {"http": [entry]}});
    host.grant("tests/broken", &wanted).await.expect(200);
    let input = json!({"url": format!("http://{address}/")});
    let answer = host.invoke.call("tests/broken", "run", &input).await;
    let answer = answer.structured();
    assert_eq!(answer["error"], "protocol", "{answer}");
    answer
}

#[test]
fn secrets_are_an_operators_and_a_tenants() {
    let upstream = Upstream::start();
    Setup::default().run(async |host| {
        install(&host, &upstream).await;
        grant(&host, &upstream, Some("upstream")).await;
        let path = "/v1/admin/secrets/upstream?tenant=default";
        for body in [json!({"value": "v"}), json!("malformed")] {
            host.invoke.put(path, &body).await.problem(403, "forbidden");
        }
        for malformed in [
            json!("do-not-repeat-this"),
            json!({"value": ["do-not-repeat-this"]}),
            json!({"do-not-repeat-this": "v"}),
            json!({"value": "v", "as": "do-not-repeat-this"}),
        ] {
            let answer = host.admin.put(path, &malformed).await;
            let problem = answer.problem(400, "bad-request");
            let text = problem.to_string();
            assert!(!text.contains("do-not-repeat-this"), "{text}");
            assert!(text.contains("value"), "{text}");
        }
        let list = "/v1/admin/secrets?tenant=default";
        host.invoke.get(list).await.problem(403, "forbidden");
        host.admin
            .post("/v1/admin/tenants", &json!({"name": "other"}))
            .await
            .expect(201);
        let elsewhere = "/v1/admin/secrets/upstream?tenant=other";
        let of_other = host
            .admin
            .request(Method::PUT, elsewhere)
            .json(&json!({"value": "v"}));
        send(of_other).await.expect(200);
        let answer = ask(&host, json!({"url": upstream.url("/echo")})).await;
        assert_eq!(answer["error"], "denied");
        let nobody = host.admin.get("/v1/admin/secrets?tenant=nobody").await;
        nobody.problem(404, "unknown-tenant");
        let own = host.admin.get("/v1/admin/secrets").await.expect(200);
        assert_eq!(own["secrets"], json!([]));
        let wrong = host.admin.get("/v1/admin/secrets?tenants=a").await;
        wrong.problem(400, "bad-request");
        let long = "v".repeat((16 << 10) + 1);
        for (name, wanted) in [
            ("Upper", json!({"value": "v"})),
            ("a--b", json!({"value": "v"})),
            ("a", json!({})),
            ("a", json!({"value": ""})),
            ("a", json!({"value": long})),
            ("a", json!({"value": "a\r\nb"})),
            ("a", json!({"value": "v", "as": {"kind": "magic"}})),
            (
                "a",
                json!({"value": "v", "as": {"kind": "bearer", "name": "x-api-key"}}),
            ),
            ("a", json!({"value": "v", "as": ["bearer"]})),
            (
                "a",
                json!({"value": "v", "as": {"kind": "query", "name": "key", "user": "me"}}),
            ),
            ("a", json!({"value": "v", "as": {"kind": "basic"}})),
            (
                "a",
                json!({"value": "v", "as": {"kind": "basic", "user": "a:b"}}),
            ),
            (
                "a",
                json!({"value": "v", "as": {"kind": "header", "name": "host"}}),
            ),
            (
                "a",
                json!({"value": "v", "as": {"kind": "header", "name": "a b"}}),
            ),
            (
                "a",
                json!({"value": "v", "as": {"kind": "query", "name": ""}}),
            ),
        ] {
            set(&host, name, &wanted).await.problem(400, "bad-request");
        }
        let all = host.admin.get(list).await.expect(200);
        assert_eq!(all["secrets"], json!([]));
    });
}

#[test]
fn an_operator_sets_them_by_the_command_line() {
    let upstream = Upstream::start();
    Setup::default().run(async |host| {
        install(&host, &upstream).await;
        let soma = async |arguments: &[&str], text: &str| -> Said {
            let mut command = command(&host.data());
            command.args(arguments);
            let text = text.to_owned();
            tokio::task::spawn_blocking(move || fed(&mut command, &text))
                .await
                .unwrap()
        };
        let requests = format!("GET {}", upstream.url("/echo"));
        let grant = [
            "grant",
            "set",
            "tests/http",
            "--http",
            &requests,
            "--credential",
            "upstream",
            "--yes",
        ];
        let said = soma(&grant, "").await.exits(0);
        assert!(said.out.contains("with `upstream`"), "{}", said.out);
        let missing = "no credential `upstream` is set: requests that need it are denied; `soma secret \
                       set upstream` sets it";
        assert!(said.err.contains(missing), "{}", said.err);
        let said = soma(&["secret", "rotate", "upstream"], "x\n")
            .await
            .exits(5);
        assert!(said.err.contains("soma secret set"), "{}", said.err);
        let set = ["secret", "set", "upstream", "--header", "X-Api-Key"];
        let said = soma(&set, &format!("{VALUE}\n")).await.exits(0);
        assert!(said.out.contains("the field x-api-key"), "{}", said.out);
        assert!(!said.out.contains(VALUE) && !said.err.contains(VALUE));
        let (value, _) = seen(&host, &upstream, "x-api-key").await;
        assert_eq!(value.as_deref(), Some(VALUE));
        let said = soma(&grant, "").await.exits(0);
        assert!(!said.err.contains("no credential"), "{}", said.err);
        soma(&["secret", "rotate", "upstream"], "new value\r\n")
            .await
            .exits(0);
        let (value, _) = seen(&host, &upstream, "x-api-key").await;
        assert_eq!(value.as_deref(), Some("new value"));
        let list = soma(&["secret", "list"], "").await.exits(0).out;
        assert!(
            list.contains("upstream") && !list.contains("new value"),
            "{list}"
        );
        soma(&["secret", "rm", "upstream"], "").await.exits(0);
        soma(&["secret", "rm", "upstream"], "").await.exits(5);
        soma(&["secret", "set", "upstream"], "").await.exits(2);
        soma(&["secret", "set", "Not-A-Name"], "v").await.exits(2);
        soma(&["secret", "set", "a", "--file", "/no/such/file"], "")
            .await
            .exits(2);
    });
}
