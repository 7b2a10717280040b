//! The `capsules` table: which tenant has installed what.

use jiff::Timestamp;
use semver::Version;
use soma_capability::{CapsuleName, Digest};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AnyPool, FromRow, Row as _};

use super::logs::integer;
use super::{corrupt, time};

/// One installed capsule. Manifest and tools are in the file that the digest names.
#[derive(Clone, Debug)]
pub(crate) struct Installation {
    pub(crate) name: CapsuleName,
    pub(crate) digest: Digest,
    /// Bytes of the file.
    pub(crate) size: i64,
    pub(crate) installed_at: Timestamp,
    /// The log that has it; none where it came as a file.
    pub(crate) logged: Option<Logged>,
}

/// Where a log says what was installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Logged {
    /// The log's key, which has its origin in it.
    pub(crate) log: String,
    /// The leaf that published it.
    pub(crate) leaf: u64,
    /// The leaf of the last change of the namespace's owners or their keys when it came; none where
    /// it came before this was kept.
    pub(crate) owners_since: Option<u64>,
}

impl Logged {
    /// The log's origin.
    pub(crate) fn origin(&self) -> &str {
        origin(&self.log)
    }
}

/// The origin that a log's key begins with.
pub(crate) fn origin(log: &str) -> &str {
    log.split('+').next().unwrap_or_default()
}

impl Installation {
    /// The key of the log that has it; none for a file.
    pub(crate) fn log(&self) -> Option<&str> {
        self.logged.as_ref().map(|logged| logged.log.as_str())
    }
}

impl FromRow<'_, AnyRow> for Installation {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        let digest: &str = row.try_get("digest")?;
        let log: Option<String> = row.try_get("log")?;
        let leaf: Option<i64> = row.try_get("leaf")?;
        let owners_since: Option<i64> = row.try_get("owners_since")?;
        Ok(Self {
            name: CapsuleName::new(row.try_get("namespace")?, row.try_get("name")?)
                .map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
            digest: digest
                .parse()
                .map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
            size: row.try_get("size")?,
            installed_at: time(row.try_get("installed_at")?)?,
            logged: log.zip(leaf).map(|(log, leaf)| Logged {
                log,
                leaf: leaf.unsigned_abs(),
                owners_since: owners_since.map(i64::unsigned_abs),
            }),
        })
    }
}

pub(crate) async fn get(
    pool: &AnyPool,
    tenant: &str,
    name: &CapsuleName,
) -> sqlx::Result<Option<Installation>> {
    sqlx::query_as(
        "SELECT namespace, name, digest, size, installed_at, log, leaf, owners_since FROM capsules
         WHERE tenant = $1 AND namespace = $2 AND name = $3",
    )
    .bind(tenant)
    .bind(name.namespace())
    .bind(name.name())
    .fetch_optional(pool)
    .await
}

/// The version of a capsule that an administrator went back from.
pub(crate) async fn rolled_back(
    pool: &AnyPool,
    tenant: &str,
    name: &CapsuleName,
) -> sqlx::Result<Option<Version>> {
    let version: Option<Option<String>> = sqlx::query_scalar(
        "SELECT rolled_back FROM capsules WHERE tenant = $1 AND namespace = $2 AND name = $3",
    )
    .bind(tenant)
    .bind(name.namespace())
    .bind(name.name())
    .fetch_optional(pool)
    .await?;
    let version = version.flatten().map(|version| version.parse());
    version.transpose().map_err(corrupt)
}

pub(crate) async fn set_rolled_back(
    connection: &mut AnyConnection,
    tenant: &str,
    name: &CapsuleName,
    version: Option<&Version>,
) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE capsules SET rolled_back = $4
         WHERE tenant = $1 AND namespace = $2 AND name = $3",
    )
    .bind(tenant)
    .bind(name.namespace())
    .bind(name.name())
    .bind(version.map(ToString::to_string))
    .execute(connection)
    .await?;
    Ok(())
}

pub(crate) async fn list(pool: &AnyPool, tenant: &str) -> sqlx::Result<Vec<Installation>> {
    sqlx::query_as(
        "SELECT namespace, name, digest, size, installed_at, log, leaf, owners_since FROM capsules
         WHERE tenant = $1 ORDER BY namespace, name",
    )
    .bind(tenant)
    .fetch_all(pool)
    .await
}

/// Installs, in place of whatever had the name before.
pub(crate) async fn put(
    connection: &mut AnyConnection,
    tenant: &str,
    new: &Installation,
    version: &Version,
) -> sqlx::Result<()> {
    let logged = new.logged.as_ref();
    sqlx::query(
        "INSERT INTO capsules
             (tenant, namespace, name, version, digest, size, installed_at, log, leaf, owners_since)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (tenant, namespace, name) DO UPDATE SET version = excluded.version,
             digest = excluded.digest, size = excluded.size, installed_at = excluded.installed_at,
             log = excluded.log, leaf = excluded.leaf, owners_since = excluded.owners_since",
    )
    .bind(tenant)
    .bind(new.name.namespace())
    .bind(new.name.name())
    .bind(version.to_string())
    .bind(new.digest.to_string())
    .bind(new.size)
    .bind(new.installed_at.as_millisecond())
    .bind(logged.map(|logged| logged.log.clone()))
    .bind(logged.map(|logged| integer(logged.leaf)))
    .bind(logged.and_then(|logged| logged.owners_since.map(integer)))
    .execute(connection)
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
         RETURNING namespace, name, digest, size, installed_at, log, leaf, owners_since",
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
