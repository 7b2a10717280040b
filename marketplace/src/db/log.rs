//! The tables `log`, `leaves`, `hashes` and `cosignatures`: the log as it is kept.

use std::collections::BTreeMap;

use soma_capability::Name;
use soma_registry::log::{Frontier, TreeHash};
use sqlx::{Any, AnyConnection, AnyPool, QueryBuilder};

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

/// Adds a leaf and the hashes that it completes.
pub(crate) async fn append(
    tx: &mut AnyConnection,
    mut head: Head,
    body: &[u8],
    namespace: &Name,
    owners: bool,
) -> sqlx::Result<u64> {
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
    let mut insert = QueryBuilder::<Any>::new("INSERT INTO hashes (hash_index, hash) ");
    insert.push_values(new, |mut row, (index, hash)| {
        row.push_bind(stored(index)).push_bind(hash.to_string());
    });
    insert.build().execute(&mut *tx).await?;
    sqlx::query("UPDATE log SET frontier = $1, time = $2 WHERE id = 1")
        .bind(json(&head.frontier)?)
        .bind(stored(head.time))
        .execute(tx)
        .await?;
    Ok(leaf)
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
    pool: &AnyPool,
    namespace: &Name,
    release: u64,
) -> sqlx::Result<Vec<(u64, String)>> {
    let rows: Vec<(i64, String)> = sqlx::query_as(
        "SELECT leaf, body FROM leaves
         WHERE namespace = $1 AND ((owners = 1 AND leaf < $2) OR leaf = $2) ORDER BY leaf",
    )
    .bind(namespace.as_str())
    .bind(stored(release))
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(leaf, body)| (number(leaf), body))
        .collect())
}

/// The stored hashes of these indexes; those that are not there are missing.
pub(crate) async fn hashes(
    pool: &AnyPool,
    indexes: &[u64],
) -> sqlx::Result<BTreeMap<u64, TreeHash>> {
    let mut found = BTreeMap::new();
    for some in indexes.chunks(ROWS) {
        let mut select =
            QueryBuilder::<Any>::new("SELECT hash_index, hash FROM hashes WHERE hash_index IN (");
        let mut list = select.separated(", ");
        for index in some {
            list.push_bind(stored(*index));
        }
        select.push(")");
        let rows: Vec<(i64, String)> = select.build_query_as().fetch_all(pool).await?;
        for (index, hash) in rows {
            let hash = TreeHash::try_from(hash).map_err(|e| sqlx::Error::Decode(e.into()))?;
            found.insert(number(index), hash);
        }
    }
    Ok(found)
}

/// Keeps a witness's signature line over the checkpoint of a size.
pub(crate) async fn put_cosignature(
    pool: &AnyPool,
    witness: &str,
    size: u64,
    line: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO cosignatures (witness, size, line) VALUES ($1, $2, $3)
         ON CONFLICT (witness) DO UPDATE SET size = excluded.size, line = excluded.line",
    )
    .bind(witness)
    .bind(stored(size))
    .bind(line)
    .execute(pool)
    .await?;
    Ok(())
}

/// The signature lines over the checkpoint of this size.
pub(crate) async fn cosignatures(pool: &AnyPool, size: u64) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar("SELECT line FROM cosignatures WHERE size = $1 ORDER BY witness")
        .bind(stored(size))
        .fetch_all(pool)
        .await
}
