//! The `capsules` table: which tenant has installed what.

use jiff::Timestamp;
use soma_capability::{CapsuleName, Digest};
use sqlx::any::AnyRow;
use sqlx::{AnyPool, FromRow, Row as _};

use super::{now, time};

/// One installed capsule. Manifest and tools are in the file that the digest names.
#[derive(Clone, Debug)]
pub(crate) struct Installation {
    pub(crate) name: CapsuleName,
    pub(crate) digest: Digest,
    /// Bytes of the file.
    pub(crate) size: i64,
    pub(crate) installed_at: Timestamp,
}

impl FromRow<'_, AnyRow> for Installation {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        let digest: &str = row.try_get("digest")?;
        Ok(Self {
            name: CapsuleName::new(row.try_get("namespace")?, row.try_get("name")?)
                .map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
            digest: digest
                .parse()
                .map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
            size: row.try_get("size")?,
            installed_at: time(row.try_get("installed_at")?)?,
        })
    }
}

pub(crate) async fn get(
    pool: &AnyPool,
    tenant: &str,
    name: &CapsuleName,
) -> sqlx::Result<Option<Installation>> {
    sqlx::query_as(
        "SELECT namespace, name, digest, size, installed_at FROM capsules
         WHERE tenant = $1 AND namespace = $2 AND name = $3",
    )
    .bind(tenant)
    .bind(name.namespace())
    .bind(name.name())
    .fetch_optional(pool)
    .await
}

pub(crate) async fn list(pool: &AnyPool, tenant: &str) -> sqlx::Result<Vec<Installation>> {
    sqlx::query_as(
        "SELECT namespace, name, digest, size, installed_at FROM capsules
         WHERE tenant = $1 ORDER BY namespace, name",
    )
    .bind(tenant)
    .fetch_all(pool)
    .await
}

/// Installs, in place of whatever had the name before.
pub(crate) async fn put(
    pool: &AnyPool,
    tenant: &str,
    name: &CapsuleName,
    version: &semver::Version,
    digest: &Digest,
    size: i64,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO capsules (tenant, namespace, name, version, digest, size, installed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (tenant, namespace, name) DO UPDATE SET version = excluded.version,
             digest = excluded.digest, size = excluded.size, installed_at = excluded.installed_at",
    )
    .bind(tenant)
    .bind(name.namespace())
    .bind(name.name())
    .bind(version.to_string())
    .bind(digest.to_string())
    .bind(size)
    .bind(now())
    .execute(pool)
    .await?;
    Ok(())
}

/// The digest that was installed under this name; none where there was none.
pub(crate) async fn delete(
    pool: &AnyPool,
    tenant: &str,
    name: &CapsuleName,
) -> sqlx::Result<Option<Installation>> {
    sqlx::query_as(
        "DELETE FROM capsules WHERE tenant = $1 AND namespace = $2 AND name = $3
         RETURNING namespace, name, digest, size, installed_at",
    )
    .bind(tenant)
    .bind(name.namespace())
    .bind(name.name())
    .fetch_optional(pool)
    .await
}

/// Whether any tenant has a capsule of this name.
pub(crate) async fn is_installed(pool: &AnyPool, name: &CapsuleName) -> sqlx::Result<bool> {
    let row =
        sqlx::query("SELECT 1 AS used FROM capsules WHERE namespace = $1 AND name = $2 LIMIT 1")
            .bind(name.namespace())
            .bind(name.name())
            .fetch_optional(pool)
            .await?;
    Ok(row.is_some())
}

/// Whether any tenant still has this digest.
pub(crate) async fn is_used(pool: &AnyPool, digest: &Digest) -> sqlx::Result<bool> {
    let row = sqlx::query("SELECT 1 AS used FROM capsules WHERE digest = $1 LIMIT 1")
        .bind(digest.to_string())
        .fetch_optional(pool)
        .await?;
    Ok(row.is_some())
}
