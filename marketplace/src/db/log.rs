//! The tables `log`, `leaves` and `hashes`: the log as it is kept.

use std::collections::BTreeMap;

use soma_capability::Name;
use soma_registry::log::{Frontier, TreeHash};
use sqlx::{AnyConnection, AnyPool, Row as _};

use super::sql::Sql;
use super::{from_json, json, number, stored};

/// Rows in one statement: SQLite and Postgres both take more parameters than this needs.
const ROWS: usize = 256;

/// The log's end.
pub(crate) struct Head {
    pub(crate) frontier: Frontier,
    /// Unix seconds of the last leaf.
    pub(crate) time: u64,
}

/// Makes the log where there is none. Gives the origin that it has.
pub(crate) async fn begin(pool: &AnyPool, origin: &str) -> sqlx::Result<String> {
    sqlx::query(
        "INSERT INTO log (id, origin, frontier, time) VALUES (1, $1, $2, 0)
         ON CONFLICT (id) DO NOTHING",
    )
    .bind(origin)
    .bind(json(&Frontier::default())?)
    .execute(pool)
    .await?;
    sqlx::query_scalar("SELECT origin FROM log WHERE id = 1")
        .fetch_one(pool)
        .await
}

/// Takes the turn to append, until the transaction ends.
pub(crate) async fn lock(tx: &mut AnyConnection) -> sqlx::Result<Head> {
    // A write first: SQLite could not turn a read into one while another writes.
    sqlx::query("UPDATE log SET time = time WHERE id = 1")
        .execute(&mut *tx)
        .await?;
    head(tx).await
}

pub(crate) async fn head(connection: &mut AnyConnection) -> sqlx::Result<Head> {
    let (frontier, time): (String, i64) =
        sqlx::query_as("SELECT frontier, time FROM log WHERE id = 1")
            .fetch_one(connection)
            .await?;
    Ok(Head {
        frontier: from_json(&frontier)?,
        time: number(time),
    })
}

/// Adds a leaf and the hashes that it completes. Gives the log's edge with it.
pub(crate) async fn append(
    tx: &mut AnyConnection,
    mut head: Head,
    body: &[u8],
    namespace: &Name,
    owners: bool,
) -> sqlx::Result<Frontier> {
    let leaf = head.frontier.size();
    let new = head.frontier.push(body);
    let body = std::str::from_utf8(body).map_err(|error| sqlx::Error::Encode(error.into()))?;
    sqlx::query("INSERT INTO leaves (leaf, body, namespace, owners) VALUES ($1, $2, $3, $4)")
        .bind(stored(leaf))
        .bind(body)
        .bind(namespace.as_str())
        .bind(i64::from(owners))
        .execute(&mut *tx)
        .await?;
    let mut insert = Sql::new("INSERT INTO hashes (hash_index, hash) VALUES ");
    for (at, (index, hash)) in new.into_iter().enumerate() {
        insert.push(if at == 0 { "(" } else { ", (" });
        insert.number(stored(index)).push(", ");
        insert.text(hash.to_string()).push(")");
    }
    insert.fetch(&mut *tx).await?;
    sqlx::query("UPDATE log SET frontier = $1, time = $2 WHERE id = 1")
        .bind(json(&head.frontier)?)
        .bind(stored(head.time))
        .execute(tx)
        .await?;
    Ok(head.frontier)
}

/// The leaves of a range, in order; fewer where the log ends.
pub(crate) async fn leaves(pool: &AnyPool, from: u64, to: u64) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar("SELECT body FROM leaves WHERE leaf >= $1 AND leaf < $2 ORDER BY leaf")
        .bind(stored(from))
        .bind(stored(to))
        .fetch_all(pool)
        .await
}

/// The leaves about a namespace's owners before `before`, and the one at `release`.
pub(crate) async fn chain(
    connection: &mut AnyConnection,
    namespace: &Name,
    release: u64,
) -> sqlx::Result<Vec<(u64, String)>> {
    let rows: Vec<(i64, String)> = sqlx::query_as(
        "SELECT leaf, body FROM leaves
         WHERE namespace = $1 AND ((owners = 1 AND leaf < $2) OR leaf = $2) ORDER BY leaf",
    )
    .bind(namespace.as_str())
    .bind(stored(release))
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(leaf, body)| (number(leaf), body))
        .collect())
}

/// The stored hashes of these indexes; those that are not there are missing.
pub(crate) async fn hashes(
    connection: &mut AnyConnection,
    indexes: &[u64],
) -> sqlx::Result<BTreeMap<u64, TreeHash>> {
    let mut found = BTreeMap::new();
    for some in indexes.chunks(ROWS) {
        let mut select = Sql::new("SELECT hash_index, hash FROM hashes WHERE hash_index IN (");
        for (at, index) in some.iter().enumerate() {
            select.push(if at == 0 { "" } else { ", " });
            select.number(stored(*index));
        }
        select.push(")");
        for row in select.fetch(&mut *connection).await? {
            let hash: String = row.try_get("hash")?;
            let hash = TreeHash::try_from(hash).map_err(|e| sqlx::Error::Decode(e.into()))?;
            found.insert(number(row.try_get("hash_index")?), hash);
        }
    }
    Ok(found)
}
