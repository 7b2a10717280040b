//! A tenant that is deleted is gone: from every table, from the log, and from the disk.

use std::fs;

use serde_json::{Value, json};

use crate::api::tenant;
use crate::cli::beside;
use crate::harness::{
    Client, Setup, TestHost, backed_up, component, pack_version, rows, unpacked, until,
};

/// What nobody else has: in a store, in an input, as a credential's name, and so on.
const MARK: &str = "mark-of-the-tenant";
const TENANT: &str = "tenant-to-go";
/// The tables of which it has rows; the others are of its installations' parts, or the host's.
const ITS: [&str; 9] = [
    "keys",
    "capsules",
    "set_aside",
    "grants",
    "secrets",
    "stores",
    "budgets",
    "usage_days",
    "answers",
];

fn kv(version: &str, quota: u64) -> soma_registry::Package {
    let lines = format!("[capabilities]\nkv = {{ quota-kib = {quota} }}");
    pack_version(&component("kv"), "tests/kv", version, &lines)
}

/// A tenant with something in every table that tenants have rows in.
async fn furnish(host: &TestHost) -> Client {
    let client = tenant(host, TENANT).await;
    client.install(kv("1.0.0", 64).bytes()).await.expect(201);
    // Held, since it asks for more.
    client.install(kv("1.0.1", 65).bytes()).await.expect(202);
    let of = |path: &str| format!("/v1/admin/{path}?tenant={TENANT}");
    let put = async |path: &str, body: Value| {
        host.admin.put(path, &body).await.expect(200);
    };
    let grant = json!({"grant": {"kv": {"quota-kib": 64}}});
    put(&of("grants/tests/kv"), grant).await;
    put(&of(&format!("secrets/{MARK}")), json!({"value": MARK})).await;
    let budget = json!({"tenant": TENANT, "span": "lifetime", "tokens": 1000, "hard": true});
    put("/v1/admin/budgets", budget).await;
    let steps = json!({"steps": [["set", MARK, MARK]]});
    let headers = [("idempotency-key", MARK), ("soma-session", MARK)];
    let answer = client.call_with("kv", &steps, &headers).await;
    answer.expect(200);
    let usage = async || client.get("/v1/usage").await.expect(200)["usage"].clone();
    until(async || usage().await.as_array().is_some_and(|it| !it.is_empty())).await;
    client
}

#[test]
fn nothing_of_a_deleted_tenant_stays() {
    Setup::default().run(async |mut host| {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let client = furnish(&host).await;
        let checkpoint = path("checkpoint");
        let checkpoint = checkpoint.to_str().unwrap();
        beside(&host, &["audit", "verify", "--save", checkpoint])
            .await
            .exits(0);
        backed_up(&host, &path("before")).await.exits(0);
        let before = unpacked(&path("before"));
        let tenants = rows(&before, "tenants");
        let its = tenants.iter().find(|row| row["name"] == TENANT).unwrap();
        let id = its["id"].as_str().unwrap();
        for table in ITS {
            let is_its = |row: &Value| row["tenant"] == id;
            assert!(rows(&before, table).iter().any(is_its), "{table}");
        }
        for table in [
            "store_entries",
            "budget_windows",
            "leases",
            "ledger_entries",
        ] {
            assert_ne!(rows(&before, table), Vec::<Value>::new(), "{table}");
        }

        let place = format!("/v1/admin/tenants/{TENANT}");
        host.admin.delete(&place).await.expect(204);
        backed_up(&host, &path("after")).await.exits(0);
        let after = unpacked(&path("after"));
        let key = client.key().split('_').nth(1).unwrap();
        for (name, bytes) in &after {
            let text = String::from_utf8_lossy(bytes);
            for word in [id, key, MARK] {
                assert!(!text.contains(word), "{word} in {name}");
            }
            let is_named = text.lines().filter(|line| line.contains(TENANT)).count();
            // That it was deleted is on record.
            let expected = usize::from(name.starts_with("audit/records"));
            assert_eq!(is_named, expected, "{name}");
        }
        for table in [
            "store_entries",
            "leases",
            "ledger_entries",
            "answers",
            "usage_days",
        ] {
            assert_eq!(rows(&after, table), Vec::<Value>::new(), "{table}");
        }
        assert!(!after.keys().any(|name| name.starts_with("capsules/")));
        let since = ["audit", "verify", "--since", checkpoint];
        beside(&host, &since).await.exits(0);

        // Nor in the database's file, where that is the host's own.
        host.restart(|data| {
            let Ok(file) = fs::read(data.join("soma.db")) else {
                return;
            };
            let text = String::from_utf8_lossy(&file);
            for word in [id, key, TENANT, MARK] {
                assert!(!text.contains(word), "{word} is in the file");
            }
        })
        .await;
    });
}
