//! `soma backup` beside a host at work, and `soma restore`: the same host, elsewhere.

mod bad;
mod capsules;
mod erased;
mod older;
mod stopped;
mod waits;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::api::{key, tenant};
use crate::cli::{Said, beside, soma};
use crate::harness::{
    Database, Setup, TestHost, Upstream, backed_up, database_flag, full, lacking, pack_guest,
    pack_with, postgres, rows, unpacked, until,
};

const CREDENTIAL: &str = "t0ken-of-tests0";
const BUDGETS: &str = "/v1/admin/budgets?tenant=default";
/// Of the budget; calls use a small part of it.
const TOKENS: u64 = 1_000_000;

/// Has a host made of a backup, and starts it.
async fn restored(setup: &Setup, database: Option<String>, file: &Path) -> TestHost {
    let url = database.clone();
    let make = move |data: &Path| {
        restore(data, url.as_deref(), file).exits(0);
    };
    TestHost::start_in(setup, database, make).await
}

fn restore(data: &Path, database: Option<&str>, file: &Path) -> Said {
    let mut arguments = vec!["restore", file.to_str().unwrap()];
    arguments.extend(database_flag(database));
    soma(data, &arguments)
}

async fn is_ready(host: &TestHost) {
    until(async || host.invoke.get("/readyz").await.status == 200).await;
}

/// A host that has something of every kind.
async fn furnish(host: &TestHost, upstream: &Upstream) {
    let origin = upstream.origin();
    let asked = format!(
        "[[capabilities.http]]\norigin = \"{origin}\"\nmethods = [\"GET\"]\npaths = [\"/**\"]\n\
         credential = \"upstream\"\nwhy = \"A test.\"\n"
    );
    host.install(&pack_with("http", &asked)).await;
    let kv = pack_with("kv", "[capabilities]\nkv = { quota-kib = 64 }");
    host.install(&kv).await;
    host.install_guests(&["echo"]).await;
    let entry = json!({
        "origin": origin, "methods": ["GET"], "paths": ["/**"], "credential": "upstream",
    });
    let wanted = json!({"grant": {"http": [entry]}});
    host.grant("tests/http", &wanted).await.expect(200);
    let wanted = json!({"grant": {"kv": {"quota-kib": 64}}});
    host.grant("tests/kv", &wanted).await.expect(200);
    let secret = "/v1/admin/secrets/upstream?tenant=default";
    let value = json!({"value": CREDENTIAL});
    host.admin.put(secret, &value).await.expect(200);
    budget(host, TOKENS).await;
    let steps = json!({"steps": [["set", "a/ö", "b\u{0}"], ["add", "calls", 0]]});
    host.call("kv", &steps).await.expect(200);
}

async fn budget(host: &TestHost, tokens: u64) {
    let wanted = json!({"tenant": "default", "span": "lifetime", "tokens": tokens, "hard": true});
    host.admin
        .put("/v1/admin/budgets", &wanted)
        .await
        .expect(200);
}

/// How often the store was told to count.
async fn counted(host: &TestHost) -> u64 {
    let steps = json!({"steps": [["add", "calls", 0]]});
    host.call("kv", &steps).await.structured()[0]
        .as_u64()
        .unwrap()
}

/// Of the budget: its tokens, what is used of them, and leased.
async fn standing(host: &TestHost) -> [u64; 3] {
    let list = host.admin.get(BUDGETS).await.expect(200);
    let mut budgets = list["budgets"].as_array().unwrap().iter();
    let budget = budgets.find(|budget| budget["span"] == "lifetime").unwrap();
    ["tokens", "used", "leased"].map(|name| budget[name].as_u64().unwrap())
}

/// Calls, and changes what is not called, until it is told to stop.
fn load(host: &TestHost, is_over: &Arc<AtomicBool>) -> JoinHandle<()> {
    let (invoke, admin, is_over) = (host.invoke.clone(), host.admin.clone(), is_over.clone());
    tokio::spawn(async move {
        for round in 0_u64.. {
            if is_over.load(SeqCst) {
                break;
            }
            let steps = json!({"steps": [["add", "calls", 1]]});
            invoke.call("tests/kv", "run", &steps).await.expect(200);
            invoke
                .call("tests/echo", "run", &json!({}))
                .await
                .expect(200);
            let wanted = json!({
                "tenant": "default", "span": "day", "tokens": TOKENS + round, "hard": false,
            });
            let budget = admin.put("/v1/admin/budgets", &wanted).await;
            budget.expect(200);
        }
    })
}

/// What must hold of the ledger that a backup has: whatever is leased, spent and counted adds up.
fn balances(files: &BTreeMap<String, Vec<u8>>) {
    let entries = rows(files, "ledger_entries");
    let number = |row: &Value, name: &str| row[name].as_i64().unwrap();
    let mut movements: BTreeMap<&str, i64> = BTreeMap::new();
    for entry in &entries {
        let movement = entry["movement"].as_str().unwrap();
        *movements.entry(movement).or_default() += number(entry, "tokens");
    }
    assert!(!movements.is_empty());
    assert!(movements.values().all(|sum| *sum == 0));
    for window in rows(files, "budget_windows") {
        let sum = |account: &str| -> i64 {
            let of_it = entries.iter().filter(|entry| {
                entry["budget_window"] == window["id"] && entry["account"] == account
            });
            of_it.map(|entry| number(entry, "tokens")).sum()
        };
        assert_eq!(sum("spent"), number(&window, "posted"), "{window}");
        assert_eq!(sum("leased"), number(&window, "leased"), "{window}");
    }
}

#[test]
fn a_host_at_work_goes_on_elsewhere() {
    let upstream = Upstream::start();
    let setup = Setup::default();
    setup.clone().run(async |host| {
        let folder = tempfile::tempdir().unwrap();
        let (file, checkpoint) = (folder.path().join("b.tar"), folder.path().join("c"));
        furnish(&host, &upstream).await;
        let acme = tenant(&host, "acme").await;
        acme.install(pack_guest("echo").bytes()).await.expect(201);
        let save = ["audit", "verify", "--save", checkpoint.to_str().unwrap()];
        beside(&host, &save).await.exits(0);

        let is_over = Arc::default();
        let load = load(&host, &is_over);
        let rounds = if full() { 500 } else { 20 };
        until(async || counted(&host).await >= rounds).await;
        let (before, [_, used, _]) = (counted(&host).await, standing(&host).await);
        let said = backed_up(&host, &file).await.exits(0).json();
        let after = counted(&host).await;
        is_over.store(true, SeqCst);
        load.await.unwrap();
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let files = unpacked(&file);
        assert!(said["rows"].as_u64().unwrap() > 10, "{said}");
        // Both files of `echo` are one.
        assert_eq!(said["capsules"], 3, "{said}");
        assert!(!files.contains_key("host.id") && files.contains_key("secrets.key"));
        balances(&files);

        for database in databases().await {
            let again = restored(&setup, database.url(), &file).await;
            is_ready(&again).await;
            let [tokens, spent, leased] = standing(&again).await;
            assert_eq!((tokens, leased), (TOKENS, 0));
            assert!(spent >= used && spent <= TOKENS, "{spent} of {used}");
            let second = folder.path().join(database.name());
            backed_up(&again, &second).await.exits(0);
            balances(&unpacked(&second));
            goes_on(&again, &upstream, [before, after], &checkpoint).await;
            // It was installed for both tenants, and a key of the other opens its own.
            let listed = again.invoke.with_key(acme.key()).get("/v1/capsules").await;
            assert_eq!(listed.expect(200)["capsules"][0]["name"], "tests/echo");
            drop(again);
            database.drop().await;
        }
        // What it was taken from has noticed nothing.
        assert!(counted(&host).await >= after);
    });
}

/// Both, where both are there: from either a backup goes into either.
async fn databases() -> Vec<Database> {
    let mut databases = vec![Database::Sqlite];
    match postgres() {
        Some(server) => databases.push(Database::fresh_schema(server).await),
        None => lacking("a restore into Postgres: SOMA_TEST_POSTGRES is not set"),
    }
    databases
}

/// What the host had is there, and works.
async fn goes_on(host: &TestHost, upstream: &Upstream, counts: [u64; 2], checkpoint: &Path) {
    let count = counted(host).await;
    assert!(
        (counts[0]..=counts[1]).contains(&count),
        "{count}, {counts:?}"
    );
    let steps = json!({"steps": [["get", "a/ö"]]});
    let kept = host.call("kv", &steps).await.structured();
    assert_eq!(kept, json!(["b\u{0}"]));
    let answer = host
        .call("http", &json!({"url": upstream.url("/echo")}))
        .await;
    assert_eq!(answer.structured()["status"], 200);
    let shown = upstream.authorization();
    assert_eq!(shown, Some(format!("Bearer {CREDENTIAL}")));
    let usage = host.admin.get("/v1/usage?tenant=default&by=capsule").await;
    let usage = usage.expect(200);
    let of_kv = usage["usage"].as_array().unwrap().iter();
    let calls = of_kv.filter(|line| line["capsule"] == "tests/kv");
    assert!(
        calls
            .map(|line| line["calls"].as_u64().unwrap())
            .sum::<u64>()
            > 0,
        "{usage}"
    );
    // The log goes on from the one that the checkpoint is of, and says why it was cut.
    let since = ["audit", "verify", "--since", checkpoint.to_str().unwrap()];
    beside(host, &since).await.exits(0);
    let records = host.admin.get("/v1/admin/audit?kind=restored").await;
    assert_eq!(records.expect(200)["records"].as_array().unwrap().len(), 1);
}

#[test]
fn a_call_that_nobody_saw_end_is_not_made_again() {
    let upstream = Upstream::start();
    let setup = Setup::default().allow(&upstream);
    setup.clone().run(async |host| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("b.tar");
        host.install_guests(&["http"]).await;
        let client = key(&host, json!({"tenant": "default", "scopes": ["invoke"]})).await;
        let input = json!({"url": upstream.url("/gate")});
        let name = [("idempotency-key", "once")];
        let before = upstream.requests();
        let call = client.call_with("http", &input, &name);
        let backup = async {
            upstream.arrived(before + 1).await;
            backed_up(&host, &file).await.exits(0);
            upstream.open_gate(1);
        };
        let (answer, _) = tokio::join!(call, backup);
        answer.expect(200);
        let again = restored(&setup, None, &file).await;
        is_ready(&again).await;
        let before = upstream.requests();
        let client = again.invoke.with_key(client.key());
        let answer = client.call_with("http", &input, &name).await;
        answer.problem(500, "outcome-unknown");
        assert_eq!(upstream.requests(), before);
    });
}
