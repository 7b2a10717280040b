//! What a capsule does while it is recorded, and the smallest grant of that. Recording allows nothing.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::grants::{asking, grant, of};
use crate::cli::beside as soma;
use crate::harness::{Setup, TestHost, Upstream, pack_guest, pack_with, send, until};

const LEARNED: &str = "/v1/admin/grants/tests/http/learned";

/// Whether the guest had an answer.
async fn ask(host: &TestHost, method: &str, url: &str) -> bool {
    let input = json!({"method": method, "url": url});
    let answer = host.call("http", &input).await.structured();
    answer["status"] == 200
}

async fn learned(host: &TestHost) -> Value {
    host.admin.get(LEARNED).await.expect(200)
}

/// The requests, as `METHOD PATH` and how it stands with them.
async fn seen(host: &TestHost) -> Vec<String> {
    let learned = learned(host).await;
    let requests = learned["requests"].as_array().unwrap().iter();
    let line = |it: &Value| {
        let is = |member| it[member].as_bool().unwrap();
        let word = |member, word| if is(member) { word } else { "-" };
        format!(
            "{} {} {} {} {}",
            it["method"].as_str().unwrap(),
            it["path"].as_str().unwrap(),
            word("allowed", "allowed"),
            word("asked", "asked"),
            word("granted", "granted"),
        )
    };
    requests.map(line).collect()
}

#[test]
fn what_was_denied_and_what_was_sent_become_the_smallest_grant() {
    let upstream = Upstream::start();
    Setup::default().run(async |mut host| {
        host.install(&pack_with("http", &asking(&upstream))).await;
        host.install(&pack_with("wasi_http", &asking(&upstream)))
            .await;
        let url = |path: &str| upstream.url(path);
        assert_eq!(learned(&host).await["learning"], Value::Null);
        let said = soma(&host, &["grant", "learned", "tests/http"]).await;
        assert!(said.exits(2).err.contains("grant learn tests/http"));
        let granted = of(&upstream, &["GET", "PUT"], &["/hello", "/echo"]);
        grant(&host, "http", &granted).await.expect(200);
        grant(&host, "wasi_http", &granted).await.expect(200);
        assert!(ask(&host, "PUT", &url("/echo")).await);

        let learn = ["grant", "learn", "tests/http", "--for", "10m"];
        let said = soma(&host, &learn).await.exits(0);
        assert!(said.out.contains("recorded until"), "{}", said.out);
        let before = upstream.requests();
        assert!(ask(&host, "GET", &url("/h%65llo?token=hush")).await);
        assert!(!ask(&host, "GET", &url("/items/7?token=hush")).await);
        assert!(!ask(&host, "GET", &url("/fail")).await);
        assert!(!ask(&host, "GET", &url("/items/**")).await);
        assert!(!ask(&host, "GET", &url("//hello")).await);
        assert!(!ask(&host, "GET", "http://169.254.169.254/x").await);
        // What is recorded is one capsule's, and nothing was let through for it.
        host.call("wasi_http", &json!({"url": url("/echo")}))
            .await
            .expect(200);
        assert_eq!(upstream.requests(), before + 2);
        let expected = [
            "GET /fail - - -",
            "GET /hello allowed asked granted",
            "GET /items/** - asked -",
            "GET /items/7 - asked -",
            "GET /x - - -",
        ];
        let sorted = async |host: &TestHost| {
            let mut seen = seen(host).await;
            seen.sort();
            seen
        };
        assert_eq!(sorted(&host).await, expected);
        host.restart(|_| {}).await;
        assert_eq!(sorted(&host).await, expected);

        let file = host.data().join("learned.toml");
        let file = file.to_str().unwrap();
        let out = ["grant", "learned", "tests/http", "--out", file];
        soma(&host, &out).await.exits(0);
        let again = soma(&host, &out).await.exits(2);
        assert!(again.err.contains("exists"), "{}", again.err);
        let text = std::fs::read_to_string(file).unwrap();
        assert!(!text.contains("hush"), "{text}");
        let origin = upstream.origin();
        for part in [
            format!("not granted now:\n#   GET {origin}/items/7\n#"),
            format!("no grant allows it:\n#   GET {origin}/fail\n#   GET http://169.254.169.254/x"),
            format!("nothing that one grant can name:\n#   GET {origin}/items/**\n"),
            "\"/hello\", \"/items/7\"".to_owned(),
        ] {
            let flat = text.replace("\",\n    \"", "\", \"");
            assert!(flat.contains(&part), "{part}\n{text}");
        }
        let set = ["grant", "set", "tests/http", "--yes", "--file", file];
        soma(&host, &set).await.exits(0);
        assert!(ask(&host, "GET", &url("/hello")).await);
        // The upstream has none; it was asked.
        let before = upstream.requests();
        ask(&host, "GET", &url("/items/7")).await;
        assert_eq!(upstream.requests(), before + 1);
        assert!(!ask(&host, "PUT", &url("/echo")).await);
        assert!(
            seen(&host)
                .await
                .contains(&"GET /items/7 allowed asked granted".to_owned())
        );
    });
}

#[test]
fn it_is_an_administrators_and_ends() {
    let upstream = Upstream::start();
    Setup::default().run(async |host| {
        host.install(&pack_with("http", &asking(&upstream))).await;
        let url = |path: &str| upstream.url(path);
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let request = host.invoke.request(method, LEARNED);
            let request = request.json(&json!({"seconds": 60}));
            send(request).await.problem(403, "forbidden");
        }
        for (wrong, words) in [
            (json!({"seconds": 0}), "1 to 604800"),
            (json!({"seconds": 604_801}), "1 to 604800"),
            (json!({"seconds": 60, "open": true}), "unknown field"),
        ] {
            let problem = host.admin.put(LEARNED, &wrong).await;
            let problem = problem.problem(400, "bad-request");
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains(words), "{detail}");
        }
        host.admin.delete(LEARNED).await.problem(409, "conflict");
        let nobody = "/v1/admin/grants/tests/none/learned";
        let of_nobody = host.admin.put(nobody, &json!({"seconds": 60})).await;
        of_nobody.problem(404, "unknown-capsule");

        let minute = json!({"seconds": 60});
        host.admin.put(LEARNED, &minute).await.expect(200);
        ask(&host, "GET", &url("/items/1")).await;
        let hour = host.admin.put(LEARNED, &json!({"seconds": 3600})).await;
        let hour = hour.expect(200);
        assert_eq!(hour["requests"].as_array().unwrap().len(), 1, "{hour}");
        let stop = ["grant", "learn", "tests/http", "--stop"];
        soma(&host, &stop).await.exits(0);
        ask(&host, "GET", &url("/items/2")).await;
        let after = learned(&host).await;
        assert_eq!(after["learning"]["is_on"], false);
        assert_eq!(seen(&host).await, ["GET /items/1 - asked -"]);

        // Begun anew, it begins with nothing, and comes to its end by itself.
        host.admin
            .put(LEARNED, &json!({"seconds": 1}))
            .await
            .expect(200);
        assert!(seen(&host).await.is_empty());
        until(async || learned(&host).await["learning"]["is_on"] == false).await;
        ask(&host, "GET", &url("/items/3")).await;
        assert!(seen(&host).await.is_empty());
        for (kind, times) in [("learning-started", 3), ("learning-stopped", 1)] {
            let query = format!("/v1/admin/audit?capsule=tests/http&kind={kind}");
            let records = host.admin.get(&query).await.expect(200);
            let records = records["records"].as_array().unwrap();
            assert_eq!(records.len(), times, "{records:?}");
        }

        host.admin.put(LEARNED, &minute).await.expect(200);
        let capsule = "/v1/capsules/tests/http";
        host.admin.delete(capsule).await.expect(204);
        host.admin
            .get(LEARNED)
            .await
            .problem(404, "unknown-capsule");
        host.install(&pack_with("http", &asking(&upstream))).await;
        assert_eq!(learned(&host).await["learning"], Value::Null);
        ask(&host, "GET", &url("/items/4")).await;
        assert_eq!(learned(&host).await["requests"], json!([]));
    });
}

#[test]
fn there_is_an_end_to_what_is_recorded() {
    Setup::default().run(async |host| {
        host.install(&pack_guest("denied_flood")).await;
        let path = "/v1/admin/grants/tests/denied-flood/learned";
        let learn = json!({"seconds": 60});
        host.admin.put(path, &learn).await.expect(200);
        let input = json!({"times": 1100, "bytes": 5, "different": true});
        host.call("denied_flood", &input).await.expect(200);
        let learned = host.admin.get(path).await.expect(200);
        assert_eq!(learned["requests"].as_array().unwrap().len(), 1000);
        assert_eq!(learned["learning"]["is_full"], true);
        let show = ["grant", "learned", "tests/denied-flood"];
        let said = soma(&host, &show).await.exits(0);
        assert!(said.out.contains("some are missing"), "{}", said.out);
    });
}

#[test]
fn a_credential_that_is_left_out_is_named() {
    let upstream = Upstream::start();
    Setup::default().run(async |host| {
        let asking = format!("{}credential = \"upstream\"\n", asking(&upstream));
        host.install(&pack_with("http", &asking)).await;
        host.admin
            .put(LEARNED, &json!({"seconds": 60}))
            .await
            .expect(200);
        ask(&host, "GET", &upstream.url("/hello")).await;
        let first = learned(&host).await;
        assert_eq!(first["credentials_left_out"], json!(["upstream"]));
        assert_eq!(first["grant"]["http"][0]["credential"], Value::Null);
        let show = ["grant", "learned", "tests/http"];
        let said = soma(&host, &show).await.exits(0).out;
        assert!(said.contains("# Credentials are not learned"), "{said}");
        assert!(said.contains("`--credential upstream`"), "{said}");

        // Granted with it, it is part of what is learned.
        let mut wanted = of(&upstream, &["GET"], &["/hello"]);
        wanted["grant"]["http"][0]["credential"] = json!("upstream");
        grant(&host, "http", &wanted).await.expect(200);
        let second = learned(&host).await;
        assert_eq!(second["credentials_left_out"], json!([]));
        assert_eq!(second["grant"]["http"][0]["credential"], "upstream");
    });
}

#[test]
fn hosts_of_one_database_learn_together() {
    let upstream = Upstream::start();
    Setup::default().run(async |host| {
        let Some(database) = host.database() else {
            return;
        };
        let other = TestHost::start(&Setup::default(), Some(database.to_owned())).await;
        let package = pack_with("http", &asking(&upstream));
        host.install(&package).await;
        other.admin.install(package.bytes()).await.expect(200);
        host.admin
            .put(LEARNED, &json!({"seconds": 60}))
            .await
            .expect(200);
        until(async || {
            ask(&other, "GET", &upstream.url("/items/1")).await;
            seen(&host).await == ["GET /items/1 - asked -"]
        })
        .await;
        host.admin.delete(LEARNED).await.expect(204);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        ask(&other, "GET", &upstream.url("/items/2")).await;
        drop(other);
        assert_eq!(seen(&host).await.len(), 1);
    });
}

#[test]
fn operations_are_learned_where_they_can_be_seen() {
    let upstream = Upstream::start();
    Setup::default().run(async |host| {
        let before = upstream.requests();
        let named = "operations = [\"query issues\", \"query viewer\"]";
        let asking = format!(
            "[[capabilities.http]]\norigin = \"{}\"\nmethods = [\"POST\"]\n\
             paths = [\"/graphql\"]\nwhy = \"A test.\"\n{named}\n",
            upstream.origin()
        );
        let query = |document: &str| {
            json!({
                "method": "POST", "url": upstream.url("/graphql"),
                "headers": {"content-type": "application/json"},
                "body": json!({"query": document}).to_string(),
            })
        };
        let path = |name: &str| format!("/v1/admin/grants/tests/{name}/learned");
        for (guest, name) in [("http", "http"), ("wasi_http", "wasi-http")] {
            host.install(&pack_with(guest, &asking)).await;
            let minute = json!({"seconds": 60});
            host.admin.put(&path(name), &minute).await.expect(200);
            for document in ["{ issues { id } }", "mutation { issueCreate { id } }"] {
                host.call(guest, &query(document)).await;
            }
        }
        assert_eq!(upstream.requests(), before);
        let learned = host.admin.get(&path("http")).await.expect(200);
        let (mutation, issues) = (&learned["requests"][0], &learned["requests"][1]);
        assert_eq!(mutation["operations"], json!(["mutation issueCreate"]));
        assert_eq!(mutation["asked"], false);
        assert_eq!(issues["operations"], json!(["query issues"]));
        assert_eq!(issues["asked"], true);
        let entries = learned["grant"]["http"].as_array().unwrap();
        assert_eq!(entries.len(), 1, "{learned}");
        assert_eq!(entries[0]["operations"], json!(["query issues"]));
        let granted = json!({"grant": learned["grant"]});
        grant(&host, "http", &granted).await.expect(200);
        for (document, requests) in [("{ issues { id } }", 1), ("{ viewer { id } }", 1)] {
            host.call("http", &query(document)).await;
            assert_eq!(upstream.requests(), before + requests, "{document}");
        }
        let learned = host.admin.get(&path("http")).await.expect(200);
        let entry = &learned["grant"]["http"][0];
        assert_eq!(entry["operations"], json!(["query issues", "query viewer"]));

        // Its body comes in pieces, and nobody waited for them.
        let learned = host.admin.get(&path("wasi-http")).await.expect(200);
        let requests = learned["requests"].as_array().unwrap();
        assert_eq!(requests.len(), 1, "{learned}");
        assert_eq!(requests[0]["operations"], Value::Null);
        assert_eq!(requests[0]["asked"], true);
        assert_eq!(learned["grant"]["http"][0]["operations"], Value::Null);
        let show = ["grant", "learned", "tests/wasi-http"];
        let said = soma(&host, &show).await.exits(0);
        assert!(said.out.contains("for every operation"), "{}", said.out);
    });
}
