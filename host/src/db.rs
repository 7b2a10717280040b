//! The database: SQLite by default, Postgres to share. One SQL text for both, a file a table.

pub(crate) mod answers;
pub(crate) mod aside;
pub(crate) mod budgets;
pub(crate) mod capsules;
pub(crate) mod grants;
pub(crate) mod keys;
pub(crate) mod ledger;
pub(crate) mod logs;
pub(crate) mod pins;
pub(crate) mod releases;
pub(crate) mod secrets;
pub(crate) mod stores;
pub(crate) mod tenants;
pub(crate) mod usage;
pub(crate) mod watches;

use std::time::Duration;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use sqlx::any::{AnyPoolOptions, AnyRow};
use sqlx::migrate::Migrator;
use sqlx::{AnyConnection, AnyPool, Row as _};

/// Everything that tables went through.
static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// Connects, and brings the tables up to date.
pub(crate) async fn open(url: &str) -> anyhow::Result<AnyPool> {
    let pool = connect(url).await?;
    migrate(&pool).await?;
    Ok(pool)
}

/// Connects, and leaves the tables as they are.
pub(crate) async fn connect(url: &str) -> anyhow::Result<AnyPool> {
    sqlx::any::install_default_drivers();
    let pool = AnyPoolOptions::new()
        .max_connections(16)
        .acquire_timeout(Duration::from_secs(5))
        .after_connect(|connection, _| Box::pin(prepare(connection)))
        .connect(url)
        .await?;
    Ok(pool)
}

/// Brings the tables up to date.
pub(crate) async fn migrate(pool: &AnyPool) -> anyhow::Result<()> {
    Ok(MIGRATIONS.run(pool).await?)
}

/// Makes the tables as they were after a migration.
pub(crate) async fn migrate_to(pool: &AnyPool, schema: i64) -> anyhow::Result<()> {
    Ok(MIGRATIONS.run_to(schema, pool).await?)
}

/// The newest migration that this program knows.
pub(crate) fn newest_schema() -> i64 {
    let versions = MIGRATIONS.iter().map(|migration| migration.version);
    versions.max().unwrap_or(0)
}

/// The newest migration that a database went through.
pub(crate) async fn schema(connection: &mut AnyConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations")
        .fetch_one(connection)
        .await
}

/// Readers do not wait for a writer (WAL), and a second writer waits its turn.
async fn prepare(connection: &mut AnyConnection) -> sqlx::Result<()> {
    if connection.backend_name() != "SQLite" {
        return Ok(());
    }
    for pragma in [
        "PRAGMA busy_timeout = 10000",
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = NORMAL",
        "PRAGMA foreign_keys = ON",
        // What was deleted is not to be read in the file, by whoever has it or a copy.
        "PRAGMA secure_delete = ON",
    ] {
        sqlx::query(pragma).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Milliseconds, as times are stored.
pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// Milliseconds since 1970-01-01T00:00:00Z.
pub(crate) fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

/// A time as it comes back once it is stored. What is in the very last second of all times is its
/// beginning: milliseconds after it are none that could be read again.
pub(crate) fn storable(time: Timestamp) -> Timestamp {
    let last = Timestamp::MAX.as_second() * 1000;
    Timestamp::from_millisecond(time.as_millisecond().min(last)).unwrap_or(time)
}

/// A stored time. What is out of range was not written by this program.
pub(crate) fn time(millis: i64) -> sqlx::Result<Timestamp> {
    Timestamp::from_millisecond(millis).map_err(|error| sqlx::Error::Decode(error.into()))
}

/// What is stored and was not written by this program.
pub(crate) fn corrupt(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}

/// What a column has as JSON; none where it has nothing.
pub(crate) fn optional_json<T: DeserializeOwned>(
    row: &AnyRow,
    column: &str,
) -> sqlx::Result<Option<T>> {
    let text: Option<&str> = row.try_get(column)?;
    let read = text.map(serde_json::from_str);
    read.transpose().map_err(corrupt)
}

/// Whether a statement failed because the row that its row belongs to is gone.
pub(crate) fn is_orphan(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .is_some_and(sqlx::error::DatabaseError::is_foreign_key_violation)
}

/// Whether a statement failed because such a row is there already.
pub(crate) fn is_duplicate(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}
