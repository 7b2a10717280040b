//! `soma run --learn`: from what a capsule sends to what it is granted.

use std::fs;

use serde_json::json;

use super::{Said, soma};
use crate::harness::{Setup, Upstream, command, pack_guest, pack_with};

#[test]
fn what_was_sent_becomes_a_grant() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("http.wasm");
    fs::write(&file, pack_guest("http").bytes()).unwrap();
    let learned = folder.path().join("grant.toml");
    let run = |method: &str, url: &str, more: &[&str]| {
        let input = json!({"method": method, "url": url}).to_string();
        let mut command = command(folder.path());
        command.args(["run", file.to_str().unwrap(), "run", &input]);
        command.args(["--learn", learned.to_str().unwrap()]);
        Said::of(command.args(more).output().unwrap())
    };
    let origin = upstream.origin();
    let allow = ["--allow-http", &origin];

    // This machine is not learnt by the way.
    let said = run("GET", &upstream.url("/hello"), &[]).exits(0);
    assert!(said.out.contains("denied"), "{}", said.out);
    assert!(!learned.exists());
    let said = run("GET", &upstream.url("/hello?secret=1"), &allow).exits(0);
    assert!(
        said.err.contains(&format!("GET {origin}/hello")),
        "{}",
        said.err
    );
    run("PUT", &upstream.url("/echo"), &allow).exits(0);
    let said = run("GET", &upstream.url("/hello"), &allow).exits(0);
    assert!(said.err.contains("has all that was sent"), "{}", said.err);
    let said = run("put", &upstream.url("/echo"), &allow).exits(0);
    assert!(said.err.contains("no grant can name this"), "{}", said.err);
    let text = fs::read_to_string(&learned).unwrap();
    assert!(!text.contains("secret"), "{text}");

    Setup::default().run(async |host| {
        let lines = format!(
            "[[capabilities.http]]\norigin = \"{origin}\"\nmethods = [\"GET\", \"PUT\"]\n\
             paths = [\"/**\"]\nwhy = \"A test.\"\n"
        );
        host.install(&pack_with("http", &lines)).await;
        let set = ["grant", "set", "tests/http", "--yes", "--file"];
        let set = [&set[..], &[learned.to_str().unwrap()]].concat();
        soma(&host.data(), &set).exits(0);
        for (method, path, status) in [
            ("GET", "/hello", json!(200)),
            ("PUT", "/echo", json!(200)),
            ("GET", "/echo", json!(null)),
        ] {
            let input = json!({"method": method, "url": upstream.url(path)});
            let answer = host.call("http", &input).await.structured();
            assert_eq!(answer["status"], status, "{method} {path}: {answer}");
        }
    });

    fs::write(&learned, "[[http]]\n").unwrap();
    let said = run("GET", &upstream.url("/hello"), &allow).exits(2);
    assert!(said.err.contains("is no grant"), "{}", said.err);
}

#[test]
fn operations_are_learned_where_they_can_be_read() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("http.wasm");
    fs::write(&file, pack_guest("http").bytes()).unwrap();
    let learned = folder.path().join("grant.toml");
    let origin = upstream.origin();
    let run = |body: &str| {
        let input = json!({
            "method": "POST", "url": upstream.url("/graphql"), "body": body,
            "headers": {"content-type": "application/json"},
        });
        let mut command = command(folder.path());
        command.args(["run", file.to_str().unwrap(), "run", &input.to_string()]);
        command.args(["--learn", learned.to_str().unwrap()]);
        command.args(["--allow-http", &origin]);
        Said::of(command.output().unwrap()).exits(0)
    };
    let place = format!("POST {origin}/graphql");
    let said = run(r#"{"query": "{ issues { id } }"}"#);
    assert!(
        said.err.contains(&format!("{place} query issues\n")),
        "{}",
        said.err
    );
    let said = run(r#"{"query": "query Q { i: issues { id } }"}"#);
    assert!(said.err.contains("has all that was sent"), "{}", said.err);
    // It is sent all the same, and nobody claims to know what it does.
    let said = run(r#"{"id": "a-document-of-the-server"}"#);
    assert!(
        said.err.contains(&format!("{place}, every operation")),
        "{}",
        said.err
    );
    assert_eq!(upstream.requests(), 3);
}
