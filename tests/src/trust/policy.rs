//! What the trust policy refuses, and what a reload of it changes.

use std::fs;

use rustix::process::Signal;
use serde_json::json;

use super::{echo, install, know, says, setup};
use crate::harness::{FalseLog, Setup, note_secret};

#[test]
fn publishers_and_age_are_the_operator_s_to_say() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("soma.toml");
    let trust = |lines: &str| format!("[trust]\nrevocation-interval = 1\n{lines}");
    Setup::default().flag("--config", &file).run_with(
        || fs::write(&file, trust("publishers = [\"soma\"]")).unwrap(),
        async |host| {
            let mut log = FalseLog::start("log.test");
            let acme = log.publisher("acme");
            log.publish(&acme, &echo("1.0.0"));
            know(&host, &[&log]);
            says(
                &install(&host).await.problem(403, "untrusted-publisher"),
                "acme",
            );

            fs::write(&file, trust("minimum-age = 1000")).unwrap();
            host.signal(Signal::HUP);
            host.logged("configuration reloaded").await;
            says(
                &install(&host).await.problem(403, "version-too-young"),
                "minimum-age",
            );
            // Where an older one is old enough, it is that one.
            log.leaves.clear();
            log.time = Some(crate::harness::unix_time() - 2000);
            let mut log = FalseLog::start("old.test");
            log.time = Some(crate::harness::unix_time() - 2000);
            let acme = log.publisher("acme");
            log.publish(&acme, &echo("1.0.0"));
            log.time = None;
            log.publish(&acme, &echo("1.1.0"));
            know(&host, &[&log]);
            assert_eq!(install(&host).await.expect(201)["version"], "1.0.0");
            let outdated = host.invoke.get("/v1/outdated").await.expect(200);
            assert_eq!(outdated["outdated"], json!([]));
        },
    );
}

#[test]
fn so_many_witnesses_must_have_seen_the_log() {
    let (one, two) = (note_secret("one.test"), note_secret("two.test"));
    let keys = format!("{},{}", one.witness_key(), two.witness_key());
    let setup = setup()
        .flag("--trust-witnesses", keys)
        .flag("--trust-witnesses-required", "2");
    setup.run(async |host| {
        let mut log = FalseLog::start("log.test");
        // One of them, and somebody who calls himself the other.
        log.witnesses = vec![one.clone(), note_secret("two.test")];
        let acme = log.publisher("acme");
        log.publish(&acme, &echo("1.0.0"));
        know(&host, &[&log]);
        says(
            &install(&host).await.problem(403, "unwitnessed"),
            "cosigned by 1",
        );
        log.witnesses = vec![one.clone(), two.clone()];
        log.publish_log();
        let answer = install(&host).await.expect(201);
        assert_eq!(answer["checks"][1]["found"], "2 of 2 required");
    });
}
