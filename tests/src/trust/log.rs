//! A log that forks, rolls back, stands still, or is another one.

use super::{call, echo, install, know, says, setup};
use crate::harness::{FalseLog, TestHost, unix_time, until};

async fn evidence(host: &TestHost) -> serde_json::Value {
    let logs = host.admin.get("/v1/admin/logs").await.expect(200);
    logs["logs"][0].clone()
}

fn checkpoint(log: &FalseLog) -> String {
    std::fs::read_to_string(log.folder().join("log/checkpoint")).unwrap()
}

#[test]
fn a_fork_is_remembered_until_the_operator_forgets_it() {
    setup().run(async |mut host| {
        let mut log = FalseLog::start("log.test");
        let acme = log.publisher("acme");
        log.publish(&acme, &echo("1.0.0"));
        know(&host, &[&log]);
        install(&host).await.expect(201);
        let (honest, seen) = (log.leaves.clone(), checkpoint(&log));

        // Another history of the same length, then a longer one.
        log.leaves.pop();
        log.publish(&acme, &echo("6.6.6"));
        log.publish(&acme, &echo("6.6.7"));
        says(
            &install(&host).await.problem(502, "log-distrusted"),
            "the log forked",
        );
        host.logged("a log is not believed any more").await;
        let known = evidence(&host).await;
        assert_eq!(known["checkpoint"], seen.as_str());
        assert_eq!(known["evidence"], checkpoint(&log).as_str());
        until(async || host.metric("soma_log_distrusted{log=\"log.test\"}").await == 1.0).await;

        // Being honest again does not help, nor does a restart.
        log.leaves = honest;
        log.publish_log();
        host.restart(|_| {}).await;
        install(&host).await.problem(502, "log-distrusted");
        // What is installed runs on, as the policy says by default.
        call(&host).await.expect(200);

        let told = host.log().lines().count();
        know(&host, &[]);
        until(async || {
            host.log()
                .lines()
                .skip(told)
                .any(|line| line.contains("was removed"))
        })
        .await;
        know(&host, &[&log]);
        install(&host).await.expect(200);
    });
}

#[test]
fn a_log_that_rolls_back_is_not_believed() {
    setup().run(async |host| {
        let mut log = FalseLog::start("log.test");
        let acme = log.publisher("acme");
        log.publish(&acme, &echo("1.0.0"));
        log.publish(&acme, &echo("1.1.0"));
        know(&host, &[&log]);
        install(&host).await.expect(201);
        let before = log.leaves.pop();
        // As a cache would show it that kept it: that is no contradiction.
        log.time = Some(unix_time() - 5);
        log.publish_log();
        says(
            &install(&host).await.problem(502, "marketplace-failed"),
            "as it was earlier",
        );
        log.leaves.extend(before);
        log.time = None;
        log.publish_log();
        install(&host).await.expect(200);
        // Signed anew, later than what was seen.
        log.leaves.pop();
        log.time = Some(unix_time() + 5);
        log.publish_log();
        says(
            &install(&host).await.problem(502, "log-distrusted"),
            "rolled back",
        );
    });
}

#[test]
fn a_log_that_stands_still_or_is_away_refuses_new_installs() {
    let setup = setup().flag("--trust-maximum-silence", "100");
    setup.run(async |host| {
        let mut log = FalseLog::start("log.test");
        let acme = log.publisher("acme");
        log.publish(&acme, &echo("1.0.0"));
        know(&host, &[&log]);
        install(&host).await.expect(201);
        log.time = Some(unix_time() - 200);
        log.publish_log();
        says(
            &install(&host).await.problem(503, "log-silent"),
            "maximum-silence",
        );
        host.logged("a log stands still").await;
        call(&host).await.expect(200);

        log.time = None;
        log.publish_log();
        install(&host).await.expect(200);
        log.set_down(true);
        install(&host).await.problem(502, "marketplace-failed");
        host.logged("a log could not be followed").await;
        call(&host).await.expect(200);
        log.set_down(false);
        install(&host).await.expect(200);
    });
}

#[test]
fn calls_can_depend_on_a_log_that_can_be_heard() {
    let setup = setup()
        .flag("--trust-maximum-silence", "2")
        .flag("--trust-when-unreachable", "refuse");
    setup.run(async |host| {
        let mut log = FalseLog::start("log.test");
        let acme = log.publisher("acme");
        log.publish(&acme, &echo("1.0.0"));
        know(&host, &[&log]);
        install(&host).await.expect(201);
        call(&host).await.expect(200);
        // It is away, which is as good as standing still.
        log.set_down(true);
        until(async || call(&host).await.status != 200).await;
        says(&call(&host).await.problem(503, "log-silent"), "log.test");
        log.publish_log();
        log.set_down(false);
        until(async || call(&host).await.status == 200).await;
    });
}

#[test]
fn another_log_s_checkpoint_is_none() {
    setup().run(async |host| {
        let mut log = FalseLog::start("log.test");
        let acme = log.publisher("acme");
        log.publish(&acme, &echo("1.0.0"));
        know(&host, &[&log]);
        for (origin, words) in [
            ("other.test", "of the log `other.test`"),
            ("log.test", "pinned key"),
        ] {
            let other = FalseLog::start(origin);
            log.publish_checkpoint(checkpoint(&other).as_bytes());
            says(&install(&host).await.problem(502, "unproven"), words);
        }
        // Damaged leaves are not a fork that could be proven, and are not taken in either.
        log.publish_log();
        let entries = log.folder().join("log/tile/entries/000.p/2");
        let mut bytes = std::fs::read(&entries).unwrap();
        bytes.truncate(bytes.len() - 1);
        std::fs::write(&entries, bytes).unwrap();
        install(&host).await.problem(502, "marketplace-failed");
        log.publish_log();
        install(&host).await.expect(201);
    });
}

/// Several batches, and bundles that are full.
#[test]
fn a_long_log_is_followed_in_parts() {
    setup().run(async |host| {
        let mut log = FalseLog::start("log.test");
        // Not one by one: each would write the whole log out.
        let other = FalseLog::start("log.test");
        drop(other);
        let acme = log.publisher("acme");
        let change = |index: usize| {
            let request = soma_registry::ChangeRequest::new(
                "log.test",
                soma_registry::Change::Publish {
                    capsule: "acme/many".parse().unwrap(),
                    version: format!("1.0.{index}").parse().unwrap(),
                    digest: soma_capability::Digest::of(b"x"),
                    statement: soma_capability::Digest::of(b"y"),
                },
            );
            let act = soma_registry::log::Act::Signed(request.sign(&[&acme.key]).unwrap());
            let time = unix_time();
            soma_registry::log::Leaf { time, act }.to_bytes().unwrap()
        };
        log.leaves.extend((0..2500).map(change));
        log.publish(&acme, &echo("1.0.0"));
        know(&host, &[&log]);
        install(&host).await.expect(201);
        assert_eq!(evidence(&host).await["size"], 2502);
        until(async || host.metric("soma_log_size{log=\"log.test\"}").await == 2502.0).await;
    });
}
