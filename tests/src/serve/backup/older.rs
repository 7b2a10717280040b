//! A backup of other tables than today's: what is older is brought up to date, and what is newer refused.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::bad::is_refused;
use super::{TOKENS, balances, counted, databases, furnish, is_ready, restored, standing};
use crate::harness::{Setup, Upstream, backed_up, end, repack, rows, unpacked};

/// The migration that a backup is made old to.
const OLD: i64 = 13;
/// Tables that later ones made.
const NEW_TABLES: [&str; 2] = ["usage_days", "answers"];
/// Columns of `keys` that they added.
const NEW_COLUMNS: [&str; 2] = ["max_tokens", "calls_per_minute"];

/// What a host of before had written in place of this.
fn aged(mut files: BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
    for table in NEW_TABLES {
        let file = files.remove(&format!("database/{table}.jsonl"));
        assert!(file.is_some(), "{table}");
    }
    let keys = rows(&files, "keys").into_iter().map(|mut row| {
        for column in NEW_COLUMNS {
            let value = row.as_object_mut().unwrap().remove(column);
            assert!(value.is_some(), "{column}");
        }
        format!("{row}\n")
    });
    let keys: String = keys.collect();
    files.insert("database/keys.jsonl".to_owned(), keys.into_bytes());
    changed(files, |end| {
        end["schema"] = json!(OLD);
        let tables = end["tables"].as_array_mut().unwrap();
        tables.retain(|table| !NEW_TABLES.contains(&table.as_str().unwrap()));
    })
}

/// With another end.
fn changed(
    mut files: BTreeMap<String, Vec<u8>>,
    change: impl FnOnce(&mut Value),
) -> BTreeMap<String, Vec<u8>> {
    let mut end = end(&files);
    change(&mut end);
    files.insert("backup.json".to_owned(), end.to_string().into_bytes());
    files
}

#[test]
fn what_is_older_is_brought_up_to_date() {
    let upstream = Upstream::start();
    let setup = Setup::default();
    setup.clone().run(async |host| {
        let folder = tempfile::tempdir().unwrap();
        let (file, old) = (folder.path().join("b.tar"), folder.path().join("old.tar"));
        furnish(&host, &upstream).await;
        let count = counted(&host).await;
        backed_up(&host, &file).await.exits(0);
        let files = unpacked(&file);
        repack(&old, &aged(files.clone()));

        for database in databases().await {
            let again = restored(&setup, database.url(), &old).await;
            is_ready(&again).await;
            let [tokens, spent, leased] = standing(&again).await;
            assert_eq!((tokens, leased), (TOKENS, 0));
            // Of the host before: what it had leased.
            assert!(spent > 0);
            assert_eq!(counted(&again).await, count);
            // Which takes a table that the backup did not know.
            for replayed in ["", "true"] {
                let once = [("idempotency-key", "once")];
                let answer = again.invoke.call_with("echo", &json!({}), &once).await;
                answer.expect(200);
                assert_eq!(answer.header("soma-replayed"), replayed);
            }
            let second = folder.path().join(database.name());
            backed_up(&again, &second).await.exits(0);
            let now = unpacked(&second);
            assert_eq!(end(&now)["schema"], end(&files)["schema"]);
            assert_eq!(end(&now)["tables"], end(&files)["tables"]);
            assert_eq!(rows(&now, "answers").len(), 1);
            for key in rows(&now, "keys") {
                let of_new = NEW_COLUMNS.map(|column| key.get(column));
                assert_eq!(of_new, [Some(&Value::Null); 2]);
            }
            balances(&now);
            drop(again);
            database.drop().await;
        }
    });
}

#[test]
fn what_is_newer_is_refused() {
    Setup::default().waits().run(async |host| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("b.tar");
        backed_up(&host, &file).await.exits(0);
        let newest = end(&unpacked(&file))["schema"].as_i64().unwrap();
        let newer = changed(unpacked(&file), |end| {
            end["schema"] = json!(newest + 1);
            end["soma"] = json!("9.9.9");
        });
        repack(&file, &newer);
        is_refused(
            &file,
            "the backup is of soma 9.9.9, whose tables this program does not know",
        );
    });
}
