//! Everything is there, of everybody, and nothing that must not be.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{install_sender, on_disk, records};
use crate::cli::beside as soma;
use crate::harness::{Setup, TestHost, Upstream, pack_guest, until};

#[test]
fn what_is_done_is_recorded_though_nobody_waits_for_it() {
    Setup::default().run(async |host| {
        for nth in 0..60 {
            let secret = json!({"value": "v"});
            let path = format!("/v1/admin/secrets/s{nth}");
            let set = host.admin.put(&path, &secret);
            // Hung up at any moment of it.
            let _ = tokio::time::timeout(Duration::from_micros(100 * nth), set).await;
        }
        let set = async || {
            let list = host.admin.get("/v1/admin/secrets").await.expect(200);
            list["secrets"].as_array().unwrap().len()
        };
        let mut before = usize::MAX;
        while set().await != before {
            before = set().await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        assert!((1..=60).contains(&before), "{before}");
        assert_eq!(records(&host, "secret").await.len(), before);
    });
}

#[test]
fn a_slip_of_the_pen_is_no_empty_answer() {
    Setup::default().run(async |host| {
        for (query, words) in [
            ("kind=grants", "grant-revoked"),
            ("outcome=denied", "docs/problems.md"),
            ("capsul=a/b", "unknown field"),
            ("limit=0", "1 to 1000"),
            ("limit=1001", "1 to 1000"),
        ] {
            let answer = host.admin.get(&format!("/v1/admin/audit?{query}")).await;
            let problem = answer.problem(400, "bad-request");
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains(words), "{detail}");
        }
        for query in [
            "kind=erased",
            "outcome=ok",
            "outcome=tool-denied",
            "limit=1000",
        ] {
            let answer = host.admin.get(&format!("/v1/admin/audit?{query}")).await;
            answer.expect(200);
        }
        let query = async |more: &[&str]| {
            let arguments = [&["audit", "query"][..], more].concat();
            soma(&host, &arguments).await
        };
        let said = query(&["--invocation", "xyz"]).await.exits(2);
        assert!(said.err.contains("no invocation id"), "{}", said.err);
        let said = query(&["--tenant", "nope"]).await.exits(0);
        assert!(said.err.contains("no tenant `nope` now"), "{}", said.err);
        let said = query(&["--by", "0123456789abcdef"]).await.exits(0);
        assert!(
            said.err.contains("no key `0123456789abcdef`"),
            "{}",
            said.err
        );
        for known in [["--tenant", "default"], ["--kind", "start"]] {
            assert_eq!(query(&known).await.exits(0).err, "", "{known:?}");
        }
    });
}

#[test]
fn whatever_somebody_does_is_recorded() {
    let upstream = Upstream::start();
    Setup::default().run(async |host| {
        install_sender(&host, &upstream).await;
        host.install_guests(&["echo"]).await;
        let secret = json!({"value": "do-not-record-this-value"});
        let path = "/v1/admin/secrets/api";
        host.admin.put(path, &secret).await.expect(200);
        host.admin.delete(path).await.expect(204);
        let key = json!({"tenant": "default", "scopes": ["invoke"], "tools": ["tests/http/*"]});
        let key = host.admin.post("/v1/admin/keys", &key).await.expect(201);
        let limited = host.invoke.with_key(key["secret"].as_str().unwrap());

        host.call("echo", &json!({"a": 1})).await.expect(200);
        let get = json!({"method": "GET", "url": upstream.url("/hello?secret=1")});
        let answer = host.call("http", &get).await.expect(200);
        let other = json!({"method": "GET", "url": "https://elsewhere.test/x?secret=1"});
        host.call("http", &other).await.expect(200);
        let refused = limited.call("tests/echo", "run", &json!({})).await;
        refused.problem(403, "forbidden");
        host.invoke
            .get("/v1/admin/audit")
            .await
            .problem(403, "forbidden");

        let calls = super::records(&host, "call").await;
        let [elsewhere, hello, echo] = calls.as_slice() else {
            panic!("{calls:?}");
        };
        assert_eq!(echo["capsule"], "tests/echo");
        assert_eq!(echo["outcome"], "ok");
        assert_eq!(echo["egress"], Value::Null);
        assert_eq!(hello["invocation"], answer["invocation"]);
        let egress = &hello["egress"][0];
        assert_eq!(egress["origin"], upstream.origin());
        assert_eq!(
            (&egress["path"], &egress["status"]),
            (&json!("/hello"), &json!(200))
        );
        let denied = elsewhere["egress"][0]["error"].as_str().unwrap();
        assert!(denied.contains("https://elsewhere.test"), "{denied}");
        // Only what was sent was announced.
        let intents = super::records(&host, "intent").await;
        assert_eq!(intents.len(), 1, "{intents:?}");
        assert_eq!(intents[0]["invocation"], hello["invocation"]);
        assert!(intents[0]["index"].as_u64() < hello["index"].as_u64());

        assert_eq!(
            super::records(&host, "refusal").await[0]["outcome"],
            "forbidden"
        );
        let installs = super::records(&host, "install").await;
        assert_eq!(installs.len(), 2);
        assert_eq!(
            installs[0]["digest"],
            pack_guest("echo").digest().to_string()
        );
        let grants = super::records(&host, "grant").await;
        assert_eq!(grants[0]["grant"]["http"][0]["paths"], json!(["/**"]));
        for kind in ["start", "secret", "secret-removed"] {
            assert_eq!(super::records(&host, kind).await.len(), 1, "{kind}");
        }
        // The last by an administrator, the others by the host itself when it began.
        let made = super::records(&host, "key-created").await;
        let [last, invoke, admin] = made.as_slice() else {
            panic!("{made:?}");
        };
        assert_eq!(last["id"], key["id"]);
        for (record, file) in [(invoke, "invoke.key"), (admin, "admin.key")] {
            let file = host.data().join("keys").join(file);
            let text = std::fs::read_to_string(file).unwrap();
            let id = record["id"].as_str().unwrap();
            assert!(text.starts_with(&format!("soma_{id}_")), "{record}");
            assert_eq!(record["of"], "default");
            assert_eq!(record.get("key"), None, "{record}");
        }
        assert!(last.get("key").is_some(), "{last}");
        let text = on_disk(&host);
        assert!(!text.contains("do-not-record-this-value") && !text.contains("secret=1"));
        assert!(!text.contains(key["secret"].as_str().unwrap()));
        // The salt is the line's: whoever has both can say that this was the input.
        let line = text
            .lines()
            .find(|line| line.contains("\"tests/echo\"") && line.contains("input_sha256"));
        let line: Value = serde_json::from_str(line.unwrap()).unwrap();
        let hash = Sha256::new()
            .chain_update(line["salt"].as_str().unwrap())
            .chain_update("{\"a\":1}");
        assert_eq!(line["record"]["input_sha256"], hex::encode(hash.finalize()));
    });
}

#[test]
fn a_tenant_that_is_deleted_leaves_hashes_alone() {
    Setup::default().run(async |mut host| {
        host.install_guests(&["echo"]).await;
        let tenant = json!({"name": "acme"});
        host.admin
            .post("/v1/admin/tenants", &tenant)
            .await
            .expect(201);
        let key = json!({"tenant": "acme", "scopes": ["install", "invoke"]});
        let key = host.admin.post("/v1/admin/keys", &key).await.expect(201);
        let acme = host.invoke.with_key(key["secret"].as_str().unwrap());
        acme.install(pack_guest("echo").bytes()).await.expect(201);
        acme.call("tests/echo", "run", &json!({"a": 1}))
            .await
            .expect(200);
        let kept = host.data().join("checkpoint");
        let kept = kept.to_str().unwrap();
        let said = soma(&host, &["audit", "verify", "--save", kept])
            .await
            .exits(0);
        assert!(said.out.contains(" 0 of them erased"), "{}", said.out);
        assert!(on_disk(&host).contains("\"acme\""));

        host.admin
            .delete("/v1/admin/tenants/acme")
            .await
            .expect(204);
        let text = on_disk(&host);
        let left: Vec<&str> = text
            .lines()
            .filter(|line| line.contains("\"acme\""))
            .collect();
        assert_eq!(left.len(), 1, "{left:?}");
        assert!(left[0].contains("tenant-deleted"));
        // Of the others nothing is gone, and what is proven stays proven.
        host.call("echo", &json!({"a": 1})).await.expect(200);
        let since = ["audit", "verify", "--since", kept, "--json"];
        let proven = soma(&host, &since).await.exits(0).json();
        assert_eq!(proven["erased"], 4, "{proven}");
        host.restart(|_| {}).await;
        soma(&host, &since).await.exits(0);
        assert_eq!(records(&host, "call").await.len(), 1);
    });
}

#[test]
fn what_a_deleted_tenant_left_is_erased_by_the_next_start() {
    Setup::default().run(async |mut host| {
        host.install_guests(&["echo"]).await;
        for name in ["gone", "there"] {
            let tenant = json!({"name": name});
            host.admin
                .post("/v1/admin/tenants", &tenant)
                .await
                .expect(201);
            let key = json!({"tenant": name, "scopes": ["invoke"]});
            let key = host.admin.post("/v1/admin/keys", &key).await.expect(201);
            let of = host.invoke.with_key(key["secret"].as_str().unwrap());
            of.call("tests/echo", "run", &json!({})).await.expect(404);
        }
        let aside = tempfile::tempdir().unwrap();
        let copy = |from: &Path, to: &Path| {
            let copied = Command::new("cp").arg("-a").arg(from).arg(to).status();
            assert!(copied.unwrap().success());
        };
        let kept = aside.path().join("audit");
        host.restart(|data| copy(&data.join("audit"), &kept)).await;
        let deleted = host.admin.delete("/v1/admin/tenants/gone").await;
        deleted.expect(204);
        assert_eq!(records(&host, "tenant-deleted").await.len(), 1);
        // As of a host that ended when its database had forgotten the tenant, and its log had not; and
        // of one that ended before both.
        host.restart(|data| {
            let audit = data.join("audit");
            fs::remove_dir_all(&audit).unwrap();
            copy(&kept, &audit);
            for name in ["gone", "there"] {
                fs::write(audit.join("erasing").join(name), "").unwrap();
            }
        })
        .await;
        let notes = host.data().join("audit/erasing");
        until(async || notes.read_dir().unwrap().next().is_none()).await;
        let text = on_disk(&host);
        let of = |name: &str| text.lines().filter(|line| line.contains(name)).count();
        assert_eq!((of("\"gone\""), of("\"there\"") > 2), (1, true), "{text}");
        let said = records(&host, "tenant-deleted").await;
        assert_eq!((said.len(), &said[0]["of"]), (1, &json!("gone")));
        soma(&host, &["audit", "verify"]).await.exits(0);
    });
}

#[test]
fn inputs_are_recorded_as_they_are_where_the_operator_wants_it() {
    let setup = Setup::default()
        .flag("--audit-days", "1")
        .env("SOMA_AUDIT_FULL", "true");
    setup.run(async |host: TestHost| {
        host.install_guests(&["echo"]).await;
        let forged = "\"}}\n{\"salt\":\"\",\"record\":{\"kind\":\"start\"}}\n";
        let input = json!({"text": forged});
        host.call("echo", &input).await.expect(200);
        let calls = records(&host, "call").await;
        assert_eq!((calls.len(), &calls[0]["input"]), (1, &input));
        assert_eq!(calls[0]["output"]["structured"], input);
        assert_eq!(records(&host, "start").await.len(), 1);
        let said = soma(&host, &["audit", "query", "--capsule", "tests/echo"]).await;
        let said = said.exits(0);
        assert!(said.out.contains("tests/echo run"), "{}", said.out);
        for bad in ["?since=yesterday", "?unknown=1", "?limit=-1"] {
            let path = format!("/v1/admin/audit{bad}");
            host.admin.get(&path).await.problem(400, "bad-request");
        }
    });
}
