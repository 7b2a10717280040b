//! What is not what the log says: every part changed in turn.

use serde_json::Value;
use soma_registry::{Bundle, Change, Owner, OwnerKey, SecretKey, Statement};

use super::{call, echo, install, know, says, setup};
use crate::harness::{Answer, FalseLog, TestHost, unix_time};

/// Nothing was installed, and the host goes on.
async fn refused(host: &TestHost, answer: &Answer, status: u16, code: &str) -> Value {
    let problem = answer.problem(status, code);
    call(host).await.problem(404, "unknown-capsule");
    host.admin.get("/readyz").await.status_is(200);
    problem
}

#[test]
fn a_changed_file_or_bundle_is_refused() {
    setup().run(async |host| {
        let mut log = FalseLog::start("log.test");
        let acme = log.publisher("acme");
        let package = echo("1.0.0");
        log.publish(&acme, &package);
        know(&host, &[&log]);
        let statement = Statement::about(&package).sign(&acme.key).unwrap();
        let good = log.bundle(&package.manifest().name, statement);

        // The component, then the manifest at the end of the file.
        for at in [2000, package.bytes().len() - 10] {
            let mut file = package.bytes().to_vec();
            file[at] ^= 1;
            log.serve_release(&package, &file, &good);
            refused(&host, &install(&host).await, 502, "unproven").await;
        }
        // Another honest capsule in its place.
        let other = echo("1.1.0");
        log.serve_release(&package, other.bytes(), &good);
        let problem = refused(&host, &install(&host).await, 502, "unproven").await;
        says(&problem, "digest");
        log.serve_release(&package, b"", &good);
        refused(&host, &install(&host).await, 502, "unproven").await;

        for (what, bundle) in bundles(&good, &log) {
            log.serve_release(&package, package.bytes(), &bundle);
            eprintln!("{what}");
            refused(&host, &install(&host).await, 502, "unproven").await;
        }
        std::fs::write(log.release_folder(&package).join("bundle"), "{").unwrap();
        refused(&host, &install(&host).await, 502, "marketplace-failed").await;
        std::fs::remove_file(log.release_folder(&package).join("capsule")).unwrap();
        refused(&host, &install(&host).await, 502, "marketplace-failed").await;
        log.serve_release(&package, package.bytes(), &good);
        install(&host).await.expect(201);
    });
}

/// Bundles that prove nothing, each with what is wrong with it.
fn bundles(good: &Bundle, log: &FalseLog) -> Vec<(&'static str, Bundle)> {
    let edit = |change: &dyn Fn(&mut Bundle)| {
        let mut bundle = good.clone();
        change(&mut bundle);
        bundle
    };
    let stranger = SecretKey::generate().unwrap();
    let other_key = Statement::about(&echo("1.0.0")).sign(&stranger).unwrap();
    let old = Statement::about(&echo("0.9.0")).sign(&stranger).unwrap();
    let elsewhere = FalseLog::start("log.test");
    let other_log = std::fs::read_to_string(elsewhere.folder().join("log/checkpoint")).unwrap();
    let logged = |bundle: &mut Bundle| bundle.logged.take().unwrap();
    assert_ne!(elsewhere.key(), log.key());
    vec![
        ("no log", edit(&|b| b.logged = None)),
        (
            "another key's statement",
            edit(&|b| b.statement = other_key.clone()),
        ),
        (
            "another version's statement",
            edit(&|b| b.statement = old.clone()),
        ),
        (
            "a changed payload",
            edit(&|b| b.statement.payload.replace_range(0..1, "f")),
        ),
        (
            "another log's checkpoint",
            edit(&|b| {
                let mut changed = logged(b);
                changed.checkpoint = other_log.clone();
                b.logged = Some(changed);
            }),
        ),
        (
            "a leaf that is not there",
            edit(&|b| {
                let mut changed = logged(b);
                changed.leaves[0].leaf.insert(0, ' ');
                b.logged = Some(changed);
            }),
        ),
        (
            "a proof of another leaf",
            edit(&|b| {
                let mut changed = logged(b);
                changed.leaves[1].inclusion.path.clear();
                b.logged = Some(changed);
            }),
        ),
        (
            "the leaf of the owners left out",
            edit(&|b| {
                let mut changed = logged(b);
                changed.leaves.remove(0);
                b.logged = Some(changed);
            }),
        ),
    ]
}

/// A log that admits what its own rules forbid is not followed any further.
#[test]
fn what_no_owner_s_key_signed_is_not_believed() {
    setup().run(async |host| {
        for case in ["stranger", "expired", "revoked"] {
            let mut log = FalseLog::start(&format!("{case}.test"));
            let begin = unix_time() - 1000;
            log.time = Some(begin);
            let mut acme = log.publisher("acme");
            let name = acme.namespace.clone();
            match case {
                "stranger" => acme.key = SecretKey::generate().unwrap(),
                "expired" => {
                    let ci = SecretKey::generate().unwrap();
                    let owner = Owner {
                        account: name.clone(),
                        key: OwnerKey {
                            public: ci.public(),
                            expires: Some(begin + 100),
                        },
                    };
                    let change = Change::AddKey {
                        namespace: name,
                        owner,
                    };
                    log.change(&[&acme.key, &ci], change);
                    acme.key = ci;
                    log.time = None;
                }
                "revoked" => {
                    log.time = Some(begin + 1);
                    let new = SecretKey::generate().unwrap();
                    let change = Change::RevokeKey {
                        namespace: name.clone(),
                        account: name,
                        key: acme.key.public(),
                        successor: Some(OwnerKey {
                            public: new.public(),
                            expires: None,
                        }),
                    };
                    log.change(&[&acme.key, &new], change);
                    log.time = Some(begin + 2);
                }
                _ => {}
            }
            log.publish(&acme, &echo("1.0.0"));
            know(&host, &[&log]);
            let answer = install(&host).await;
            let problem = refused(&host, &answer, 502, "log-distrusted").await;
            says(
                &problem,
                match case {
                    "stranger" => "none of the keys",
                    "expired" => "has expired",
                    _ => "was revoked by leaf 1",
                },
            );
        }
    });
}
