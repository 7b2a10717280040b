//! The rows of all tables, as of one moment.

use std::collections::BTreeSet;
use std::io::Write as _;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures::TryStreamExt as _;
use serde_json::{Map, Value, json};
use soma_capability::Digest;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, Row as _};

use super::archive::Archive;
use super::contents::of_table;
use super::tables::{Column, Kind, TABLES, columns, listed};
use crate::db;

/// What was written.
pub(super) struct Dumped {
    /// The newest migration.
    pub(super) schema: i64,
    pub(super) rows: u64,
    /// The files that the rows name.
    pub(super) capsules: BTreeSet<Digest>,
}

/// Writes every row of every table. Whoever writes to the database meanwhile does not wait.
pub(super) async fn dump(pool: &AnyPool, archive: &mut Archive) -> anyhow::Result<Dumped> {
    let mut moment = pool.begin().await?;
    // SQLite has all reads of a transaction see one state as it is.
    if moment.backend_name() != "SQLite" {
        let snapshot = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY";
        sqlx::query(snapshot).execute(&mut *moment).await?;
    }
    let schema = db::schema(&mut moment).await?;
    let newest = db::newest_schema();
    ensure!(
        schema == newest,
        "its tables are those of migration {schema}, and this program's of {newest}: take the backup \
         with the program that serves it"
    );
    let mut rows = 0;
    for table in TABLES {
        let written = write(&mut moment, archive, table).await;
        rows += written.with_context(|| format!("the table `{table}`"))?;
    }
    let capsules = capsules(&mut moment).await?;
    Ok(Dumped {
        schema,
        rows,
        capsules,
    })
}

async fn write(
    connection: &mut AnyConnection,
    archive: &mut Archive,
    table: &str,
) -> anyhow::Result<u64> {
    let columns = columns(connection, table).await?;
    let select = AssertSqlSafe(format!("SELECT {} FROM {table}", listed(&columns)));
    let mut entry = archive.begin(&of_table(table))?;
    let mut written = 0;
    let mut rows = sqlx::query(select).fetch(connection);
    while let Some(row) = rows.try_next().await? {
        serde_json::to_writer(&mut entry, &line(&row, &columns)?)?;
        entry.write_all(b"\n")?;
        written += 1;
    }
    entry.end()?;
    Ok(written)
}

fn line(row: &AnyRow, columns: &[Column]) -> sqlx::Result<Map<String, Value>> {
    let mut line = Map::new();
    for column in columns {
        line.insert(column.name.clone(), cell(row, column)?);
    }
    Ok(line)
}

fn cell(row: &AnyRow, column: &Column) -> sqlx::Result<Value> {
    let name = column.name.as_str();
    Ok(match column.kind {
        Kind::Integer => row.try_get::<Option<i64>, _>(name)?.into(),
        Kind::Text => row.try_get::<Option<String>, _>(name)?.into(),
        Kind::Bytes => match row.try_get::<Option<Vec<u8>>, _>(name)? {
            Some(bytes) => json!({"base64": BASE64_STANDARD.encode(bytes)}),
            None => Value::Null,
        },
    })
}

/// The files of capsules that the rows name.
pub(super) async fn capsules(connection: &mut AnyConnection) -> anyhow::Result<BTreeSet<Digest>> {
    let digests: Vec<String> =
        sqlx::query_scalar("SELECT digest FROM capsules UNION SELECT digest FROM set_aside")
            .fetch_all(connection)
            .await?;
    let digests = digests.iter().map(|digest| digest.parse::<Digest>());
    Ok(digests.collect::<Result<_, _>>()?)
}
