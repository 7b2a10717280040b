//! The `logs` table: how far each marketplace's log was followed, and whether it is believed.

use soma_registry::log::{Checkpoint, Frontier, LogKey};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AnyPool, FromRow, Row as _};

use super::{corrupt, now};

/// What is kept of one log.
#[derive(Clone, Debug)]
pub(crate) struct Followed {
    pub(crate) key: LogKey,
    pub(crate) url: String,
    pub(crate) frontier: Frontier,
    /// Unix seconds of the last leaf.
    pub(crate) leaf_time: u64,
    /// The newest one that was verified.
    pub(crate) checkpoint: Option<Checkpoint>,
    /// Unix seconds at which that was.
    pub(crate) verified: u64,
    /// Why it is not believed any more.
    pub(crate) distrusted: Option<String>,
    /// The checkpoint that contradicts the other.
    pub(crate) evidence: Option<String>,
}

impl FromRow<'_, AnyRow> for Followed {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        let key: LogKey = row.try_get::<&str, _>("log")?.parse().map_err(corrupt)?;
        let checkpoint: Option<String> = row.try_get("checkpoint")?;
        let checkpoint = checkpoint
            .map(|note| Checkpoint::read(note.as_bytes(), &key))
            .transpose()
            .map_err(corrupt)?;
        let verified: Option<i64> = row.try_get("verified_at")?;
        Ok(Self {
            key,
            url: row.try_get("url")?,
            frontier: serde_json::from_str(row.try_get("frontier")?).map_err(corrupt)?,
            leaf_time: row.try_get::<i64, _>("leaf_time")?.unsigned_abs(),
            checkpoint,
            verified: verified.unwrap_or(0).unsigned_abs() / 1000,
            distrusted: row.try_get("distrusted")?,
            evidence: row.try_get("evidence")?,
        })
    }
}

/// What is known of every log, whether it is followed still or not.
pub(crate) async fn list(pool: &AnyPool) -> sqlx::Result<Vec<Followed>> {
    sqlx::query_as(
        "SELECT log, url, frontier, leaf_time, checkpoint, verified_at, distrusted, evidence
         FROM logs ORDER BY log",
    )
    .fetch_all(pool)
    .await
}

/// One log; it begins empty where it is new.
pub(crate) async fn get(pool: &AnyPool, key: &LogKey, url: &str) -> sqlx::Result<Followed> {
    sqlx::query(
        "INSERT INTO logs (log, url, size, frontier, leaf_time) VALUES ($1, $2, 0, $3, 0)
         ON CONFLICT (log) DO UPDATE SET url = excluded.url",
    )
    .bind(key.to_string())
    .bind(url)
    .bind(serde_json::to_string(&Frontier::default()).map_err(encoded)?)
    .execute(pool)
    .await?;
    sqlx::query_as(
        "SELECT log, url, frontier, leaf_time, checkpoint, verified_at, distrusted, evidence
         FROM logs WHERE log = $1",
    )
    .bind(key.to_string())
    .fetch_one(pool)
    .await
}

/// Moves the edge on, where it is still at `from`: false where another host was quicker.
pub(crate) async fn advance(
    connection: &mut AnyConnection,
    key: &LogKey,
    from: u64,
    frontier: &Frontier,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE logs SET size = $1, frontier = $2
         WHERE log = $3 AND size = $4 AND distrusted IS NULL",
    )
    .bind(integer(frontier.size()))
    .bind(serde_json::to_string(frontier).map_err(encoded)?)
    .bind(key.to_string())
    .bind(integer(from))
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Keeps the time of the last leaf taken in.
pub(crate) async fn set_leaf_time(
    connection: &mut AnyConnection,
    key: &LogKey,
    time: u64,
) -> sqlx::Result<()> {
    sqlx::query("UPDATE logs SET leaf_time = $1 WHERE log = $2")
        .bind(integer(time))
        .bind(key.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

/// Keeps a checkpoint up to which everything was taken in, where nobody has gone further.
pub(crate) async fn verified(pool: &AnyPool, checkpoint: &Checkpoint) -> sqlx::Result<()> {
    let note = checkpoint.to_bytes();
    sqlx::query("UPDATE logs SET checkpoint = $1, verified_at = $2 WHERE log = $3 AND size = $4")
        .bind(String::from_utf8_lossy(&note).into_owned())
        .bind(now())
        .bind(checkpoint.key().to_string())
        .bind(integer(checkpoint.size()))
        .execute(pool)
        .await?;
    Ok(())
}

/// From now on nothing that the log says is believed. The first reason stays.
pub(crate) async fn distrust(
    pool: &AnyPool,
    key: &LogKey,
    why: &str,
    evidence: &Checkpoint,
) -> sqlx::Result<()> {
    let note = evidence.to_bytes();
    sqlx::query(
        "UPDATE logs SET distrusted = $1, evidence = $2, distrusted_at = $3
         WHERE log = $4 AND distrusted IS NULL",
    )
    .bind(why)
    .bind(String::from_utf8_lossy(&note).into_owned())
    .bind(now())
    .bind(key.to_string())
    .execute(pool)
    .await?;
    Ok(())
}

/// Forgets a log and what follows from it, but for its revocations.
pub(crate) async fn forget(pool: &AnyPool, log: &str) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM logs WHERE log = $1")
        .bind(log)
        .execute(pool)
        .await?;
    Ok(())
}

pub(super) fn encoded(error: serde_json::Error) -> sqlx::Error {
    sqlx::Error::Encode(error.into())
}

/// Sizes, indexes and times of a log are far below what this loses.
pub(super) fn integer(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
