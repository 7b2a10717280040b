//! The `secrets` table: credentials, sealed.

use jiff::Timestamp;
use serde::Serialize;
use soma_capability::CredentialName;
use soma_runtime::Presentation;
use sqlx::any::AnyRow;
use sqlx::{AnyPool, FromRow, Row as _};
use uuid::Uuid;

use super::logs::encoded;
use super::{corrupt, now, time};

/// One credential; its value is sealed, and never shown.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Stored {
    pub(crate) name: CredentialName,
    /// How it is shown to a server.
    #[serde(rename = "as")]
    pub(crate) presentation: Presentation,
    #[serde(skip)]
    pub(crate) sealed: String,
    /// Another one with every change.
    #[serde(skip)]
    pub(crate) revision: String,
    pub(crate) set_at: Timestamp,
}

impl FromRow<'_, AnyRow> for Stored {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        let name: &str = row.try_get("name")?;
        Ok(Self {
            name: name.parse().map_err(corrupt)?,
            presentation: serde_json::from_str(row.try_get("presentation")?).map_err(corrupt)?,
            sealed: row.try_get("sealed")?,
            revision: row.try_get("revision")?,
            set_at: time(row.try_get("set_at")?)?,
        })
    }
}

/// Keeps one, in place of the one of that name.
pub(crate) async fn put(
    pool: &AnyPool,
    tenant: &str,
    name: &CredentialName,
    presentation: &Presentation,
    sealed: &str,
) -> sqlx::Result<Stored> {
    sqlx::query_as(
        "INSERT INTO secrets (tenant, name, presentation, sealed, revision, set_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (tenant, name) DO UPDATE SET presentation = excluded.presentation,
             sealed = excluded.sealed, revision = excluded.revision, set_at = excluded.set_at
         RETURNING name, presentation, sealed, revision, set_at",
    )
    .bind(tenant)
    .bind(name.to_string())
    .bind(serde_json::to_string(presentation).map_err(encoded)?)
    .bind(sealed)
    .bind(Uuid::now_v7().to_string())
    .bind(now())
    .fetch_one(pool)
    .await
}

pub(crate) async fn get(
    pool: &AnyPool,
    tenant: &str,
    name: &CredentialName,
) -> sqlx::Result<Option<Stored>> {
    sqlx::query_as(
        "SELECT name, presentation, sealed, revision, set_at FROM secrets
         WHERE tenant = $1 AND name = $2",
    )
    .bind(tenant)
    .bind(name.to_string())
    .fetch_optional(pool)
    .await
}

pub(crate) async fn list(pool: &AnyPool, tenant: &str) -> sqlx::Result<Vec<Stored>> {
    sqlx::query_as(
        "SELECT name, presentation, sealed, revision, set_at FROM secrets
         WHERE tenant = $1 ORDER BY name",
    )
    .bind(tenant)
    .fetch_all(pool)
    .await
}

/// False where there was none.
pub(crate) async fn delete(
    pool: &AnyPool,
    tenant: &str,
    name: &CredentialName,
) -> sqlx::Result<bool> {
    let done = sqlx::query("DELETE FROM secrets WHERE tenant = $1 AND name = $2")
        .bind(tenant)
        .bind(name.to_string())
        .execute(pool)
        .await?;
    Ok(done.rows_affected() > 0)
}
