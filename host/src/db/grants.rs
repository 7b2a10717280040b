//! The `grants` table: what an operator gave to a tenant's capsule.

use jiff::Timestamp;
use serde::Serialize;
use soma_capability::{CapsuleName, Grant};
use sqlx::any::AnyRow;
use sqlx::{AnyPool, FromRow, Row as _};
use uuid::Uuid;

use super::logs::encoded;
use super::{corrupt, now, time};

/// One grant.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Granted {
    pub(crate) capsule: CapsuleName,
    /// The key of the log that the capsule came from when it was granted; none for a file.
    #[serde(skip)]
    pub(crate) log: Option<String>,
    pub(crate) grant: Grant,
    /// Another one with every change.
    #[serde(skip)]
    pub(crate) revision: String,
    pub(crate) granted_at: Timestamp,
    /// The id of the key that granted it.
    pub(crate) granted_by: String,
    pub(crate) expires_at: Option<Timestamp>,
}

impl FromRow<'_, AnyRow> for Granted {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        let expires_at: Option<i64> = row.try_get("expires_at")?;
        Ok(Self {
            capsule: CapsuleName::new(row.try_get("namespace")?, row.try_get("name")?)
                .map_err(corrupt)?,
            log: row.try_get("log")?,
            grant: serde_json::from_str(row.try_get("body")?).map_err(corrupt)?,
            revision: row.try_get("revision")?,
            granted_at: time(row.try_get("granted_at")?)?,
            granted_by: row.try_get("granted_by")?,
            expires_at: expires_at.map(time).transpose()?,
        })
    }
}

/// What is granted, by whom and until when, to be written.
pub(crate) struct New<'a> {
    pub(crate) log: Option<&'a str>,
    pub(crate) grant: &'a Grant,
    pub(crate) by: &'a str,
    pub(crate) expires_at: Option<Timestamp>,
}

/// Grants this, and nothing of what was granted before.
pub(crate) async fn put(
    pool: &AnyPool,
    tenant: &str,
    capsule: &CapsuleName,
    new: &New<'_>,
) -> sqlx::Result<Granted> {
    sqlx::query_as(
        "INSERT INTO grants (tenant, namespace, name, log, body, revision, granted_at, granted_by,
             expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (tenant, namespace, name) DO UPDATE SET log = excluded.log,
             body = excluded.body, revision = excluded.revision, granted_at = excluded.granted_at,
             granted_by = excluded.granted_by, expires_at = excluded.expires_at
         RETURNING namespace, name, log, body, revision, granted_at, granted_by, expires_at",
    )
    .bind(tenant)
    .bind(capsule.namespace())
    .bind(capsule.name())
    .bind(new.log)
    .bind(serde_json::to_string(new.grant).map_err(encoded)?)
    .bind(Uuid::now_v7().to_string())
    .bind(now())
    .bind(new.by)
    .bind(new.expires_at.map(Timestamp::as_millisecond))
    .fetch_one(pool)
    .await
}

pub(crate) async fn get(
    pool: &AnyPool,
    tenant: &str,
    capsule: &CapsuleName,
) -> sqlx::Result<Option<Granted>> {
    sqlx::query_as(
        "SELECT namespace, name, log, body, revision, granted_at, granted_by, expires_at
         FROM grants WHERE tenant = $1 AND namespace = $2 AND name = $3",
    )
    .bind(tenant)
    .bind(capsule.namespace())
    .bind(capsule.name())
    .fetch_optional(pool)
    .await
}

/// False where there was none.
pub(crate) async fn delete(
    pool: &AnyPool,
    tenant: &str,
    capsule: &CapsuleName,
) -> sqlx::Result<bool> {
    let done = sqlx::query("DELETE FROM grants WHERE tenant = $1 AND namespace = $2 AND name = $3")
        .bind(tenant)
        .bind(capsule.namespace())
        .bind(capsule.name())
        .execute(pool)
        .await?;
    Ok(done.rows_affected() > 0)
}
