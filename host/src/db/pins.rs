//! The `pins` table: which log each namespace comes from, here.

use jiff::Timestamp;
use serde::Serialize;
use soma_capability::Name;
use soma_registry::PublicKey;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AnyPool, FromRow, Row as _};

use super::logs::encoded;
use super::{corrupt, now, time};

/// A namespace, and whom it was first installed from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Pin {
    pub(crate) namespace: Name,
    /// The log's key, which has its origin in it.
    pub(crate) log: String,
    /// The keys that its owners had.
    pub(crate) keys: Vec<PublicKey>,
    pub(crate) pinned_at: Timestamp,
}

impl FromRow<'_, AnyRow> for Pin {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        let namespace: &str = row.try_get("namespace")?;
        Ok(Self {
            namespace: namespace.parse().map_err(corrupt)?,
            log: row.try_get("log")?,
            keys: serde_json::from_str(row.try_get("keys")?).map_err(corrupt)?,
            pinned_at: time(row.try_get("pinned_at")?)?,
        })
    }
}

pub(crate) async fn list(pool: &AnyPool) -> sqlx::Result<Vec<Pin>> {
    sqlx::query_as("SELECT namespace, log, keys, pinned_at FROM pins ORDER BY namespace")
        .fetch_all(pool)
        .await
}

pub(crate) async fn get(
    connection: &mut AnyConnection,
    namespace: &Name,
) -> sqlx::Result<Option<Pin>> {
    sqlx::query_as("SELECT namespace, log, keys, pinned_at FROM pins WHERE namespace = $1")
        .bind(namespace.as_str())
        .fetch_optional(connection)
        .await
}

/// Pins a namespace, or keeps the newer keys of the one that is pinned to the same log. False where
/// it is pinned to another.
pub(crate) async fn put(
    connection: &mut AnyConnection,
    namespace: &Name,
    log: &str,
    keys: &[PublicKey],
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "INSERT INTO pins (namespace, log, keys, pinned_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (namespace) DO UPDATE SET keys = excluded.keys
             WHERE pins.log = excluded.log",
    )
    .bind(namespace.as_str())
    .bind(log)
    .bind(serde_json::to_string(keys).map_err(encoded)?)
    .bind(now())
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// False where there was none.
pub(crate) async fn delete(pool: &AnyPool, namespace: &str) -> sqlx::Result<bool> {
    let done = sqlx::query("DELETE FROM pins WHERE namespace = $1")
        .bind(namespace)
        .execute(pool)
        .await?;
    Ok(done.rows_affected() > 0)
}
