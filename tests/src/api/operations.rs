//! Where one path has many operations, those that are asked for and granted are sent, by either door.

use serde_json::{Value, json};

use super::key;
use crate::cli::beside as soma;
use crate::harness::{Setup, TestHost, Upstream, pack_with};

const DOORS: [&str; 2] = ["http", "wasi_http"];

/// What `capsule.toml` has to say for this.
fn asking(upstream: &Upstream, path: &str, more: &str) -> String {
    let origin = upstream.origin();
    format!(
        "[[capabilities.http]]\norigin = \"{origin}\"\nmethods = [\"GET\", \"POST\"]\n\
         paths = [\"{path}\"]\nwhy = \"A test.\"\n{more}\n"
    )
}

fn entry(upstream: &Upstream, path: &str, operations: &[&str]) -> Value {
    let mut entry = json!({
        "origin": upstream.origin(), "methods": ["GET", "POST"], "paths": [path],
    });
    if !operations.is_empty() {
        entry["operations"] = json!(operations);
    }
    entry
}

async fn grant(host: &TestHost, guest: &str, entries: &[Value]) {
    let wanted = json!({"grant": {"http": entries}});
    let granted = host.grant(&TestHost::capsule(guest), &wanted).await;
    granted.expect(200);
}

/// What the upstream saw, or why it saw nothing; the other door does not say why.
async fn send(host: &TestHost, guest: &str, input: &Value) -> Result<Value, String> {
    let answer = host.call(guest, input).await;
    if guest == "wasi_http" && answer.status == 424 {
        return Err(String::new());
    }
    let answer = answer.structured();
    match answer["error"].as_str() {
        Some(error) => Err(error.to_owned()),
        None => Ok(serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()),
    }
}

fn post(upstream: &Upstream, media_type: &str, body: &str) -> Value {
    json!({
        "method": "POST", "url": upstream.url("/graphql"),
        "headers": {"content-type": media_type}, "body": body,
    })
}

fn query(upstream: &Upstream, document: &str) -> Value {
    post(
        upstream,
        "application/json",
        &json!({"query": document}).to_string(),
    )
}

/// Asked: reading issues and who one is, filing issues. Granted: reading issues, filing and deleting.
async fn install(host: &TestHost, guest: &str, upstream: &Upstream) {
    let named = "operations = [\"query issues\", \"query viewer\", \"mutation issueCreate\"]";
    let lines = asking(upstream, "/graphql", named);
    host.install(&pack_with(guest, &lines)).await;
    let granted = [
        "query issues",
        "mutation issueCreate",
        "mutation issueDelete",
    ];
    grant(host, guest, &[entry(upstream, "/graphql", &granted)]).await;
}

#[test]
fn what_is_asked_and_granted_is_sent_as_it_was_read() {
    let upstream = Upstream::start();
    Setup::default().run(async |host| {
        for guest in DOORS {
            install(&host, guest, &upstream).await;
            for document in [
                "{ issues { id } }",
                "query A { viewer: issues { id } }",
                "mutation { issueCreate(title: \"} mutation { issueDelete }\") { id } }",
                "{ ...F } fragment F on Query { ... { issues { id } } }",
                "query A { issues { id } } mutation B { issueCreate { id } }",
            ] {
                let input = query(&upstream, document);
                let seen = send(&host, guest, &input).await;
                let seen = seen.unwrap_or_else(|error| panic!("{guest}: {document}: {error}"));
                assert_eq!(seen["body"], input["body"], "{guest}");
            }
            let batch = json!([{"query": "{ issues { id } }"}, {"query": "mutation { issueCreate { id } }"}]);
            let batch = post(&upstream, "application/json", &batch.to_string());
            assert_eq!(send(&host, guest, &batch).await.unwrap()["body"], batch["body"]);
            let text = post(&upstream, "application/graphql", "{ issues { id } }");
            assert_eq!(send(&host, guest, &text).await.unwrap()["body"], text["body"]);
            let get = json!({"url": upstream.url("/graphql?query=%7Bissues%7Bid%7D%7D&variables=%7B%7D")});
            let seen = send(&host, guest, &get).await.unwrap();
            assert_eq!(seen["query"], "query=%7Bissues%7Bid%7D%7D&variables=%7B%7D");
        }
    });
}

#[test]
fn nothing_else_is_sent() {
    let upstream = Upstream::start();
    Setup::default().run(async |host| {
        let before = upstream.requests();
        let by_hash = json!({"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "00"}}});
        let body = |text: &str| post(&upstream, "application/json", text);
        let mut encoded = query(&upstream, "{ issues { id } }");
        encoded["headers"]["content-encoding"] = json!("gzip");
        let mut with_query = query(&upstream, "{ issues { id } }");
        with_query["url"] = json!(upstream.url("/graphql?query=%7Bviewer%7Bid%7D%7D"));
        let get = upstream.url("/graphql?query=mutation%7BissueDelete%7D");
        let large = format!("{{ issues(x: \"{}\") }}", "x".repeat(1 << 20));
        let cases = [
            // Asked and not granted, granted and not asked, neither.
            (query(&upstream, "{ viewer { id } }"), "denied"),
            (query(&upstream, "mutation { issueDelete(id: 1) }"), "denied"),
            (query(&upstream, "{ __schema { types { name } } }"), "denied"),
            (query(&upstream, "mutation { issues { id } }"), "denied"),
            (query(&upstream, "subscription { issues { id } }"), "denied"),
            (query(&upstream, "{ issues { id } viewer { id } }"), "denied"),
            (query(&upstream, "{ issues: viewer { id } }"), "denied"),
            (query(&upstream, "{ issues { id } ... { viewer { id } } }"), "denied"),
            (query(&upstream, "{ ...F } fragment F on Query { viewer { id } }"), "denied"),
            (query(&upstream, "query A { issues { id } } query B { viewer { id } }"), "denied"),
            (body(r#"[{"query": "{ issues { id } }"}, {"query": "{ viewer { id } }"}]"#), "denied"),
            (body(&by_hash.to_string()), "denied"),
            (json!({"url": get}), "denied"),
            (body(r#"{"query": "{ issues { id } }", "query": "{ viewer { id } }"}"#), "invalid-request"),
            (body(r#"{"query": "{ issues { id } }", "id": "viewer"}"#), "invalid-request"),
            (body("not JSON"), "invalid-request"),
            (query(&upstream, "{ issues { id }"), "invalid-request"),
            (query(&upstream, &"{ issues ".repeat(10_000)), "invalid-request"),
            (post(&upstream, "multipart/form-data; boundary=x", "--x--"), "invalid-request"),
            (post(&upstream, "text/plain", "{ issues { id } }"), "invalid-request"),
            (encoded, "invalid-request"),
            (with_query, "invalid-request"),
            (json!({"url": upstream.url("/graphql")}), "invalid-request"),
            (query(&upstream, &large), "too-large"),
        ];
        for guest in DOORS {
            install(&host, guest, &upstream).await;
            for (input, error) in &cases {
                let refused = send(&host, guest, input).await.unwrap_err();
                let body: String = input.to_string().chars().take(200).collect();
                assert!(refused == *error || refused.is_empty(), "{guest}: {body}: {refused}");
            }
        }
        assert_eq!(upstream.requests(), before);
        let answer = host.call("http", &query(&upstream, "{ viewer { id } }")).await;
        let missing = format!("no grant covers POST {}/graphql query viewer", upstream.origin());
        assert_eq!(answer.structured()["message"], missing);
        let remedy = format!("an entry `POST {}/graphql query viewer`", upstream.origin());
        host.logged(&remedy).await;
        host.logged("that names no operations, in the manifest").await;

        // Collected before it is looked at.
        install(&host, "http_stream", &upstream).await;
        let streamed = |chunks: &[&str]| {
            let url = upstream.url("/graphql");
            json!({"urls": [url], "chunks": chunks, "headers": {"content-type": "application/json"}})
        };
        let input = streamed(&["{\"query\": \"{ iss", "ues { id } }\"}"]);
        let answer = host.call("http_stream", &input).await.structured();
        assert_eq!(answer[0]["status"], 200, "{answer}");
        let before = upstream.requests();
        let input = streamed(&["{\"query\": \"{ view", "er { id } }\"}"]);
        let answer = host.call("http_stream", &input).await;
        answer.problem(424, "tool-failed");
        assert_eq!(upstream.requests(), before);
    });
}

#[test]
fn an_entry_gives_its_credential_to_its_operations() {
    let upstream = Upstream::start();
    Setup::default().run(async |host| {
        let named = "operations = [\"query *\"]\ncredential = \"reader\"";
        let lines = asking(&upstream, "/graphql", named) + &asking(&upstream, "/graphql", "");
        host.install(&pack_with("http", &lines)).await;
        let mut with = entry(&upstream, "/graphql", &["query *"]);
        with["credential"] = json!("reader");
        let without = entry(&upstream, "/graphql", &[]);
        grant(&host, "http", &[with, without]).await;
        let path = "/v1/admin/secrets/reader?tenant=default";
        host.admin
            .put(path, &json!({"value": "a-token"}))
            .await
            .expect(200);
        let authorization = async |input: &Value| {
            let seen = send(&host, "http", input).await.unwrap();
            let fields = seen["headers"].as_array().unwrap().iter();
            fields.filter(|pair| pair[0] == "authorization").count()
        };
        for (document, count) in [
            ("{ issues { id } }", 1),
            ("mutation { issueCreate { id } }", 0),
            ("query A { a } mutation B { b }", 0),
        ] {
            let input = query(&upstream, document);
            assert_eq!(authorization(&input).await, count, "{document}");
        }
        // What cannot be read goes by the entry that names nothing, and so without.
        let input = post(&upstream, "text/plain", "{ issues { id } }");
        assert_eq!(authorization(&input).await, 0);
    });
}

#[test]
fn actions_of_aws_are_granted_by_name() {
    let upstream = Upstream::start();
    Setup::default().run(async |host| {
        let form = |body: &str| {
            let headers = json!({"content-type": "application/x-www-form-urlencoded"});
            json!({"method": "POST", "url": upstream.url("/"), "headers": headers, "body": body})
        };
        let target = |action: &str| {
            let headers = json!({"content-type": "application/x-amz-json-1.0", "x-amz-target": action});
            json!({"method": "POST", "url": upstream.url("/"), "headers": headers, "body": "{}"})
        };
        let mut both = target("DynamoDB_20120810.GetItem");
        both["url"] = json!(upstream.url("/?Action=DescribeInstances"));
        let named = "operations = [\"DescribeInstances\", \"DynamoDB_20120810.GetItem\", \"StopInstances\"]\n\
                     credential = \"aws\"";
        let secret = json!({
            "value": "a-secret-key",
            "as": {"kind": "sigv4", "access_key_id": "AKIDEXAMPLE", "region": "eu-1", "service": "ec2"},
        });
        let path = "/v1/admin/secrets/aws?tenant=default";
        host.admin.put(path, &secret).await.expect(200);
        for guest in DOORS {
            host.install(&pack_with(guest, &asking(&upstream, "/", named))).await;
            let granted = ["DescribeInstances", "DynamoDB_20120810.GetItem", "TerminateInstances"];
            let mut granted = entry(&upstream, "/", &granted);
            granted["credential"] = json!("aws");
            grant(&host, guest, &[granted]).await;
            let before = upstream.requests();
            for (input, error) in [
                (form("Action=TerminateInstances&InstanceId.1=i-1"), "denied"),
                (form("Action=StopInstances&InstanceId.1=i-1"), "denied"),
                (target("DynamoDB_20120810.DeleteItem"), "denied"),
                (form("Action=DescribeInstances&Action=TerminateInstances"), "invalid-request"),
                (form("Action=DescribeInstances;Action=TerminateInstances"), "invalid-request"),
                (form("Version=2016-11-15"), "invalid-request"),
                (both.clone(), "invalid-request"),
                (json!({"url": upstream.url("/?Action=TerminateInstances")}), "denied"),
            ] {
                let refused = send(&host, guest, &input).await.unwrap_err();
                assert!(refused == error || refused.is_empty(), "{guest}: {input}: {refused}");
            }
            assert_eq!(upstream.requests(), before);
            for input in [
                form("Action=DescribeInstances&Version=2016-11-15"),
                target("DynamoDB_20120810.GetItem"),
                json!({"url": upstream.url("/?Action=DescribeInstances")}),
            ] {
                let seen = send(&host, guest, &input).await;
                let seen = seen.unwrap_or_else(|error| panic!("{guest}: {input}: {error}"));
                assert_eq!(seen["body"].as_str().unwrap_or_default(), input["body"].as_str().unwrap_or_default());
                assert!(seen.to_string().contains("Credential=AKIDEXAMPLE/"), "{seen}");
            }
        }
        host.logged("StopInstances` beside").await;
    });
}

#[test]
fn a_key_may_do_less_of_them() {
    let upstream = Upstream::start();
    Setup::default().run(async |host| {
        let before = upstream.requests();
        let lines = asking(&upstream, "/graphql", "");
        host.install(&pack_with("http", &lines)).await;
        grant(&host, "http", &[entry(&upstream, "/graphql", &[])]).await;
        let left = json!({"http": [entry(&upstream, "/graphql", &["query issues"])]});
        let wanted = json!({
            "tenant": "default", "scopes": ["invoke"], "narrowed": {"tests/http": left},
        });
        let less = key(&host, wanted).await;
        for (document, told) in [
            ("{ issues { id } }", None),
            (
                "{ viewer { id } }",
                Some("the key of this call does not allow POST"),
            ),
            (
                "{ issues { id } viewer { id } }",
                Some("the key of this call"),
            ),
        ] {
            let input = query(&upstream, document);
            let answer = less.call("tests/http", "run", &input).await.structured();
            match told {
                None => assert_eq!(answer["status"], 200, "{answer}"),
                Some(words) => assert!(answer.to_string().contains(words), "{answer}"),
            }
            send(&host, "http", &input).await.unwrap();
        }
        assert_eq!(upstream.requests() - before, 4);
    });
}

#[test]
fn an_operator_reads_and_grants_operations() {
    let upstream = Upstream::start();
    Setup::default().run(async |host| {
        let file = host.data().join("http.wasm");
        std::fs::write(
            &file,
            pack_with("http", &asking(&upstream, "/graphql", "")).bytes(),
        )
        .unwrap();
        let said = soma(&host, &["install", file.to_str().unwrap()])
            .await
            .exits(0);
        assert!(
            said.err.contains("/graphql, for every operation"),
            "{}",
            said.err
        );
        let whole = format!("POST {}/graphql", upstream.origin());
        let set = async |requests: &str| {
            soma(
                &host,
                &["grant", "set", "tests/http", "--yes", "--http", requests],
            )
            .await
        };
        let show = async || {
            soma(&host, &["grant", "show", "tests/http"])
                .await
                .exits(0)
                .out
        };
        let said = set(&whole).await.exits(0);
        assert!(
            said.out.contains("/graphql, every operation"),
            "{}",
            said.out
        );
        assert!(show().await.contains("/graphql, every operation"));
        let some = format!("{whole} query issues, mutation issueCreate");
        set(&some).await.exits(0);
        let shown = show().await;
        assert!(shown.contains(&some), "{shown}");
        assert!(!shown.contains("/graphql, every operation"), "{shown}");
        let diff = soma(&host, &["grant", "diff", "tests/http"])
            .await
            .exits(0)
            .out;
        assert!(diff.contains(&some), "{diff}");
        let input = query(&upstream, "{ issues { id } }");
        send(&host, "http", &input).await.unwrap();
        let input = query(&upstream, "{ viewer { id } }");
        assert_eq!(send(&host, "http", &input).await.unwrap_err(), "denied");
        let said = set(&format!("{whole} query issues, GetItem"))
            .await
            .exits(2);
        assert!(
            said.err.contains("either GraphQL's or AWS's"),
            "{}",
            said.err
        );
        // An update that names fewer asks for no more; one that names none asks for more.
        let named = asking(&upstream, "/graphql", "operations = [\"query issues\"]");
        std::fs::write(&file, pack_with("http", &named).bytes()).unwrap();
        let said = soma(&host, &["install", file.to_str().unwrap(), "--yes"])
            .await
            .exits(0);
        assert!(said.err.contains("+ may send GET and POST"), "{}", said.err);
        assert!(said.err.contains("for query issues alone"), "{}", said.err);
    });
}
