//! What host/ops and docs/runbooks say to operators is true of a host.

use std::process::Command;

use serde_json::json;

use super::{echo, know, setup};
use crate::cli::beside as soma;
use crate::harness::{FalseLog, Upstream, full, repository};

/// It has everything that happens to a host once: metrics with labels are there from then on.
#[test]
fn every_metric_that_operators_are_told_of_is_there() {
    if !full() {
        return;
    }
    let upstream = Upstream::start();
    setup().allow(&upstream).run(async |host| {
        let mut log = FalseLog::start("log.test");
        let acme = log.publisher("acme");
        log.publish(&acme, &echo("1.0.0"));
        know(&host, &[&log]);
        soma(&host, &["install", "acme/echo"]).await.exits(0);
        soma(&host, &["budget", "set", "10k", "--per", "day"])
            .await
            .exits(0);
        host.install_guests(&["http"]).await;
        let input = json!({"url": upstream.url("/hello")});
        host.call("http", &input).await.expect(200);
        let said = Command::new(repository().join("scripts/ops.sh"))
            .arg(format!("{}/metrics", host.url))
            .output()
            .expect("bash");
        let errors = String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success(), "{errors}");
    });
}
