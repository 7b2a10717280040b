//! The `watches` and `watched_requests` tables: what capsules send while somebody has it recorded.

use jiff::Timestamp;
use soma_capability::{CapsuleName, Operation};
use soma_runtime::Wanted;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AnyPool, FromRow, Row as _};
use uuid::Uuid;

use super::{corrupt, now, time};

/// Different requests that are kept of one capsule.
pub(crate) const MOST: usize = 1000;

/// One capsule whose requests are recorded, or were.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    pub(crate) id: String,
    /// The tenant's id.
    pub(crate) tenant: String,
    pub(crate) capsule: CapsuleName,
    log: String,
    pub(crate) began_at: Timestamp,
    /// The id of the key that began it.
    pub(crate) began_by: String,
    pub(crate) ends_at: Timestamp,
    /// Whether there was more than [`MOST`].
    pub(crate) is_full: bool,
}

impl FromRow<'_, AnyRow> for Watch {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        let is_full: i64 = row.try_get("is_full")?;
        Ok(Self {
            id: row.try_get("id")?,
            tenant: row.try_get("tenant")?,
            capsule: CapsuleName::new(row.try_get("namespace")?, row.try_get("name")?)
                .map_err(corrupt)?,
            log: row.try_get("log")?,
            began_at: time(row.try_get("began_at")?)?,
            began_by: row.try_get("began_by")?,
            ends_at: time(row.try_get("ends_at")?)?,
            is_full: is_full != 0,
        })
    }
}

impl Watch {
    pub(crate) fn is_on(&self) -> bool {
        self.ends_at > Timestamp::now()
    }

    /// Whether it is of the capsule from this log, or from a file.
    pub(crate) fn is_of(&self, log: Option<&str>) -> bool {
        self.log == log.unwrap_or_default()
    }
}

/// Begins one, or gives the one that is on another end. What an earlier one saw is forgotten.
pub(crate) async fn begin(
    pool: &AnyPool,
    tenant: &str,
    capsule: &CapsuleName,
    log: Option<&str>,
    by: &str,
    ends_at: Timestamp,
) -> sqlx::Result<Watch> {
    let mut transaction = pool.begin().await?;
    sqlx::query(
        "DELETE FROM watches WHERE tenant = $1 AND namespace = $2 AND name = $3
         AND (ends_at <= $4 OR log <> $5)",
    )
    .bind(tenant)
    .bind(capsule.namespace())
    .bind(capsule.name())
    .bind(now())
    .bind(log.unwrap_or_default())
    .execute(&mut *transaction)
    .await?;
    let watch = sqlx::query_as(
        "INSERT INTO watches
             (id, tenant, namespace, name, log, began_at, began_by, ends_at, is_full)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0)
         ON CONFLICT (tenant, namespace, name) DO UPDATE SET ends_at = excluded.ends_at
         RETURNING id, tenant, namespace, name, log, began_at, began_by, ends_at, is_full",
    )
    .bind(Uuid::now_v7().to_string())
    .bind(tenant)
    .bind(capsule.namespace())
    .bind(capsule.name())
    .bind(log.unwrap_or_default())
    .bind(now())
    .bind(by)
    .bind(ends_at.as_millisecond())
    .fetch_one(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(watch)
}

/// Ends the one that is on; false where none is.
pub(crate) async fn end(pool: &AnyPool, tenant: &str, capsule: &CapsuleName) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE watches SET ends_at = $4
         WHERE tenant = $1 AND namespace = $2 AND name = $3 AND ends_at > $4",
    )
    .bind(tenant)
    .bind(capsule.namespace())
    .bind(capsule.name())
    .bind(now())
    .execute(pool)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// All that are on.
pub(crate) async fn on(pool: &AnyPool) -> sqlx::Result<Vec<Watch>> {
    sqlx::query_as(
        "SELECT id, tenant, namespace, name, log, began_at, began_by, ends_at, is_full
         FROM watches WHERE ends_at > $1",
    )
    .bind(now())
    .fetch_all(pool)
    .await
}

/// The last one of a capsule.
pub(crate) async fn get(
    pool: &AnyPool,
    tenant: &str,
    capsule: &CapsuleName,
) -> sqlx::Result<Option<Watch>> {
    sqlx::query_as(
        "SELECT id, tenant, namespace, name, log, began_at, began_by, ends_at, is_full
         FROM watches WHERE tenant = $1 AND namespace = $2 AND name = $3",
    )
    .bind(tenant)
    .bind(capsule.namespace())
    .bind(capsule.name())
    .fetch_optional(pool)
    .await
}

/// Keeps what was seen, while there is room; `is_full` where the one who saw it had none. Fails as
/// [`sqlx::Error`] says of a foreign key where the watch is gone.
pub(crate) async fn keep(
    pool: &AnyPool,
    watch: &str,
    seen: &[(Wanted, bool)],
    mut is_full: bool,
) -> sqlx::Result<()> {
    let mut transaction = pool.begin().await?;
    // Changed first, so that whoever else keeps something waits here, and counts after it.
    let full =
        "UPDATE watches SET is_full = CASE WHEN $2 = 1 THEN 1 ELSE is_full END WHERE id = $1";
    sqlx::query(full)
        .bind(watch)
        .bind(i64::from(is_full))
        .execute(&mut *transaction)
        .await?;
    let count = "SELECT COUNT(*) FROM watched_requests WHERE watch = $1";
    let kept: i64 = sqlx::query_scalar(count)
        .bind(watch)
        .fetch_one(&mut *transaction)
        .await?;
    let mut room = MOST.saturating_sub(usize::try_from(kept).unwrap_or(MOST));
    for (wanted, is_allowed) in seen {
        if is_known(&mut transaction, watch, wanted, *is_allowed).await? {
            continue;
        }
        if room == 0 {
            is_full = true;
            continue;
        }
        insert(&mut transaction, watch, wanted, *is_allowed).await?;
        room -= 1;
    }
    sqlx::query(full)
        .bind(watch)
        .bind(i64::from(is_full))
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await
}

/// Whether it is kept already; that it was allowed is added to that.
async fn is_known(
    connection: &mut AnyConnection,
    watch: &str,
    wanted: &Wanted,
    is_allowed: bool,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE watched_requests SET is_allowed = CASE WHEN $5 = 1 THEN 1 ELSE is_allowed END
         WHERE watch = $1 AND method = $2 AND origin = $3 AND path = $4
         AND operations = $6",
    )
    .bind(watch)
    .bind(&wanted.method)
    .bind(wanted.origin.to_string())
    .bind(&wanted.path)
    .bind(i64::from(is_allowed))
    .bind(text(&wanted.operations))
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}

async fn insert(
    connection: &mut AnyConnection,
    watch: &str,
    wanted: &Wanted,
    is_allowed: bool,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO watched_requests (watch, method, origin, path, operations, is_allowed)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(watch)
    .bind(&wanted.method)
    .bind(wanted.origin.to_string())
    .bind(&wanted.path)
    .bind(text(&wanted.operations))
    .bind(i64::from(is_allowed))
    .execute(connection)
    .await?;
    Ok(())
}

/// As in `query a, mutation b`; empty where none was seen.
fn text(operations: &[Operation]) -> String {
    let operations: Vec<String> = operations.iter().map(ToString::to_string).collect();
    operations.join(", ")
}

fn operations(text: &str) -> sqlx::Result<Vec<Operation>> {
    let texts = text.split(", ").filter(|text| !text.is_empty());
    texts.map(|text| text.parse().map_err(corrupt)).collect()
}

/// What was seen, and whether it was allowed, by where it was sent to.
pub(crate) async fn requests(pool: &AnyPool, watch: &str) -> sqlx::Result<Vec<(Wanted, bool)>> {
    let rows = sqlx::query(
        "SELECT method, origin, path, operations, is_allowed FROM watched_requests WHERE watch = $1
         ORDER BY origin, path, method, operations",
    )
    .bind(watch)
    .fetch_all(pool)
    .await?;
    let read = |row: &AnyRow| {
        let origin: &str = row.try_get("origin")?;
        let is_allowed: i64 = row.try_get("is_allowed")?;
        let wanted = Wanted {
            method: row.try_get("method")?,
            origin: origin.parse().map_err(corrupt)?,
            path: row.try_get("path")?,
            operations: operations(row.try_get("operations")?)?,
        };
        Ok((wanted, is_allowed != 0))
    };
    rows.iter().map(read).collect()
}
