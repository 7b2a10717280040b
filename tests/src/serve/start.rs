//! What `soma serve` refuses to start with, in a sentence that says what to do.

use std::process::Output;

use serde_json::json;

use crate::harness::{Setup, command};

fn serve(arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let output = command(&data)
        .arg("serve")
        .args(arguments)
        .output()
        .unwrap();
    assert!(!output.status.success(), "it started");
    output
}

#[track_caller]
fn refused(arguments: &[&str], words: &[&str]) {
    let said = String::from_utf8(serve(arguments).stderr).unwrap();
    for word in words {
        assert!(said.contains(word), "{arguments:?}: {said}");
    }
}

#[test]
fn another_address_needs_tls_or_a_proxy() {
    for address in ["0.0.0.0:0", "[::]:0"] {
        refused(
            &["--listen", address],
            &["--tls-cert", "--behind-proxy", "127.0.0.1"],
        );
    }
}

#[test]
fn another_address_needs_a_key() {
    refused(&["--listen", "0.0.0.0:0", "--behind-proxy"], &["key"]);
}

#[test]
fn behind_a_proxy_with_a_key_it_starts() {
    Setup::default().run(async |mut host| {
        host.install_guests(&["echo"]).await;
        host.restart_with(&["--listen", "0.0.0.0:0", "--behind-proxy"])
            .await;
        host.call("echo", &json!({})).await.expect(200);
        let nobody = host.invoke.with_key("");
        let answer = nobody.get("/metrics").await;
        answer.problem(401, "unauthorized");
        host.admin.get("/metrics").await.status_is(200);
    });
}

#[test]
fn behind_a_proxy_metrics_need_a_key_on_loopback_too() {
    Setup::default().run(async |mut host| {
        host.invoke
            .with_key("")
            .get("/metrics")
            .await
            .status_is(200);
        host.restart_with(&["--behind-proxy"]).await;
        let answer = host.invoke.with_key("").get("/metrics").await;
        answer.problem(401, "unauthorized");
    });
}

#[test]
fn settings_that_cannot_hold() {
    refused(&["--tls-cert", "a.pem"], &["--tls-key"]);
    refused(
        &[
            "--listen",
            "127.0.0.1:0",
            "--tls-cert",
            "/none",
            "--tls-key",
            "/none",
        ],
        &["/none"],
    );
    refused(
        &["--default-limits", "feul=1"],
        &["there is no `feul`: the names are fuel, time-ms"],
    );
    refused(
        &["--default-limits", "time-ms=999999999"],
        &["time-ms", "maximum-limits"],
    );
    refused(&["--allow-http", "https://a.example/path"], &["no path"]);
    refused(&["--config", "/none/soma.toml"], &["/none/soma.toml"]);
    refused(
        &["--listen", "127.0.0.1:0", "--database", "mysql://x"],
        &["mysql"],
    );
}

#[test]
fn a_port_that_is_taken() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let holder = std::net::TcpListener::bind(taken).unwrap();
    refused(
        &["--listen", &taken.to_string()],
        &[&taken.to_string(), "free port"],
    );
    drop(holder);
}
