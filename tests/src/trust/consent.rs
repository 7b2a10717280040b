//! An update waits for an administrator's word, unless the policy lets its publisher's through.

use serde_json::{Value, json};
use soma_registry::{Change, Owner, OwnerKey, Package, SecretKey};

use super::{call, echo, install, know, says, setup};
use crate::harness::{
    Answer, FalseLog, TestHost, component, pack_described, pack_version, unix_time, until,
};

const OF_ECHO: &str = "/v1/admin/updates/acme/echo";

/// `acme/echo` with a tool that is described in other words, and answers a number.
fn other(version: &str) -> Package {
    let compute = component("compute");
    pack_described(&compute, "acme/echo", version, "", "Computes a number.")
}

/// `acme/echo` that asks for more time than all others.
fn greedy(version: &str) -> Package {
    let lines = "[limits]\ntime-ms = 60000";
    pack_version(&component("echo"), "acme/echo", version, lines)
}

async fn give(host: &TestHost, word: &str, package: &Package) -> Answer {
    let digest = json!({"digest": package.digest().to_string()});
    host.admin.post(&format!("{OF_ECHO}/{word}"), &digest).await
}

async fn serving(host: &TestHost) -> Value {
    let capsule = host.invoke.get("/v1/capsules/acme/echo").await;
    capsule.expect(200)["version"].clone()
}

async fn held(host: &TestHost) -> Value {
    host.admin.get(OF_ECHO).await.expect(200)["held"].clone()
}

fn files(host: &TestHost) -> usize {
    std::fs::read_dir(host.data().join("capsules/sha256"))
        .unwrap()
        .count()
}

#[test]
fn what_was_approved_serves_until_somebody_approves_more() {
    setup().run(async |mut host| {
        let mut log = FalseLog::start("log.test");
        let acme = log.publisher("acme");
        log.publish(&acme, &echo("1.0.0"));
        know(&host, &[&log]);
        install(&host).await.expect(201);
        give(&host, "approve", &echo("1.0.0"))
            .await
            .problem(404, "unknown-update");

        log.publish(&acme, &other("1.1.0"));
        let answer = install(&host).await.expect(202);
        assert_eq!(
            (&answer["version"], &answer["change"], &answer["reasons"]),
            (
                &json!("1.1.0"),
                &json!("held"),
                &json!(["tools-changed", "not-automatic"])
            )
        );
        // Neither a call nor anything that a model reads knows of it.
        assert_eq!(call(&host).await.structured(), json!({"a": 1}));
        assert_eq!(serving(&host).await, "1.0.0");
        host.restart(|_| {}).await;
        assert_eq!(call(&host).await.structured(), json!({"a": 1}));
        let list = host.admin.get("/v1/admin/updates").await.expect(200);
        assert_eq!(list["updates"][0]["capsule"], "acme/echo");
        assert_eq!(list["updates"][0]["version"], "1.1.0");
        for path in ["/v1/admin/updates", OF_ECHO] {
            host.invoke.get(path).await.problem(403, "forbidden");
        }
        for word in ["approve", "rollback"] {
            let path = format!("{OF_ECHO}/{word}");
            let digest = json!({"digest": other("1.1.0").digest().to_string()});
            let refused = host.invoke.post(&path, &digest).await;
            refused.problem(403, "forbidden");
            let nothing = host.admin.post(&path, &json!({})).await;
            nothing.problem(400, "bad-request");
        }
        // Nor is it given by making room for it.
        let key = json!({"tenant": "default", "scopes": ["install"]});
        let key = host.admin.post("/v1/admin/keys", &key).await.expect(201);
        let deploy = host.invoke.with_key(key["secret"].as_str().unwrap());
        let uninstall = deploy.delete("/v1/capsules/acme/echo").await;
        uninstall.problem(403, "forbidden");
        // The word is on what was looked at.
        let problem = give(&host, "approve", &other("9.0.0"))
            .await
            .problem(409, "conflict");
        says(&problem, "1.1.0");

        let answer = give(&host, "approve", &other("1.1.0")).await.expect(200);
        assert_eq!(answer["version"], "1.1.0");
        let input = json!({"n": 1});
        let answer = host.invoke.call("acme/echo", "run", &input).await;
        assert!(answer.structured().is_u64());
        assert_eq!(held(&host).await, Value::Null);
        assert_eq!(files(&host), 2, "what served before is kept");

        let answer = give(&host, "rollback", &echo("1.0.0")).await.expect(200);
        assert_eq!(answer["version"], "1.0.0");
        assert_eq!(call(&host).await.structured(), json!({"a": 1}));
        let standing = host.admin.get(OF_ECHO).await.expect(200);
        assert_eq!(standing["held"]["reasons"], json!(["rolled-back"]));
        assert_eq!(standing["previous"], Value::Null);
        give(&host, "rollback", &echo("1.0.0"))
            .await
            .problem(404, "unknown-update");
        give(&host, "approve", &other("1.1.0")).await.expect(200);

        // Of what does not serve, one file of each kind is kept.
        log.publish(&acme, &echo("1.2.0"));
        install(&host).await.expect(202);
        log.publish(&acme, &echo("1.3.0"));
        install(&host).await.expect(202);
        assert_eq!(files(&host), 3);
        give(&host, "approve", &echo("1.3.0")).await.expect(200);
        assert_eq!(files(&host), 2);
        let uninstall = host.admin.delete("/v1/capsules/acme/echo");
        uninstall.await.expect(204);
        assert_eq!(files(&host), 0);
        host.admin
            .get(OF_ECHO)
            .await
            .problem(404, "unknown-capsule");
    });
}

#[test]
fn what_was_revoked_is_neither_approved_nor_gone_back_to() {
    setup().run(async |host| {
        let mut log = FalseLog::start("log.test");
        let acme = log.publisher("acme");
        log.publish(&acme, &echo("1.0.0"));
        know(&host, &[&log]);
        install(&host).await.expect(201);
        log.publish(&acme, &echo("1.1.0"));
        install(&host).await.expect(202);
        give(&host, "approve", &echo("1.1.0")).await.expect(200);
        log.publish(&acme, &echo("1.2.0"));
        install(&host).await.expect(202);
        for version in ["1.0.0", "1.2.0"] {
            let revoke = Change::Revoke {
                capsule: "acme/echo".parse().unwrap(),
                version: version.parse().unwrap(),
                reason: "No.".to_owned(),
            };
            log.change(&[&acme.key], revoke);
        }
        let is_known = async || {
            let standing = host.admin.get(OF_ECHO).await.expect(200);
            standing["held"]["revoked"] == "No." && standing["previous"]["revoked"] == "No."
        };
        until(is_known).await;
        for (word, version) in [("approve", "1.2.0"), ("rollback", "1.0.0")] {
            give(&host, word, &echo(version))
                .await
                .problem(410, "revoked");
        }
        assert_eq!(serving(&host).await, "1.1.0");
    });
}

#[test]
fn updates_of_a_publisher_whom_the_policy_names_serve_by_themselves() {
    let setup = setup()
        .flag("--trust-automatic", "acme")
        .flag("--trust-automatic-age", "5");
    setup.run(async |host| {
        let mut log = FalseLog::start("log.test");
        log.time = Some(unix_time() - 1000);
        let acme = log.publisher("acme");
        log.publish(&acme, &echo("1.0.0"));
        know(&host, &[&log]);
        install(&host).await.expect(201);
        // Nobody asks for it.
        log.publish(&acme, &echo("1.1.0"));
        until(async || serving(&host).await == "1.1.0").await;

        // One that is too young waits for its time, whoever installs it.
        log.time = None;
        log.publish(&acme, &echo("1.2.0"));
        let answer = install(&host).await.expect(202);
        assert_eq!(answer["reasons"], json!(["too-young"]));
        until(async || serving(&host).await == "1.2.0").await;
        assert_eq!(held(&host).await, Value::Null);

        // What somebody went back from does not come again by itself, and what is newer does.
        give(&host, "rollback", &echo("1.1.0")).await.expect(200);
        // Whatever takes its place among what is held, and whoever installs it.
        let of = |version: &str| json!({"package": "acme/echo", "version": version});
        super::wanted(&host, of("=1.0.0")).await.expect(202);
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
        assert_eq!(serving(&host).await, "1.1.0");
        let answer = super::wanted(&host, of("=1.2.0")).await.expect(202);
        assert_eq!(answer["reasons"], json!(["rolled-back"]));
        log.publish(&acme, &echo("1.3.0"));
        until(async || serving(&host).await == "1.3.0").await;

        // What asks for more, and what comes from changed owners, waits for a word.
        log.publish(&acme, &greedy("1.4.0"));
        until(async || held(&host).await["reasons"] == json!(["asks-more"])).await;
        assert_eq!(serving(&host).await, "1.3.0");
        let second = SecretKey::generate().unwrap();
        let add = Change::AddKey {
            namespace: "acme".parse().unwrap(),
            owner: Owner {
                account: "acme".parse().unwrap(),
                key: OwnerKey {
                    public: second.public(),
                    expires: None,
                },
            },
        };
        log.change(&[&acme.key, &second], add);
        log.publish(&acme, &echo("1.5.0"));
        until(async || held(&host).await["reasons"] == json!(["owners-changed"])).await;
        assert_eq!(serving(&host).await, "1.3.0");
        // Installing what serves once more is no word on its new owners.
        let serves = json!({"package": "acme/echo", "version": "=1.3.0"});
        let again = super::wanted(&host, serves).await.expect(200);
        assert_eq!(again["change"], "unchanged");
        let answer = install(&host).await.expect(202);
        let reasons = answer["reasons"].as_array().unwrap();
        assert!(reasons.contains(&json!("owners-changed")), "{answer}");
        // An older one is nobody's update.
        let older = json!({"package": "acme/echo", "version": "=1.2.0"});
        let answer = super::wanted(&host, older).await.expect(202);
        let reasons = answer["reasons"].as_array().unwrap();
        assert!(reasons.contains(&json!("older")), "{answer}");
    });
}
