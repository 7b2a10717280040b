//! Every table is backed up, and none is loaded before what its rows belong to.

use std::collections::BTreeSet;

use sqlx::AssertSqlSafe;

use super::tables::TABLES;
use crate::db;

#[tokio::test]
async fn no_table_is_forgotten_and_parents_come_first() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/soma.db?mode=rwc", folder.path().display());
    let pool = db::open(&url).await.unwrap();
    let there: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> '_sqlx_migrations'
             AND name NOT LIKE 'sqlite_%'",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    let there: BTreeSet<&str> = there.iter().map(String::as_str).collect();
    assert_eq!(there, BTreeSet::from(TABLES));
    for (place, table) in TABLES.iter().enumerate() {
        let parents: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!(
            "SELECT \"table\" FROM pragma_foreign_key_list('{table}')"
        )))
        .fetch_all(&pool)
        .await
        .unwrap();
        for parent in parents {
            let before = &TABLES[..place];
            assert!(before.contains(&parent.as_str()), "{table} before {parent}");
        }
    }
}
