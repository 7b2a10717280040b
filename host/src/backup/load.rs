//! Rows on their way back into a database.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};
use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AnyPool, AssertSqlSafe, Transaction};

use super::contents::{Contents, of_table};
use super::dump::capsules;
use super::tables::{Column, Kind, columns, listed};
use crate::catalog::file_of;
use crate::db::{self, answers, ledger};

/// A row as the archive has it.
type Line = Map<String, Value>;

/// All rows, which are in the database once this is committed. Where it is dropped they never were.
pub(super) struct Loaded {
    pub(super) transaction: Transaction<'static, Any>,
    pub(super) rows: u64,
}

/// Makes the tables that the rows come from, and fills them.
pub(super) async fn load(
    pool: &AnyPool,
    folder: &Path,
    contents: &Contents,
) -> anyhow::Result<Loaded> {
    db::migrate_to(pool, contents.schema).await?;
    let mut transaction = pool.begin().await?;
    let schema = db::schema(&mut transaction).await?;
    ensure!(
        schema == contents.schema,
        "its tables are newer than the backup's: give it an empty one, and the tables are made"
    );
    let mut rows = 0;
    for table in &contents.tables {
        let filled = fill(&mut transaction, table, &folder.join(of_table(table))).await;
        rows += filled.with_context(|| format!("the table `{table}`"))?;
    }
    for digest in capsules(&mut transaction).await? {
        let file = file_of(&digest);
        ensure!(
            contents.files.contains_key(&file),
            "its rows name `{file}`, which is missing"
        );
    }
    Ok(Loaded { transaction, rows })
}

/// Brings the tables up to date, and has the host that this becomes answer for what those before it had
/// begun. In this order: old tables may not have what that is about.
pub(super) async fn settle(pool: &AnyPool, host: &str) -> anyhow::Result<()> {
    db::migrate(pool).await?;
    let mut transaction = pool.begin().await?;
    ledger::expire_pending(&mut transaction).await?;
    answers::inherit(&mut transaction, host).await?;
    Ok(transaction.commit().await?)
}

/// Takes all rows of these tables away again. No others have any, and those that came later may be missing.
pub(super) async fn clear(pool: &AnyPool, tables: &[String]) -> sqlx::Result<()> {
    let mut transaction = pool.begin().await?;
    for table in tables.iter().rev() {
        let delete = AssertSqlSafe(format!("DELETE FROM {table}"));
        sqlx::query(delete).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}

async fn fill(connection: &mut AnyConnection, table: &str, file: &Path) -> anyhow::Result<u64> {
    let columns = columns(connection, table).await?;
    let there: i64 = sqlx::query_scalar(AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}")))
        .fetch_one(&mut *connection)
        .await?;
    ensure!(
        there == 0,
        "it has rows already: give a database without any"
    );
    let places: Vec<String> = (1..=columns.len()).map(|n| format!("${n}")).collect();
    let insert = format!(
        "INSERT INTO {table} ({}) VALUES ({})",
        listed(&columns),
        places.join(", ")
    );
    let mut rows = 0;
    for line in BufReader::new(File::open(file)?).lines() {
        rows += 1;
        let row = serde_json::from_str(&line?).with_context(|| format!("row {rows}"))?;
        let query = sqlx::query(AssertSqlSafe(insert.clone()));
        let query = bound(query, &columns, row).with_context(|| format!("row {rows}"))?;
        let done = query.execute(&mut *connection).await;
        done.with_context(|| format!("row {rows}"))?;
    }
    Ok(rows)
}

/// The statement with a row's values, which must be those of exactly these columns.
fn bound<'q>(
    mut query: Query<'q, Any, AnyArguments>,
    columns: &[Column],
    mut row: Line,
) -> anyhow::Result<Query<'q, Any, AnyArguments>> {
    for Column { name, kind } in columns {
        let value = row
            .remove(name)
            .with_context(|| format!("it has no `{name}`"))?;
        query = match kind {
            Kind::Integer => query.bind(integer(&value).with_context(|| name.clone())?),
            Kind::Text => query.bind(text(value).with_context(|| name.clone())?),
            Kind::Bytes => query.bind(bytes(&value).with_context(|| name.clone())?),
        };
    }
    match row.keys().next() {
        Some(other) => bail!("`{other}` is no column"),
        None => Ok(query),
    }
}

fn integer(value: &Value) -> anyhow::Result<Option<i64>> {
    match value {
        Value::Null => Ok(None),
        value => Ok(Some(value.as_i64().context("it is no whole number")?)),
    }
}

fn text(value: Value) -> anyhow::Result<Option<String>> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        _ => bail!("it is no text"),
    }
}

fn bytes(value: &Value) -> anyhow::Result<Option<Vec<u8>>> {
    if value.is_null() {
        return Ok(None);
    }
    let encoded = value["base64"].as_str().context("it is not in base64")?;
    Ok(Some(BASE64_STANDARD.decode(encoded)?))
}
