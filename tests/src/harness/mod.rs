//! What the tests stand on: hosts, their databases, the guests packed, and servers for guests to
//! call.

mod answer;
mod backup;
mod client;
mod database;
mod false_log;
mod host;
mod marketplace;
mod oidc;
mod packages;
mod paths;
mod prometheus;
mod recorder;
mod s3;
mod setup;
mod upstream;
mod vault;
mod witness;

pub(crate) use answer::Answer;
pub(crate) use backup::{backed_up, database_flag, end, repack, rows, unpacked};
pub(crate) use client::{Client, send};
pub(crate) use database::{Database, OwnDatabase, postgres};
pub(crate) use false_log::{FalseLog, marketplaces, note_secret, unix_time};
pub(crate) use host::{TestHost, command};
pub(crate) use marketplace::{
    Author, Offer, TestMarketplace, as_capsule, capsule_name, echo, owner, problem, version,
};
pub(crate) use oidc::Oidc;
pub(crate) use packages::{component, pack, pack_described, pack_guest, pack_version, pack_with};
pub(crate) use paths::{repository, soma, target, wrapper_of_names};
pub(crate) use prometheus::Prometheus;
pub(crate) use recorder::Recorder;
pub(crate) use s3::S3;
pub(crate) use setup::Setup;
pub(crate) use upstream::{Upstream, encoded};
pub(crate) use vault::{DocumentedVault, ROLE_ID};
pub(crate) use witness::TestWitness;

/// Whether the slow tests run too.
pub(crate) fn full() -> bool {
    std::env::var("SOMA_TEST").is_ok_and(|depth| depth == "full")
}

/// Says that something was not tested since this machine lacks what it takes. CI must not lack it.
#[track_caller]
pub(crate) fn lacking(what: &str) {
    let in_ci = std::env::var("CI").as_deref() == Ok("true");
    assert!(!in_ci, "CI must not go without {what}");
    skipped(what);
}

/// Says that something was not tested, past the test runner's capture of what passing tests say.
pub(crate) fn skipped(what: &str) {
    use std::io::Write as _;
    // Nothing is lost where standard error is closed.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what}");
}

/// Waits until this is so.
pub(crate) async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !is_so().await {
        assert!(std::time::Instant::now() < deadline, "it never was");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
