//! What lies beyond the host: upstreams that are gone or give credentials back, logs that are away, lie,
//! or revoke what runs.

use std::fs;

use serde_json::json;
use soma_registry::Change;

use crate::harness::{
    FalseLog, Prometheus, Setup, TestHost, Upstream, component, marketplaces, pack_version,
    pack_with,
};

/// `gone` goes; the other one gives back what it was shown.
pub(super) async fn an_upstream_is_gone(
    prometheus: &Prometheus,
    host: &TestHost,
    gone: Upstream,
    other: &Upstream,
) {
    host.install_guests(&["wasi_http"]).await;
    show_credential_to(host, other).await;
    let ask = json!({"url": gone.url("/hello")});
    host.call("wasi_http", &ask).await.expect(200);
    drop(gone);
    let leak = json!({"url": other.url("/leak")});
    let send = async || {
        for _ in 0..5 {
            host.call("wasi_http", &ask)
                .await
                .problem(424, "tool-failed");
        }
        host.call("http", &leak).await.expect(200);
    };
    let alerts = ["SomaUpstreamsDown", "SomaEgressFailing", "SomaSecretMasked"];
    prometheus.fires(host.address(), &alerts, send).await;
}

/// Installs a guest that is granted `/leak` of the upstream, with a credential.
async fn show_credential_to(host: &TestHost, upstream: &Upstream) {
    let value = json!({"value": "t0ken/of-the+tests=0123"});
    let secret = "/v1/admin/secrets/upstream?tenant=default";
    host.admin.put(secret, &value).await.expect(200);
    let origin = upstream.origin();
    let lines = format!(
        "[[capabilities.http]]\norigin = \"{origin}\"\nmethods = [\"GET\"]\n\
         paths = [\"/leak\"]\nwhy = \"A test.\"\ncredential = \"upstream\"\n"
    );
    host.install(&pack_with("http", &lines)).await;
    let entry = json!({
        "origin": origin, "methods": ["GET"], "paths": ["/leak"], "credential": "upstream",
    });
    let grant = json!({"grant": {"http": [entry]}});
    host.grant("tests/http", &grant).await.expect(200);
}

/// A host that looks at its logs every second.
pub(super) fn looks_often() -> Setup {
    Setup::default().flag("--trust-revocation-interval", "1")
}

pub(super) async fn logs_lie(prometheus: &Prometheus, host: &TestHost) {
    let mut log = FalseLog::start("log.test");
    let (away, forged) = (FalseLog::start("away.test"), FalseLog::start("forged.test"));
    let acme = log.publisher("acme");
    let echo = |version: &str| pack_version(&component("echo"), "acme/echo", version, "");
    log.publish(&acme, &echo("1.0.0"));
    let list = marketplaces(&[&log, &away, &forged]);
    fs::write(host.data().join("marketplaces.toml"), list).unwrap();
    let wanted = json!({"package": "acme/echo"});
    host.admin.post("/v1/capsules", &wanted).await.expect(201);
    let call = async || host.invoke.call("acme/echo", "run", &json!({})).await;
    call().await.expect(200);

    away.set_down(true);
    // Of the same name, and signed with another key than the one that is pinned.
    let other = FalseLog::start("forged.test");
    let note = fs::read(other.folder().join("log/checkpoint")).unwrap();
    forged.publish_checkpoint(&note);
    let revoke = Change::Revoke {
        capsule: "acme/echo".parse().unwrap(),
        version: "1.0.0".parse().unwrap(),
        reason: "it sends secrets away".to_owned(),
    };
    log.change(&[&acme.key], revoke);
    let alerts = ["SomaRevokedCalled", "SomaLogUnreachable", "SomaLogUnproven"];
    let calls = async || drop(call().await);
    prometheus.fires(host.address(), &alerts, calls).await;

    // Another history, in which nothing was revoked.
    log.leaves.pop();
    log.publish(&acme, &echo("6.6.6"));
    log.publish(&acme, &echo("6.6.7"));
    let alerts = ["SomaLogDistrusted"];
    prometheus.fires(host.address(), &alerts, async || {}).await;
}
