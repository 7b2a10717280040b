//! The good way: found in the log, proven, installed, called; and which version is chosen.

use serde_json::{Value, json};
use soma_registry::{Change, Package};

use super::{call, echo, install, know, says, setup, wanted};
use crate::harness::{FalseLog, Setup};

fn check<'a>(answer: &'a Value, what: &str) -> &'a str {
    let checks = answer["checks"].as_array().unwrap();
    let found = checks.iter().find(|check| check["what"] == what);
    found.unwrap()["found"].as_str().unwrap()
}

#[test]
fn what_the_log_has_is_installed_and_called() {
    setup().run(async |mut host| {
        let mut log = FalseLog::start("log.test");
        let acme = log.publisher("acme");
        let package = echo("1.2.0");
        let leaf = log.publish(&acme, &package);
        know(&host, &[&log]);

        let answer = install(&host).await.expect(201);
        assert_eq!(answer["digest"], package.digest().to_string());
        assert_eq!(
            (&answer["origin"], &answer["leaf"]),
            (&json!("log.test"), &json!(leaf))
        );
        assert!(check(&answer, "log").contains("2 leaves"), "{answer}");
        assert!(check(&answer, "publisher").contains(&acme.key.public().to_string()));
        for part in ["log_ms", "fetch_ms", "verify_ms", "compile_ms"] {
            assert!(answer["timings"][part].is_number(), "{answer}");
        }
        assert_eq!(call(&host).await.structured(), json!({"a": 1}));
        assert_eq!(install(&host).await.expect(200)["change"], "unchanged");

        let list = host.invoke.get("/v1/capsules").await.expect(200);
        let listed = &list["capsules"][0];
        assert_eq!(
            (&listed["origin"], &listed["leaf"]),
            (&json!("log.test"), &json!(leaf))
        );
        assert_eq!(
            (&listed["yanked"], &listed["revoked"]),
            (&json!(false), &Value::Null)
        );

        // What was followed is kept: after a restart the log goes on where it was.
        host.restart(|_| {}).await;
        log.publish(&acme, &echo("1.3.0"));
        let answer = install(&host).await.expect(202);
        assert_eq!(
            (&answer["version"], &answer["change"]),
            (&json!("1.3.0"), &json!("held"))
        );
    });
}

#[test]
fn the_newest_that_fits_is_chosen() {
    setup().run(async |host| {
        let mut log = FalseLog::start("log.test");
        let acme = log.publisher("acme");
        for version in ["1.0.0", "1.9.0", "1.10.0", "2.0.0", "3.0.0-rc.1"] {
            log.publish(&acme, &echo(version));
        }
        let yank = |version: &str| Change::Yank {
            capsule: "acme/echo".parse().unwrap(),
            version: version.parse().unwrap(),
        };
        log.change(&[&acme.key], yank("2.0.0"));
        know(&host, &[&log]);
        let of = async |members: Value| {
            let mut document = json!({"package": "acme/echo", "preview": true});
            document
                .as_object_mut()
                .unwrap()
                .extend(members.as_object().unwrap().clone());
            wanted(&host, document).await
        };
        let digest = |package: &Package| package.digest().to_string();
        for (members, version) in [
            (json!({}), "1.10.0"),
            (json!({"version": "~1.9"}), "1.9.0"),
            (json!({"version": "=3.0.0-rc.1"}), "3.0.0-rc.1"),
            // By its digest, as a lockfile names it, a yanked one will do.
            (json!({"digest": digest(&echo("2.0.0"))}), "2.0.0"),
            (json!({"marketplace": log.url()}), "1.10.0"),
            (json!({"origin": "log.test"}), "1.10.0"),
        ] {
            let answer = of(members).await.expect(200);
            assert_eq!(answer["version"], version);
            assert_eq!(answer["change"], Value::Null);
        }
        for (members, words) in [
            (json!({"version": "^4"}), "no version in the log fits"),
            (json!({"version": "=2.0.0"}), "is yanked"),
            (
                json!({"digest": digest(&echo("9.9.9"))}),
                "no version in the log fits",
            ),
            (
                json!({"marketplace": "https://elsewhere.test"}),
                "elsewhere.test",
            ),
            (json!({"origin": "elsewhere"}), "no log `elsewhere`"),
        ] {
            says(&of(members).await.problem(404, "unknown-package"), words);
        }
        host.invoke
            .get("/v1/capsules/acme/echo")
            .await
            .problem(404, "unknown-capsule");
        let other = wanted(&host, json!({"package": "acme/other"})).await;
        says(
            &other.problem(404, "unknown-package"),
            "no marketplace of this host has it",
        );
        wanted(&host, json!({"package": "Acme/Echo"}))
            .await
            .problem(400, "bad-request");
        wanted(&host, json!({"pakage": "a/b"}))
            .await
            .problem(400, "bad-request");
        let invoke = &host.invoke;
        let document = json!({"package": "acme/echo"});
        invoke
            .post("/v1/capsules", &document)
            .await
            .problem(403, "forbidden");
    });
}

#[test]
fn a_namespace_comes_from_one_log() {
    setup().run(async |host| {
        let mut first = FalseLog::start("first.test");
        let mut second = FalseLog::start("second.test");
        let (acme, other) = (first.publisher("acme"), second.publisher("acme"));
        first.publish(&acme, &echo("1.0.0"));
        second.publish(&other, &echo("9.0.0"));
        know(&host, &[&first, &second]);
        let problem = install(&host).await.problem(409, "conflict");
        says(&problem, "several marketplaces");

        let of_first = json!({"package": "acme/echo", "marketplace": first.url()});
        wanted(&host, of_first).await.expect(201);
        let pins = host.admin.get("/v1/admin/pins").await.expect(200);
        assert_eq!(pins["pins"][0]["namespace"], "acme");
        assert_eq!(pins["pins"][0]["log"], first.key().to_string());
        assert_eq!(pins["pins"][0]["keys"], json!([acme.key.public()]));
        // From now on nobody has to say which.
        assert_eq!(install(&host).await.expect(200)["version"], "1.0.0");
        let of_second = json!({"package": "acme/echo", "marketplace": second.url()});
        let problem = wanted(&host, of_second.clone())
            .await
            .problem(409, "namespace-pinned");
        says(&problem, "first.test");
        // Nor from a file.
        let file = host.admin.install(echo("1.0.0").bytes()).await;
        let problem = file.problem(409, "namespace-pinned");
        says(&problem, "a file says nothing of a log");
        assert_eq!(call(&host).await.structured(), json!({"a": 1}));

        host.invoke
            .delete("/v1/admin/pins/acme")
            .await
            .problem(403, "forbidden");
        host.admin.delete("/v1/admin/pins/acme").await.expect(204);
        host.admin
            .delete("/v1/admin/pins/acme")
            .await
            .problem(404, "unknown-pin");
        assert_eq!(
            wanted(&host, of_second).await.expect(202)["reasons"],
            json!(["owners-changed", "not-automatic"])
        );
    });
}

#[test]
fn a_name_that_somebody_else_has_now_is_refused() {
    setup().run(async |host| {
        let secret = crate::harness::note_secret("log.test");
        let mut log = FalseLog::with_secret(secret.clone());
        let acme = log.publisher("acme");
        log.publish(&acme, &echo("1.0.0"));
        know(&host, &[&log]);
        install(&host).await.expect(201);
        // The same log begins anew, as after the operator has taken it out and put it in again.
        know(&host, &[]);
        host.logged("a marketplace was removed").await;
        let mut anew = FalseLog::with_secret(secret);
        let stranger = anew.publisher("acme");
        anew.publish(&stranger, &echo("1.1.0"));
        know(&host, &[&anew]);
        says(
            &install(&host).await.problem(409, "namespace-pinned"),
            "somebody else",
        );
    });
}

#[test]
fn files_need_the_policy_s_word() {
    let denied = Setup::default().flag("--trust-unlogged=false", "--trust-revocation-interval=1");
    denied.run(async |host| {
        let answer = host.admin.install(echo("1.0.0").bytes()).await;
        says(&answer.problem(403, "unlogged-file"), "unlogged = true");
        says(
            &install(&host).await.problem(404, "unknown-package"),
            "knows no marketplace",
        );
    });
}
