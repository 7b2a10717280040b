//! The database: SQLite by default, Postgres to share. One SQL text for both, a file a table.

pub(crate) mod accounts;
pub(crate) mod invitations;
pub(crate) mod log;
pub(crate) mod namespaces;
pub(crate) mod oci;
pub(crate) mod packages;
pub(crate) mod releases;
pub(crate) mod reviews;
pub(crate) mod search;
mod sql;
pub(crate) mod tokens;

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::any::AnyPoolOptions;
use sqlx::{AnyConnection, AnyPool};

/// Connects, and brings the tables up to date.
pub(crate) async fn open(url: &str) -> anyhow::Result<AnyPool> {
    sqlx::any::install_default_drivers();
    let pool = AnyPoolOptions::new()
        .max_connections(16)
        .acquire_timeout(Duration::from_secs(5))
        .after_connect(|connection, _| Box::pin(prepare(connection)))
        .connect(url)
        .await?;
    migrate(&pool).await?;
    Ok(pool)
}

/// What both databases have, then what each has in its own way: the search's words.
async fn migrate(pool: &AnyPool) -> anyhow::Result<()> {
    let connection = pool.acquire().await?;
    let mut own = match connection.backend_name() {
        "SQLite" => sqlx::migrate!("./migrations/sqlite"),
        _ => sqlx::migrate!("./migrations/postgres"),
    };
    drop(connection);
    let mut common = sqlx::migrate!("./migrations/common");
    // Each finds the other's in the table of what was done.
    common.set_ignore_missing(true).run(pool).await?;
    own.set_ignore_missing(true).run(pool).await?;
    Ok(())
}

/// On SQLite, readers do not wait for a writer (WAL), a second writer waits its turn, and what was
/// answered survives a power cut: a version is for ever. On Postgres, a search is planned for its
/// words, rare or common, and for a database that is in memory or on a disk without arms.
async fn prepare(connection: &mut AnyConnection) -> sqlx::Result<()> {
    let settings = match connection.backend_name() {
        "SQLite" => &[
            "PRAGMA busy_timeout = 10000",
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "PRAGMA foreign_keys = ON",
        ][..],
        _ => &[
            "SET plan_cache_mode = force_custom_plan",
            "SET random_page_cost = 1.1",
        ],
    };
    for setting in settings {
        sqlx::query(*setting).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Unix seconds.
pub(crate) fn now() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or(0)
}

/// A number as the database has it. None of ours comes near the bound.
pub(crate) fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number from the database.
pub(crate) fn number(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or(0)
}

/// A value as the database has it.
pub(crate) fn json<T: Serialize>(value: &T) -> sqlx::Result<String> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()))
}

/// A value from the database. What is malformed was not written by this program.
pub(crate) fn from_json<T: DeserializeOwned>(text: &str) -> sqlx::Result<T> {
    serde_json::from_str(text).map_err(corrupt)
}

/// What is stored and was not written by this program.
fn corrupt(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}

/// Whether a statement failed because such a row is there already.
pub(crate) fn is_duplicate(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}
