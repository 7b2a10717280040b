//! The `stores` and `store_entries` tables: what capsules keep from call to call.

use soma_capability::CapsuleName;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AnyPool, FromRow, Row as _};
use uuid::Uuid;

/// Whose store it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Owner {
    /// The tenant's id.
    pub(crate) tenant: String,
    pub(crate) capsule: CapsuleName,
    /// The key of the log that the capsule came from; none for a file.
    pub(crate) log: Option<String>,
}

impl Owner {
    fn log(&self) -> &str {
        self.log.as_deref().unwrap_or_default()
    }
}

/// A store that nobody else changes before the transaction ends.
pub(crate) struct Locked {
    id: String,
    pub(crate) used_bytes: u64,
}

impl FromRow<'_, AnyRow> for Locked {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        let used_bytes: i64 = row.try_get("used_bytes")?;
        Ok(Self {
            id: row.try_get("id")?,
            used_bytes: used_bytes.unsigned_abs(),
        })
    }
}

/// What is in a store.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Contents {
    pub(crate) used_bytes: u64,
    pub(crate) entries: u64,
}

/// Waits for the store, which begins empty. Fails as [`sqlx::Error`] says of a foreign key where the
/// capsule is not installed any more.
pub(crate) async fn lock(connection: &mut AnyConnection, owner: &Owner) -> sqlx::Result<Locked> {
    sqlx::query_as(
        "INSERT INTO stores (id, tenant, namespace, name, log, used_bytes)
         VALUES ($1, $2, $3, $4, $5, 0)
         ON CONFLICT (tenant, namespace, name, log)
             DO UPDATE SET used_bytes = stores.used_bytes
         RETURNING id, used_bytes",
    )
    .bind(Uuid::now_v7().to_string())
    .bind(&owner.tenant)
    .bind(owner.capsule.namespace())
    .bind(owner.capsule.name())
    .bind(owner.log())
    .fetch_one(connection)
    .await
}

impl Locked {
    pub(crate) async fn get(
        &self,
        connection: &mut AnyConnection,
        key: &str,
    ) -> sqlx::Result<Option<Vec<u8>>> {
        sqlx::query_scalar("SELECT value FROM store_entries WHERE store = $1 AND key = $2")
            .bind(&self.id)
            .bind(key.as_bytes())
            .fetch_optional(connection)
            .await
    }

    /// Keeps a value, in place of the one before; none removes it. The store takes so many bytes
    /// then.
    pub(crate) async fn put(
        &self,
        connection: &mut AnyConnection,
        key: &str,
        value: Option<&[u8]>,
        used_bytes: u64,
    ) -> sqlx::Result<()> {
        let statement = match value {
            Some(value) => sqlx::query(
                "INSERT INTO store_entries (store, key, value) VALUES ($1, $2, $3)
                 ON CONFLICT (store, key) DO UPDATE SET value = excluded.value",
            )
            .bind(&self.id)
            .bind(key.as_bytes())
            .bind(value),
            None => sqlx::query("DELETE FROM store_entries WHERE store = $1 AND key = $2")
                .bind(&self.id)
                .bind(key.as_bytes()),
        };
        statement.execute(&mut *connection).await?;
        sqlx::query("UPDATE stores SET used_bytes = $1 WHERE id = $2")
            .bind(i64::try_from(used_bytes).unwrap_or(i64::MAX))
            .bind(&self.id)
            .execute(connection)
            .await?;
        Ok(())
    }
}

pub(crate) async fn get(pool: &AnyPool, owner: &Owner, key: &str) -> sqlx::Result<Option<Vec<u8>>> {
    sqlx::query_scalar(
        "SELECT e.value FROM stores s JOIN store_entries e ON e.store = s.id
         WHERE s.tenant = $1 AND s.namespace = $2 AND s.name = $3 AND s.log = $4 AND e.key = $5",
    )
    .bind(&owner.tenant)
    .bind(owner.capsule.namespace())
    .bind(owner.capsule.name())
    .bind(owner.log())
    .bind(key.as_bytes())
    .fetch_optional(pool)
    .await
}

/// The first keys from one on and before another, in the order of their bytes.
pub(crate) async fn keys(
    pool: &AnyPool,
    owner: &Owner,
    from: &[u8],
    before: &[u8],
    most: usize,
) -> sqlx::Result<Vec<Vec<u8>>> {
    sqlx::query_scalar(
        "SELECT e.key FROM stores s JOIN store_entries e ON e.store = s.id
         WHERE s.tenant = $1 AND s.namespace = $2 AND s.name = $3 AND s.log = $4
             AND e.key >= $5 AND e.key < $6
         ORDER BY e.key LIMIT $7",
    )
    .bind(&owner.tenant)
    .bind(owner.capsule.namespace())
    .bind(owner.capsule.name())
    .bind(owner.log())
    .bind(from)
    .bind(before)
    .bind(i64::try_from(most).unwrap_or(i64::MAX))
    .fetch_all(pool)
    .await
}

pub(crate) async fn contents(pool: &AnyPool, owner: &Owner) -> sqlx::Result<Contents> {
    let row = sqlx::query(
        "SELECT s.used_bytes, (SELECT COUNT(*) FROM store_entries e WHERE e.store = s.id) AS entries
         FROM stores s
         WHERE s.tenant = $1 AND s.namespace = $2 AND s.name = $3 AND s.log = $4",
    )
    .bind(&owner.tenant)
    .bind(owner.capsule.namespace())
    .bind(owner.capsule.name())
    .bind(owner.log())
    .fetch_optional(pool)
    .await?;
    let Some(row) = row else {
        return Ok(Contents::default());
    };
    let number = |column| row.try_get::<i64, _>(column).map(i64::unsigned_abs);
    Ok(Contents {
        used_bytes: number("used_bytes")?,
        entries: number("entries")?,
    })
}

/// Forgets everything in a store.
pub(crate) async fn clear(pool: &AnyPool, owner: &Owner) -> sqlx::Result<()> {
    sqlx::query(
        "DELETE FROM stores WHERE tenant = $1 AND namespace = $2 AND name = $3 AND log = $4",
    )
    .bind(&owner.tenant)
    .bind(owner.capsule.namespace())
    .bind(owner.capsule.name())
    .bind(owner.log())
    .execute(pool)
    .await?;
    Ok(())
}
