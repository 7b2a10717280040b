//! What a host takes on trust: installing from a marketplace, what is refused and why, and what
//! happens once something is revoked. The marketplace is a [`FalseLog`], whose key the tests hold.

mod brought;
mod cli;
mod consent;
mod install;
mod log;
mod policy;
mod revoked;
mod tampered;

use serde_json::{Value, json};
use soma_registry::Package;

use crate::harness::{Answer, FalseLog, Setup, TestHost, component, pack_version};

/// A host that looks at its logs every second.
fn setup() -> Setup {
    Setup::default().flag("--trust-revocation-interval", "1")
}

/// `acme/echo` in this version.
fn echo(version: &str) -> Package {
    pack_version(&component("echo"), "acme/echo", version, "")
}

/// Tells the host of these marketplaces.
fn know(host: &TestHost, logs: &[&FalseLog]) {
    let file = host.data().join("marketplaces.toml");
    std::fs::write(file, crate::harness::marketplaces(logs)).unwrap();
}

/// Asks for the newest `acme/echo`.
async fn install(host: &TestHost) -> Answer {
    wanted(host, json!({"package": "acme/echo"})).await
}

async fn wanted(host: &TestHost, wanted: Value) -> Answer {
    host.admin.post("/v1/capsules", &wanted).await
}

async fn call(host: &TestHost) -> Answer {
    host.invoke.call("acme/echo", "run", &json!({"a": 1})).await
}

/// The problem's words, which must hold these.
#[track_caller]
fn says(problem: &Value, words: &str) {
    let detail = problem["detail"].as_str().unwrap_or_default();
    assert!(detail.contains(words), "{detail}");
}
