//! `--json`: every command's result is one JSON text on standard output, every error one on
//! standard error with nothing beside it.

use std::fs;

use serde_json::{Value, json};

use super::{Said, author, soma};
use crate::harness::{Setup, TestHost, command, component, pack_guest};

async fn at(host: &TestHost, arguments: &[&str]) -> Said {
    let mut command = command(&host.data());
    command.arg("--json").args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    Said::of(output.unwrap().expect("soma"))
}

/// The result of a command that must have nothing else to say.
#[track_caller]
fn result(said: Said) -> Value {
    let said = said.exits(0);
    assert_eq!(said.err, "");
    said.json()
}

#[test]
fn a_command_line_that_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, words) in [
        (&["--json", "frobnicate"][..], "frobnicate"),
        (&["frobnicate", "--json"], "frobnicate"),
        (&["--json"], "command is missing"),
        (&["--json", "key"], "command is missing"),
        (&["call", "--json"], "<CAPSULE>"),
        (&["call", "not a name", "run", "--json"], "not a name"),
        (&["list", "--host", "no URL", "--json"], "no URL"),
    ] {
        let error = soma(folder.path(), arguments).exits(2).json_error();
        assert!(
            error["message"].as_str().unwrap().contains(words),
            "{error}"
        );
    }
    // What is no error stays as it is, and so does `--json` that is not meant.
    let help = soma(folder.path(), &["--json", "--help"]).exits(0);
    assert!(help.out.contains("Exit codes"), "{}", help.out);
    let plain = soma(folder.path(), &["frobnicate", "--", "--json"]).exits(2);
    assert!(plain.err.starts_with("error: "), "{}", plain.err);
}

#[test]
fn what_an_author_does() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        Said::of(
            author(folder.path())
                .arg("--json")
                .args(arguments)
                .output()
                .unwrap(),
        )
    };
    let made = result(run(&["new", "hello"]));
    assert_eq!(made, json!({"name": "local/hello", "path": "hello"}));
    let error = run(&["new", "hello"]).exits(2).json_error();
    assert!(
        error["message"].as_str().unwrap().contains("hello"),
        "{error}"
    );

    // cargo's words are in the error, not around it.
    fs::write(folder.path().join("hello/Cargo.toml"), "[package").unwrap();
    let error = run(&["build", "hello"]).exits(1).json_error();
    let words = error["details"].to_string();
    assert!(words.contains("Cargo.toml:1"), "{error}");

    fs::write(folder.path().join("echo.component.wasm"), component("echo")).unwrap();
    let build = ["build", "hello", "--component", "echo.component.wasm"];
    let built = result(run(&build));
    assert_eq!(built["name"], "local/hello");
    fs::write(folder.path().join("bad.wasm"), "no").unwrap();
    run(&["build", "hello", "--component", "bad.wasm"])
        .exits(1)
        .json_error();
    run(&["install", "hello"]).exits(3).json_error();
}

#[test]
fn what_an_operator_does() {
    Setup::default().run(async |host| {
        let file = host.data().join("echo.wasm");
        fs::write(&file, pack_guest("echo").bytes()).unwrap();
        let file = file.to_str().unwrap();
        let installed = result(at(&host, &["install", file]).await);
        assert_eq!(installed["name"], "tests/echo");
        assert_eq!(installed["change"], "created");
        let again = result(at(&host, &["install", file]).await);
        assert_eq!(again["change"], "unchanged");
        let gone = result(at(&host, &["uninstall", "tests/echo", "--yes"]).await);
        assert_eq!(gone, json!({"uninstalled": "tests/echo"}));
        let error = at(&host, &["uninstall", "tests/echo", "--yes"])
            .await
            .exits(5)
            .json_error();
        assert_eq!(error["data"]["status"], 404);

        let tenant = async |action: &str| result(at(&host, &["tenant", action, "acme"]).await);
        assert_eq!(tenant("create").await["name"], "acme");
        let error = at(&host, &["tenant", "create", "acme"])
            .await
            .exits(1)
            .json_error();
        assert_eq!(error["data"]["status"], 409);
        let list = result(at(&host, &["tenant", "list"]).await);
        assert!(list["tenants"].as_array().unwrap().len() == 2, "{list}");

        let key = result(at(&host, &["key", "create", "--tenant", "acme"]).await);
        let (id, secret) = (key["id"].as_str().unwrap(), &key["secret"]);
        assert!(secret.as_str().unwrap().starts_with("soma_"), "{key}");
        let list = result(at(&host, &["key", "list", "--tenant", "acme"]).await);
        assert_eq!(list["keys"][0]["id"], id);
        let rotated = result(at(&host, &["key", "rotate", id]).await);
        assert_ne!(rotated["secret"], *secret);
        assert_eq!(
            result(at(&host, &["key", "revoke", id]).await),
            json!({"revoked": id})
        );
        at(&host, &["key", "revoke", "0000000000000000"])
            .await
            .exits(5)
            .json_error();

        for (action, done) in [("suspend", "suspended"), ("resume", "resumed")] {
            assert_eq!(tenant(action).await, json!({done: "acme"}));
        }
        let deleted = result(at(&host, &["tenant", "delete", "acme", "--yes"]).await);
        assert_eq!(deleted, json!({"deleted": "acme"}));
    });
}
