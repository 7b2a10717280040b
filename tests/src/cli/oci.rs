//! From an author to a call, by way of an OCI registry.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;
use soma_registry::oci::Registry;

use super::Said;
use super::market::{by, home, pin};
use crate::harness::{Setup, TestHost, TestMarketplace, command, echo};
use crate::oci::Distribution;

/// The registry's address for this repository.
fn address(registry: &Distribution, rest: &str) -> String {
    registry.reference(rest).to_string()
}

/// A host that takes nothing but what a log has.
async fn strict_host(market: &TestMarketplace) -> TestHost {
    let setup = Setup::default().env("SOMA_TRUST_UNLOGGED", "false");
    let host = TestHost::start(&setup, None).await;
    pin(&host.data(), market).await;
    host
}

#[test]
fn published_capsules_are_installed_from_an_oci_registry() {
    let Some(registry) = Distribution::start() else {
        return;
    };
    TestMarketplace::run(async |market| {
        let author = home(&market).await;
        let author = author.path();
        by(author, &["login", "--account", "ada"]).await.exits(0);
        let file = author.join("echo.wasm");
        fs::write(&file, echo("ada/echo", "1.0.0").await.bytes()).unwrap();
        let file = file.to_str().unwrap();
        let repository = uuid::Uuid::now_v7().simple().to_string();
        let to = address(&registry, &repository);
        let tagged = format!("{to}:1.0.0");

        // Before it is published, nothing proves it.
        let said = by(author, &["publish", file, &to]).await.exits(0);
        assert!(said.out.contains("your signature alone"), "{}", said.out);
        let host = strict_host(&market).await;
        let operator = host.data();
        let said = by(&operator, &["install", &tagged]).await.exits(1);
        assert!(said.err.contains("--unlogged"), "{}", said.err);
        let unlogged = ["install", &tagged, "--unlogged"];
        let said = by(&operator, &unlogged).await.exits(4);
        assert!(said.err.contains("unlogged"), "{}", said.err);

        // Once it is, the proof goes along, and a bundle from anybody else does no harm.
        by(author, &["publish", file, "--yes"]).await.exits(0);
        let said = by(author, &["publish", file, &to, "--json"]).await.exits(0);
        assert_eq!(said.json()["logged"], true);
        assert_eq!(said.json()["reference"], tagged);
        let package = echo("ada/echo", "1.0.0").await;
        let there = registry.reference(&repository);
        for noise in [&b"{}"[..], b"no bundle"] {
            let pusher = Registry::new(None);
            let pushed = pusher.push(&package, Some(noise), &there).await;
            pushed.unwrap();
        }
        let lock = operator.join("capsules.lock");
        let lock = lock.to_str().unwrap();
        let install = ["install", &tagged, "--lock", lock, "--json"];
        let said = by(&operator, &install).await.exits(0).json();
        assert_eq!(said["leaf"], 1, "{said}");
        assert_eq!(said["digest"], package.digest().to_string());
        let call = ["call", "ada/echo", "run", "{\"a\": 1}", "--json"];
        let call = by(&operator, &call).await.exits(0).json();
        assert_eq!(call["output"]["structured"], json!({"a": 1}));
        by(&operator, &["uninstall", "ada/echo", "--yes"])
            .await
            .exits(0);
        by(&operator, &["install", "--lock", lock]).await.exits(0);

        // Another file under the same name and version is refused where it would be pushed.
        let other = author.join("other.wasm");
        let changed = crate::harness::as_capsule("with_sdk", "ada/echo", "1.0.0").await;
        fs::write(&other, changed.bytes()).unwrap();
        let said = by(author, &["publish", other.to_str().unwrap(), &to]).await;
        let said = said.exits(1);
        assert!(said.err.contains("not as this file"), "{}", said.err);

        by(author, &["yank", "ada/echo@1.0.0"]).await.exits(0);
        let revoke = ["revoke", "ada/echo@1.0.0", "--reason", "A test."];
        by(author, &revoke).await.exits(2);
        by(author, &[&revoke[..], &["--yes"]].concat())
            .await
            .exits(0);
        let said = by(&operator, &["install", &tagged]).await.exits(1);
        assert!(said.err.contains("A test."), "{}", said.err);
        let said = by(&operator, &["call", "ada/echo", "run", "{}"]).await;
        assert!(said.exits(1).err.contains("soma outdated"));
    });
}

/// `soma` with this folder as home, where docker keeps its logins.
fn with_docker(home: &Path, arguments: &[&str]) -> Said {
    let mut command = command(home);
    command.args(arguments).env("DOCKER_CONFIG", home);
    command.env("SOMA_KEY_FILE", home.join("test.key"));
    Said::of(command.output().expect("soma"))
}

#[tokio::test]
async fn what_docker_login_left_opens_a_locked_registry() {
    let Some((registry, password)) = Distribution::start_locked() else {
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    super::market::write_key(home, &soma_registry::SecretKey::generate().unwrap());
    let file = home.join("echo.wasm");
    fs::write(&file, echo("ada/echo", "1.0.0").await.bytes()).unwrap();
    let file = file.to_str().unwrap();
    let to = address(&registry, "tests/locked");
    let host = registry.reference("a").host();

    let said = with_docker(home, &["publish", file, &to]).exits(4);
    assert!(said.err.contains("docker login"), "{}", said.err);
    let login = |auth: &str| {
        let config = json!({"auths": {&host: {"auth": auth}}});
        fs::write(home.join("config.json"), config.to_string()).unwrap();
    };
    login("%");
    let said = with_docker(home, &["publish", file, &to]).exits(4);
    assert!(said.err.contains("config.json"), "{}", said.err);
    login(&BASE64_STANDARD.encode(format!("docker:{password}")));
    let said = with_docker(home, &["publish", file, &to]).exits(0);
    assert!(said.out.contains("tests/locked:1.0.0"), "{}", said.out);
    assert!(!said.err.contains(&password), "{}", said.err);

    for (words, code, arguments) in [
        ("begins with", 2, ["publish", file, "ghcr.io/a/b"]),
        ("not a repository", 2, ["publish", file, "oci://h/A"]),
        (
            "names a digest",
            2,
            ["publish", file, &format!("{to}@{}", digest())],
        ),
        ("Add `:TAG`", 2, ["install", "--unlogged", &to]),
        (
            "there is none",
            5,
            ["install", "--unlogged", &format!("{to}:9")],
        ),
        (
            "cannot be reached",
            3,
            ["install", "--unlogged", "oci://127.0.0.1:1/a:1"],
        ),
    ] {
        let serving = crate::harness::TestHost::start(&Setup::default(), None).await;
        let mut command = command(&serving.data());
        command.args(arguments).env("DOCKER_CONFIG", home);
        command.env("SOMA_KEY_FILE", home.join("test.key"));
        let said = Said::of(command.output().expect("soma")).exits(code);
        assert!(said.err.contains(words), "{words}: {}", said.err);
    }
}

fn digest() -> String {
    soma_capability::Digest::of(b"").to_string()
}
