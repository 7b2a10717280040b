//! What a host records: all of it, before it is too late, and so that a change is seen.

mod disk;
mod receipts;
mod records;
mod start;
mod tampered;

use std::fs;

use serde_json::{Value, json};

use crate::harness::{TestHost, Upstream, pack_with};

/// The records of this kind, the newest first.
async fn records(host: &TestHost, kind: &str) -> Vec<Value> {
    let path = format!("/v1/admin/audit?kind={kind}");
    let answer = host.admin.get(&path).await.expect(200);
    answer["records"].as_array().unwrap().clone()
}

/// All lines as they are on disk.
fn on_disk(host: &TestHost) -> String {
    let records = host.data().join("audit/records");
    let mut files: Vec<_> = fs::read_dir(records)
        .unwrap()
        .map(|it| it.unwrap().path())
        .collect();
    files.sort();
    let texts = files.iter().map(|file| fs::read_to_string(file).unwrap());
    texts.collect()
}

/// Installs the guest that sends requests, with all of this upstream granted.
async fn install_sender(host: &TestHost, upstream: &Upstream) {
    let origin = upstream.origin();
    let lines = format!(
        "[[capabilities.http]]\norigin = \"{origin}\"\nmethods = [\"GET\"]\npaths = [\"/**\"]\n\
         why = \"A test.\"\n"
    );
    host.install(&pack_with("http", &lines)).await;
    let entry = json!({"origin": origin, "methods": ["GET"], "paths": ["/**"]});
    let wanted = json!({"grant": {"http": [entry]}});
    let granted = host.grant(&TestHost::capsule("http"), &wanted).await;
    granted.expect(200);
}
