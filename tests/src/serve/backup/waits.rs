//! What was revoked since the backup is known before the first call.

use serde_json::json;
use soma_registry::{Change, SecretKey};

use super::{is_ready, restored};
use crate::harness::{
    FalseLog, Setup, TestHost, backed_up, component, marketplaces, pack_version, until, version,
};

fn setup() -> Setup {
    Setup::default().flag("--trust-revocation-interval", "1")
}

/// A log with `acme/echo`, and a host that has it from there.
async fn installed(host: &TestHost) -> (FalseLog, Change, SecretKey) {
    let mut log = FalseLog::start("log.test");
    let acme = log.publisher("acme");
    let echo = pack_version(&component("echo"), "acme/echo", "1.0.0", "");
    log.publish(&acme, &echo);
    let file = host.data().join("marketplaces.toml");
    std::fs::write(file, marketplaces(&[&log])).unwrap();
    let wanted = json!({"package": "acme/echo"});
    host.admin.post("/v1/capsules", &wanted).await.expect(201);
    let revoke = Change::Revoke {
        capsule: "acme/echo".parse().unwrap(),
        version: version("1.0.0"),
        reason: "it sends secrets away".to_owned(),
    };
    (log, revoke, acme.key)
}

#[test]
fn no_call_runs_before_every_log_was_looked_at() {
    setup().run(async |host| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("b.tar");
        let (mut log, revoke, key) = installed(&host).await;
        backed_up(&host, &file).await.exits(0);
        log.change(&[&key], revoke);
        log.set_down(true);

        let mut again = restored(&setup(), None, &file).await;
        let call = async |host: &TestHost| host.invoke.call("acme/echo", "run", &json!({})).await;
        // A start anew does not end the wait.
        for _ in 0..2 {
            again.logged("could not be followed").await;
            let problem = call(&again).await.problem(503, "not-ready");
            let detail = problem["detail"].as_str().unwrap();
            assert!(
                detail.contains("backup") && detail.contains("log.test"),
                "{detail}"
            );
            again.invoke.get("/readyz").await.problem(503, "not-ready");
            assert_eq!(again.metric("soma_ready").await, 0.0);
            // Whoever is to help can.
            again.admin.get("/v1/admin/logs").await.expect(200);
            again.restart(|_| {}).await;
        }
        log.set_down(false);
        let mut statuses = Vec::new();
        until(async || {
            statuses.push(call(&again).await.status);
            statuses.last() == Some(&410)
        })
        .await;
        assert!(!statuses.contains(&200), "{statuses:?}");
        call(&again).await.problem(410, "revoked");
        is_ready(&again).await;
        let records = again.admin.get("/v1/admin/audit?kind=restored").await;
        assert_eq!(records.expect(200)["records"].as_array().unwrap().len(), 1);
        assert!(!again.data().join("restored.json").exists());
    });
}

#[test]
fn a_marketplace_that_is_gone_is_removed_and_the_wait_ends() {
    setup().run(async |host| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("b.tar");
        let (log, ..) = installed(&host).await;
        backed_up(&host, &file).await.exits(0);
        log.set_down(true);
        let again = restored(&setup(), None, &file).await;
        again.logged("could not be followed").await;
        again.invoke.get("/readyz").await.problem(503, "not-ready");
        // A list that is missing, since somebody replaces it, is nobody's word.
        let list = again.data().join("marketplaces.toml");
        std::fs::remove_file(&list).unwrap();
        again.logged("a marketplace was removed").await;
        let problem = again.invoke.get("/readyz").await.problem(503, "not-ready");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("marketplaces.toml"), "{detail}");
        std::fs::write(list, "").unwrap();
        is_ready(&again).await;
        let answer = again.invoke.call("acme/echo", "run", &json!({})).await;
        answer.expect(200);
    });
}
