//! A disk without room, and a database that lets nobody in.

use serde_json::json;

use crate::harness::{OwnDatabase, Prometheus, TestHost, Upstream, until};

/// The longest file of records, in bytes: no more fits.
fn bytes(host: &TestHost) -> u64 {
    let files = host.data().join("audit/records").read_dir().unwrap();
    let sizes = files.map(|file| file.unwrap().metadata().unwrap().len());
    sizes.max().unwrap()
}

pub(super) async fn the_disk_is_full(
    prometheus: &Prometheus,
    host: &TestHost,
    upstream: &Upstream,
) {
    host.install_guests(&["http"]).await;
    let hello = json!({"url": upstream.url("/hello")});
    host.call("http", &hello).await.expect(200);
    // There is no room any more when a call has sent something and has not been answered.
    let before = upstream.requests();
    let gate = json!({"url": upstream.url("/gate")});
    let call = host.call("http", &gate);
    let full = async {
        upstream.arrived(before + 1).await;
        host.limit_files(Some(bytes(host)));
        upstream.open_gate(1);
    };
    let (answer, ()) = tokio::join!(call, full);
    answer.problem(500, "outcome-unknown");

    let refused = async || {
        for _ in 0..3 {
            let answer = host.call("http", &hello).await;
            answer.problem(503, "audit-unwritable");
        }
    };
    let alerts = [
        "SomaOutcomesUnknown",
        "SomaAuditUnwritable",
        "SomaHostNotReady",
        "SomaTurningAway",
    ];
    prometheus.fires(host.address(), &alerts, refused).await;
    host.limit_files(None);
    until(async || host.call("http", &hello).await.status == 200).await;
    prometheus.ends(host.address(), "SomaAuditUnwritable").await;
}

/// It comes back in the end.
pub(super) async fn the_database_is_gone(
    prometheus: &Prometheus,
    on_postgres: Option<(TestHost, OwnDatabase)>,
) {
    let Some((host, database)) = on_postgres else {
        return;
    };
    database.close().await;
    let ask = async || {
        for _ in 0..3 {
            let answer = host.admin.get("/v1/admin/tenants").await;
            assert!(answer.status >= 500, "{}", answer.text);
        }
    };
    let alerts = [
        "SomaDatabaseDown",
        "SomaDatabaseFailing",
        "SomaHostNotReady",
        "SomaInternalErrors",
        "SomaHostFailing",
    ];
    prometheus.fires(host.address(), &alerts, ask).await;
    database.open().await;
    prometheus.ends(host.address(), "SomaDatabaseDown").await;
    host.admin.get("/v1/admin/tenants").await.expect(200);
    drop(host);
    database.drop().await;
}
