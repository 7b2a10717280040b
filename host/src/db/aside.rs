//! The `set_aside` table: files of installed capsules that do not serve calls.

use semver::Version;
use soma_capability::{CapsuleName, Digest};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AnyPool, FromRow, Row as _};

use super::capsules::Installation;
use super::corrupt;
use super::logs::{encoded, integer};
use crate::consent::Reason;

/// What a file that does not serve is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It waits for an administrator's word.
    Held,
    /// It served before the one that serves.
    Previous,
}

/// One file that does not serve.
#[derive(Clone, Debug)]
pub(crate) struct Aside {
    pub(crate) standing: Standing,
    pub(crate) row: Installation,
    pub(crate) version: Version,
    /// Why it is held.
    pub(crate) reasons: Vec<Reason>,
}

impl Standing {
    fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Previous => "previous",
        }
    }
}

impl FromRow<'_, AnyRow> for Aside {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        let standing: &str = row.try_get("standing")?;
        let version: &str = row.try_get("version")?;
        Ok(Self {
            standing: match standing {
                "held" => Standing::Held,
                _ => Standing::Previous,
            },
            row: Installation::from_row(row)?,
            version: version.parse().map_err(corrupt)?,
            reasons: serde_json::from_str(row.try_get("reasons")?).map_err(corrupt)?,
        })
    }
}

/// All of a tenant's, by name.
pub(crate) async fn list(pool: &AnyPool, tenant: &str) -> sqlx::Result<Vec<Aside>> {
    sqlx::query_as(
        "SELECT namespace, name, standing, version, digest, size, installed_at, log, leaf,
             owners_since, reasons
         FROM set_aside WHERE tenant = $1 ORDER BY namespace, name",
    )
    .bind(tenant)
    .fetch_all(pool)
    .await
}

/// Sets a file aside, in place of the one of the same standing.
pub(crate) async fn put(
    connection: &mut AnyConnection,
    tenant: &str,
    new: &Aside,
) -> sqlx::Result<()> {
    let row = &new.row;
    let logged = row.logged.as_ref();
    sqlx::query(
        "INSERT INTO set_aside (tenant, namespace, name, standing, version, digest, size,
             installed_at, log, leaf, owners_since, reasons)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         ON CONFLICT (tenant, namespace, name, standing) DO UPDATE SET version = excluded.version,
             digest = excluded.digest, size = excluded.size, installed_at = excluded.installed_at,
             log = excluded.log, leaf = excluded.leaf, owners_since = excluded.owners_since,
             reasons = excluded.reasons",
    )
    .bind(tenant)
    .bind(row.name.namespace())
    .bind(row.name.name())
    .bind(new.standing.as_str())
    .bind(new.version.to_string())
    .bind(row.digest.to_string())
    .bind(row.size)
    .bind(row.installed_at.as_millisecond())
    .bind(logged.map(|logged| logged.log.clone()))
    .bind(logged.map(|logged| integer(logged.leaf)))
    .bind(logged.and_then(|logged| logged.owners_since.map(integer)))
    .bind(serde_json::to_string(&new.reasons).map_err(encoded)?)
    .execute(connection)
    .await?;
    Ok(())
}

pub(crate) async fn delete(
    connection: &mut AnyConnection,
    tenant: &str,
    name: &CapsuleName,
    standing: Standing,
) -> sqlx::Result<()> {
    sqlx::query(
        "DELETE FROM set_aside
         WHERE tenant = $1 AND namespace = $2 AND name = $3 AND standing = $4",
    )
    .bind(tenant)
    .bind(name.namespace())
    .bind(name.name())
    .bind(standing.as_str())
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether any tenant has this digest set aside.
pub(crate) async fn is_used(pool: &AnyPool, digest: &Digest) -> sqlx::Result<bool> {
    let row = sqlx::query("SELECT 1 AS used FROM set_aside WHERE digest = $1 LIMIT 1")
        .bind(digest.to_string())
        .fetch_optional(pool)
        .await?;
    Ok(row.is_some())
}
