//! What a capsule reaches: what it asks for and its operator granted, both.

mod by_hand;

use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::beside as soma;
use crate::harness::{Answer, Client, Setup, TestHost, Upstream, pack, pack_with, send};

/// A guest that asks for some of an upstream.
async fn install_asking(host: &TestHost, guest: &str, upstream: &Upstream) {
    host.install(&pack_with(guest, &asking(upstream))).await;
}

pub(crate) fn asking(upstream: &Upstream) -> String {
    let origin = upstream.origin();
    format!(
        "[[capabilities.http]]\norigin = \"{origin}\"\nmethods = [\"GET\", \"PUT\"]\n\
         paths = [\"/hello\", \"/echo\", \"/redirect\", \"/items/{{id}}\"]\nwhy = \"A test.\"\n"
    )
}

pub(super) fn path(guest: &str) -> String {
    TestHost::grant_path(&TestHost::capsule(guest))
}

pub(super) async fn grant(host: &TestHost, guest: &str, wanted: &Value) -> Answer {
    host.grant(&TestHost::capsule(guest), wanted).await
}

/// A grant of these methods and paths of the upstream.
pub(crate) fn of(upstream: &Upstream, methods: &[&str], paths: &[&str]) -> Value {
    let entry = json!({"origin": upstream.origin(), "methods": methods, "paths": paths});
    json!({"grant": {"http": [entry]}})
}

/// What a guest is answered: the status, or why there is none.
async fn ask(host: &TestHost, guest: &str, method: &str, url: &str) -> Value {
    asked(&host.invoke, guest, method, url).await
}

/// The same of whoever calls it.
pub(super) async fn asked(client: &Client, guest: &str, method: &str, url: &str) -> Value {
    let input = json!({"method": method, "url": url});
    let answer = client.call(&TestHost::capsule(guest), "run", &input).await;
    if guest == "wasi_http" && answer.status != 200 {
        // It only says that it failed.
        return json!("denied");
    }
    let answer = answer.structured();
    match &answer["error"] {
        Value::Null => answer["status"].clone(),
        error => error.clone(),
    }
}

#[test]
fn what_is_asked_and_granted_is_reached_by_either_door() {
    let (upstream, other) = (Upstream::start(), Upstream::start());
    Setup::default().run(async |host| {
        for guest in ["http", "wasi_http"] {
            install_asking(&host, guest, &upstream).await;
            let get = async |url: &str| ask(&host, guest, "GET", url).await;
            let (hello, echo) = (upstream.url("/hello"), upstream.url("/echo"));
            assert_eq!(get(&hello).await, "denied");
            // More than it asks for is granted: it gets what it asks for.
            let all = of(
                &upstream,
                &["GET", "PUT", "POST"],
                &["/hello", "/items/**", "/fail"],
            );
            grant(&host, guest, &all).await.expect(200);
            assert_eq!(get(&hello).await, 200, "{guest}");
            assert_eq!(get(&upstream.url("/h%65llo")).await, 200, "{guest}");
            let before = upstream.requests();
            for url in [
                echo.clone(),
                upstream.url("/fail"),
                upstream.url("/hello/"),
                upstream.url("/hello/x"),
                upstream.url("/HELLO"),
                upstream.url("/items/a%2fb"),
                upstream.url("/items/a/b"),
                other.url("/hello"),
                hello.replace("127.0.0.1", "localhost"),
                hello.replace("http:", "https:"),
                "http://169.254.169.254/hello".to_owned(),
                "http://2852039166/hello".to_owned(),
                "http://0xa9fea9fe/hello".to_owned(),
                "http://0251.0376.0251.0376/hello".to_owned(),
                "http://[::ffff:169.254.169.254]/hello".to_owned(),
                "http://[fd00:ec2::254]/hello".to_owned(),
            ] {
                assert_eq!(get(&url).await, "denied", "{guest}: {url}");
            }
            assert_eq!((upstream.requests(), other.requests()), (before, 0));
            // The same address in another notation is the same.
            let decimal = hello.replace("127.0.0.1", "2130706433");
            assert_eq!(get(&decimal).await, 200, "{guest}");

            let url = path(guest);
            host.admin.delete(&url).await.expect(204);
            assert_eq!(get(&hello).await, "denied");
            host.admin.delete(&url).await.problem(404, "unknown-grant");
        }
    });
}

#[test]
fn paths_that_servers_read_in_two_ways_are_not_sent() {
    let upstream = Upstream::start();
    Setup::default().run(async |host| {
        install_asking(&host, "http", &upstream).await;
        let all = of(&upstream, &["GET", "PUT"], &["/**"]);
        grant(&host, "http", &all).await.expect(200);
        for path in [
            "//hello",
            "/items/..%2fhello",
            "/items/%2e%2e%2fhello",
            "/items/..%5chello",
            "/items/..;/hello",
            "/items/%252e%252e",
            "/items/%0d%0ax:y",
        ] {
            let answer = ask(&host, "http", "GET", &upstream.url(path)).await;
            assert_eq!(answer, "invalid-request", "{path}");
        }
        // What a browser resolves is resolved before it is matched.
        for (path, answer) in [
            ("/items/../hello", json!(200)),
            ("/items\\..\\hello", json!(200)),
        ] {
            assert_eq!(ask(&host, "http", "GET", &upstream.url(path)).await, answer);
        }
        for (method, answer) in [
            ("POST", "denied"),
            ("put", "denied"),
            ("TRACE", "invalid-request"),
            ("CONNECT", "invalid-request"),
        ] {
            let given = ask(&host, "http", method, &upstream.url("/echo")).await;
            assert_eq!(given, answer, "{method}");
        }
        for field in [
            "X-HTTP-Method-Override",
            "x_http_method_override",
            "content_length",
            "Proxy",
            "X-HTTP-Method",
            "X-Original-URL",
            "host",
        ] {
            let input = json!({"url": upstream.url("/hello"), "headers": {field: "DELETE"}});
            let answer = host.call("http", &input).await.structured();
            assert_eq!(answer["error"], "invalid-request", "{field}: {answer}");
        }
        // A redirect comes back as it is; to follow it is another request.
        let answer = ask(&host, "http", "GET", &upstream.url("/redirect")).await;
        assert_eq!(answer, 302);
        let seen = json!({"method": "PUT", "url": upstream.url("/echo"), "body": "hi"});
        let seen = host.call("http", &seen).await.structured();
        assert!(seen["body"].as_str().unwrap().contains("\"PUT\""), "{seen}");
    });
}

#[test]
fn grants_are_an_operators_and_a_tenants() {
    let upstream = Upstream::start();
    Setup::default().run(async |mut host| {
        install_asking(&host, "http", &upstream).await;
        let hello = upstream.url("/hello");
        let wanted = of(&upstream, &["GET"], &["/hello"]);
        let by_caller = host.invoke.request(Method::PUT, &path("http"));
        send(by_caller.json(&wanted))
            .await
            .problem(403, "forbidden");
        host.invoke
            .get(&path("http"))
            .await
            .problem(403, "forbidden");
        let nobody = path("http").replace("default", "nobody");
        let unknown = host.admin.request(Method::PUT, &nobody).json(&wanted);
        send(unknown).await.problem(404, "unknown-tenant");
        let elsewhere = grant(&host, "none", &wanted).await;
        elsewhere.problem(404, "unknown-capsule");
        for (wrong, words) in [
            (json!({}), "grant"),
            (
                json!({"grant": {"http": [{"origin": "https://a"}]}}),
                "methods",
            ),
            (json!({"grant": {"all": true}}), "unknown field"),
            (
                json!({"grant": {}, "expires_at": "2020-01-01T00:00:00Z"}),
                "in the past",
            ),
        ] {
            let problem = grant(&host, "http", &wrong)
                .await
                .problem(400, "bad-request");
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains(words), "{detail}");
        }

        grant(&host, "http", &wanted).await.expect(200);
        let standing = host.admin.get(&path("http")).await.expect(200);
        assert_eq!(
            standing["asked"]["http"][0]["methods"],
            json!(["GET", "PUT"])
        );
        let granted = &standing["granted"]["grant"]["http"][0];
        assert_eq!(granted["methods"], json!(["GET"]));
        host.restart(|_| {}).await;
        assert_eq!(ask(&host, "http", "GET", &hello).await, 200);
        // It is of this name: another capsule gets nothing from it, and a newer file keeps it.
        install_asking(&host, "wasi_http", &upstream).await;
        assert_eq!(ask(&host, "wasi_http", "GET", &hello).await, "denied");
        let lines = format!("{}[limits]\ntime-ms = 5000\n", asking(&upstream));
        let newer = pack(&crate::harness::component("http"), "tests/http", &lines);
        host.admin.install(newer.bytes()).await.expect(202);
        host.approve(&newer).await;
        assert_eq!(ask(&host, "http", "GET", &hello).await, 200);
        // Installed anew, it is to be granted anew.
        host.admin
            .delete("/v1/capsules/tests/http")
            .await
            .expect(204);
        host.install(&newer).await;
        assert_eq!(ask(&host, "http", "GET", &hello).await, "denied");

        let mut soon = wanted.clone();
        let end = jiff::Timestamp::now() + jiff::SignedDuration::from_millis(1500);
        soon["expires_at"] = json!(end);
        grant(&host, "http", &soon).await.expect(200);
        assert_eq!(ask(&host, "http", "GET", &hello).await, 200);
        tokio::time::sleep(std::time::Duration::from_millis(1600)).await;
        assert_eq!(ask(&host, "http", "GET", &hello).await, "denied");
        host.logged("an entry `GET http://127.0.0.1").await;
        // When it ended is still known.
        let standing = host.admin.get(&path("http")).await.expect(200);
        assert_eq!(standing["granted"], Value::Null);
        let expired: jiff::Timestamp = standing["expired_at"].as_str().unwrap().parse().unwrap();
        assert_eq!(expired.as_millisecond(), end.as_millisecond());
        let shown = soma(&host, &["grant", "show", "tests/http"]).await.exits(0);
        let words = format!("nothing any more: it ended at {expired}");
        assert!(shown.out.contains(&words), "{}", shown.out);
        grant(&host, "http", &wanted).await.expect(200);
        let standing = host.admin.get(&path("http")).await.expect(200);
        assert_eq!(standing["expired_at"], Value::Null);
    });
}

#[test]
fn settings_of_a_grant_that_has_ended_are_all_that_is_granted() {
    let upstream = Upstream::start();
    Setup::default().run(async |host| {
        let lines = format!("{}{}", asking(&upstream), super::SETTINGS);
        host.install(&pack_with("settings", &lines)).await;
        let mut soon = of(&upstream, &["GET"], &["/hello"]);
        let end = jiff::Timestamp::now() + jiff::SignedDuration::from_millis(500);
        soon["expires_at"] = json!(end);
        grant(&host, "settings", &soon).await.expect(200);
        tokio::time::sleep(std::time::Duration::from_millis(600)).await;
        let set = ["config", "set", "tests/settings", "region=eu-1"];
        let said = soma(&host, &set).await.exits(0);
        assert!(
            said.err.contains("holds no more (it ended at"),
            "{}",
            said.err
        );
        let said = soma(&host, &set).await.exits(0);
        assert_eq!(said.err, "");
    });
}

#[test]
fn a_capsule_never_reaches_its_own_host() {
    Setup::default().run(async |host| {
        let port = host.address().port();
        for name in ["127.0.0.1", "localhost", "0.0.0.0", "127.0.0.2", "[::1]"] {
            let origin = format!("http://{name}:{port}");
            let lines = format!(
                "[[capabilities.http]]\norigin = \"{origin}\"\nmethods = [\"GET\"]\n\
                 paths = [\"/healthz\"]\nwhy = \"A test.\"\n"
            );
            host.install(&pack_with("http", &lines)).await;
            let entry = json!({"origin": origin, "methods": ["GET"], "paths": ["/healthz"]});
            let wanted = json!({"grant": {"http": [entry]}});
            grant(&host, "http", &wanted).await.expect(200);
            let input = json!({"url": format!("{origin}/healthz")});
            let answer = host.call("http", &input).await.structured();
            assert_eq!(answer["error"], "denied", "{origin}: {answer}");
            assert_eq!(
                answer["message"], "a capsule never reaches its own host",
                "{origin}"
            );
            let uninstall = host.admin.delete("/v1/capsules/tests/http");
            uninstall.await.expect(204);
        }
    });
}
