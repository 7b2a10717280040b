//! Revocations reach a running host, and outlive what could take them back.

use serde_json::{Value, json};
use soma_registry::{Change, Package};

use super::{call, echo, install, know, says, setup};
use crate::harness::{FalseLog, TestHost, until};

fn revoke(package: &Package) -> Change {
    let manifest = package.manifest();
    Change::Revoke {
        capsule: manifest.name.clone(),
        version: manifest.version.clone(),
        reason: "it sends secrets away".to_owned(),
    }
}

async fn listed(host: &TestHost) -> Value {
    let list = host.invoke.get("/v1/capsules").await.expect(200);
    list["capsules"][0].clone()
}

#[test]
fn a_revoked_version_does_not_run_any_more() {
    setup().run(async |mut host| {
        let mut log = FalseLog::start("log.test");
        let acme = log.publisher("acme");
        log.publish(&acme, &echo("1.0.0"));
        know(&host, &[&log]);
        install(&host).await.expect(201);
        call(&host).await.expect(200);

        log.change(&[&acme.key], revoke(&echo("1.0.0")));
        let begin = std::time::Instant::now();
        until(async || call(&host).await.status != 200).await;
        // One second is the interval; the rest is patience with a busy machine.
        assert!(begin.elapsed().as_secs() < 10, "{:?}", begin.elapsed());
        let problem = call(&host).await.problem(410, "revoked");
        says(&problem, "it sends secrets away");
        says(&problem, "its publisher");
        assert_eq!(listed(&host).await["revoked"], "it sends secrets away");
        let calls = "soma_calls_total{capsule=\"acme/echo\",outcome=\"revoked\",tool=\"run\"}";
        assert!(host.metric(calls).await > 0.0);
        install(&host).await.problem(410, "revoked");
        let outdated = host.invoke.get("/v1/outdated").await.expect(200);
        let outdated = &outdated["outdated"][0];
        assert_eq!(outdated["revoked"], "it sends secrets away", "{outdated}");
        assert!(outdated["newest"].is_null(), "{outdated}");
        // Neither a restart without a network, nor without the marketplace, nor as a file.
        log.set_down(true);
        host.restart(|data| std::fs::write(data.join("marketplaces.toml"), "").unwrap())
            .await;
        call(&host).await.problem(410, "revoked");
        host.admin
            .delete("/v1/capsules/acme/echo")
            .await
            .expect(204);
        host.admin.delete("/v1/admin/pins/acme").await.expect(204);
        host.admin
            .install(echo("1.0.0").bytes())
            .await
            .problem(410, "revoked");
        host.admin.install(echo("1.0.1").bytes()).await.expect(201);
    });
}

#[test]
fn a_marketplace_s_own_revocation_counts_for_its_own_log() {
    setup().run(async |host| {
        let mut log = FalseLog::start("log.test");
        let mut other = FalseLog::start("other.test");
        let (acme, stranger) = (log.publisher("acme"), other.publisher("acme"));
        log.publish(&acme, &echo("1.0.0"));
        know(&host, &[&log]);
        install(&host).await.expect(201);
        // The other log has the same file, and revokes it: that is none of its business.
        other.publish(&stranger, &echo("1.0.0"));
        other.own_change(revoke(&echo("1.0.0")));
        know(&host, &[&log, &other]);
        until(async || host.metric("soma_log_size{log=\"other.test\"}").await == 3.0).await;
        call(&host).await.expect(200);
        log.own_change(revoke(&echo("1.0.0")));
        until(async || call(&host).await.status == 410).await;
        says(
            &call(&host).await.problem(410, "revoked"),
            "the marketplace",
        );
    });
}

#[test]
fn a_yanked_version_runs_on_and_is_shown_as_such() {
    setup().run(async |host| {
        let mut log = FalseLog::start("log.test");
        let acme = log.publisher("acme");
        log.publish(&acme, &echo("1.0.0"));
        know(&host, &[&log]);
        install(&host).await.expect(201);
        let yank = Change::Yank {
            capsule: "acme/echo".parse().unwrap(),
            version: "1.0.0".parse().unwrap(),
        };
        log.change(&[&acme.key], yank);
        until(async || listed(&host).await["yanked"] == json!(true)).await;
        call(&host).await.expect(200);
    });
}
