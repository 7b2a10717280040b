//! A file that a client brings with its bundles: as good as the marketplace's own.

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use soma_registry::{Bundle, Change, Statement};

use super::{call, echo, know, says, setup};
use crate::harness::{Answer, FalseLog, TestHost, send};

/// Sends these parts, in this order.
async fn bring(host: &TestHost, parts: &[(&str, &[u8])]) -> Answer {
    let form = parts.iter().fold(Form::new(), |form, (name, bytes)| {
        form.part((*name).to_owned(), Part::bytes(bytes.to_vec()))
    });
    send(
        host.admin
            .request(Method::POST, "/v1/capsules")
            .multipart(form),
    )
    .await
}

#[test]
fn a_file_is_installed_with_a_bundle_that_proves_it() {
    setup()
        .env("SOMA_TRUST_UNLOGGED", "false")
        .run(async |host| {
            let mut log = FalseLog::start("log.test");
            let acme = log.publisher("acme");
            let package = echo("1.0.0");
            log.publish(&acme, &package);
            let name = &package.manifest().name;
            let signed = |package| Statement::about(package).sign(&acme.key).unwrap();
            let good = log.bundle(name, signed(&package)).to_bytes().unwrap();
            let file = package.bytes();
            let own = ("capsule", file);

            // No log is known yet.
            let answer = bring(&host, &[("bundle", &good), own]).await;
            answer.problem(404, "unknown-package");
            know(&host, &[&log]);

            let alone = Bundle {
                statement: signed(&package),
                logged: None,
            };
            let alone = alone.to_bytes().unwrap();
            let mut tampered = file.to_vec();
            tampered[2000] ^= 1;
            let other = echo("1.1.0");
            for (code, words, parts) in [
                (
                    "unproven-file",
                    "no proof",
                    vec![("bundle", &alone[..]), own],
                ),
                ("unproven-file", "bundle", vec![("bundle", b"{"), own]),
                ("unproven-file", "no proof", vec![own]),
                (
                    "unproven-file",
                    "no proof",
                    vec![("bundle", b"{}"), ("bundle", &alone), own],
                ),
                (
                    "unknown-package",
                    "digest",
                    vec![("bundle", &good), ("capsule", other.bytes())],
                ),
                ("bad-request", "missing", vec![("bundle", &good)]),
                ("bad-request", "unexpected part `x`", vec![("x", b""), own]),
                ("bad-request", "unexpected part `capsule`", vec![own, own]),
                (
                    "bad-request",
                    "unexpected part `bundle`",
                    [&[("bundle", &good[..]); 9][..], &[own]].concat(),
                ),
            ] {
                let answer = bring(&host, &parts).await;
                let status = match code {
                    "unproven-file" => 422,
                    "bad-request" => 400,
                    _ => 404,
                };
                says(&answer.problem(status, code), words);
            }
            // Where the byte is decides what it is that does not fit.
            let answer = bring(&host, &[("bundle", &good), ("capsule", &tampered)]).await;
            assert!([404, 422].contains(&answer.status), "{}", answer.text);
            call(&host).await.problem(404, "unknown-capsule");

            // One of several is enough, and neither whose it is nor how large the others are matters.
            let large = vec![b'{'; 3 << 20];
            let parts = [
                ("bundle", &large[..]),
                ("bundle", &good),
                ("bundle", &alone),
                own,
            ];
            let answer = bring(&host, &parts).await.expect(201);
            assert_eq!(answer["leaf"], 1, "{answer}");
            assert_eq!(answer["origin"], "log.test");
            assert!(answer["checks"].as_array().unwrap().len() > 5, "{answer}");
            call(&host).await.expect(200);

            // What the log says later counts as much.
            log.change(
                &[&acme.key],
                Change::Revoke {
                    capsule: name.clone(),
                    version: package.manifest().version.clone(),
                    reason: "No.".to_owned(),
                },
            );
            let answer = bring(&host, &[("bundle", &good), own]).await;
            answer.problem(410, "revoked");
        });
}
