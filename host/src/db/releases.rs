//! What follows from the logs: the tables `log_namespaces`, `log_releases` and `revocations`.

use std::collections::HashSet;

use semver::Version;
use soma_capability::{CapsuleName, Digest, Name};
use soma_registry::log::LogKey;
use soma_registry::{Namespace, Release, Revocation, Standing};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AnyPool, Row as _};

use super::corrupt;
use super::logs::encoded;

/// A version that a log revoked.
#[derive(Clone, Debug)]
pub(crate) struct Revoked {
    /// The log's key.
    pub(crate) log: String,
    pub(crate) capsule: CapsuleName,
    pub(crate) version: Version,
    pub(crate) digest: Digest,
    pub(crate) revocation: Revocation,
}

pub(crate) async fn namespace(
    connection: &mut AnyConnection,
    log: &LogKey,
    name: &Name,
) -> sqlx::Result<Option<Namespace>> {
    let row = sqlx::query("SELECT state FROM log_namespaces WHERE log = $1 AND namespace = $2")
        .bind(log.to_string())
        .bind(name.as_str())
        .fetch_optional(connection)
        .await?;
    row.map(|row| state(&row)).transpose()
}

pub(crate) async fn put_namespace(
    connection: &mut AnyConnection,
    log: &LogKey,
    name: &Name,
    namespace: &Namespace,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO log_namespaces (log, namespace, state) VALUES ($1, $2, $3)
         ON CONFLICT (log, namespace) DO UPDATE SET state = excluded.state",
    )
    .bind(log.to_string())
    .bind(name.as_str())
    .bind(serde_json::to_string(namespace).map_err(encoded)?)
    .execute(connection)
    .await?;
    Ok(())
}

/// All versions of a capsule in one log.
pub(crate) async fn of_capsule(
    connection: &mut AnyConnection,
    log: &str,
    capsule: &CapsuleName,
) -> sqlx::Result<Vec<Release>> {
    let rows = sqlx::query(
        "SELECT state FROM log_releases WHERE log = $1 AND namespace = $2 AND name = $3",
    )
    .bind(log)
    .bind(capsule.namespace())
    .bind(capsule.name())
    .fetch_all(connection)
    .await?;
    rows.iter().map(state).collect()
}

/// The release that a change of this version is judged by: builds of one version are one.
pub(crate) async fn concerned(
    connection: &mut AnyConnection,
    log: &LogKey,
    capsule: &CapsuleName,
    version: &Version,
) -> sqlx::Result<Option<Release>> {
    let rows = sqlx::query(
        "SELECT state FROM log_releases WHERE log = $1 AND namespace = $2 AND name = $3
         AND (version = $4 OR version LIKE $4 || '+%')",
    )
    .bind(log.to_string())
    .bind(capsule.namespace())
    .bind(capsule.name())
    .bind(Release::without_build(version).to_string())
    .fetch_all(connection)
    .await?;
    let releases = rows
        .iter()
        .map(state)
        .collect::<sqlx::Result<Vec<Release>>>()?;
    Ok(releases
        .into_iter()
        .find(|release| release.is_concerned(version)))
}

pub(crate) async fn put_release(
    connection: &mut AnyConnection,
    log: &LogKey,
    release: &Release,
) -> sqlx::Result<()> {
    let log = log.to_string();
    let state = serde_json::to_string(release).map_err(encoded)?;
    let standing = match release.standing {
        Standing::Current => "current",
        Standing::Yanked => "yanked",
        Standing::Revoked(_) => "revoked",
    };
    sqlx::query(
        "INSERT INTO log_releases (log, namespace, name, version, standing, state)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (log, namespace, name, version) DO UPDATE SET standing = excluded.standing,
             state = excluded.state",
    )
    .bind(&log)
    .bind(release.capsule.namespace())
    .bind(release.capsule.name())
    .bind(release.version.to_string())
    .bind(standing)
    .bind(&state)
    .execute(&mut *connection)
    .await?;
    if release.standing.revocation().is_some() {
        sqlx::query(
            "INSERT INTO revocations (log, digest, state) VALUES ($1, $2, $3)
             ON CONFLICT (log, digest) DO NOTHING",
        )
        .bind(log)
        .bind(release.digest.to_string())
        .bind(state)
        .execute(connection)
        .await?;
    }
    Ok(())
}

/// Everything that any log, followed still or not, has ever revoked.
pub(crate) async fn revoked(pool: &AnyPool) -> sqlx::Result<Vec<Revoked>> {
    let rows = sqlx::query("SELECT log, state FROM revocations")
        .fetch_all(pool)
        .await?;
    let read = |row: &AnyRow| {
        let release: Release = state(row)?;
        let Standing::Revoked(revocation) = release.standing else {
            return Err(sqlx::Error::Decode("a revocation that is none".into()));
        };
        Ok(Revoked {
            log: row.try_get("log")?,
            capsule: release.capsule,
            version: release.version,
            digest: release.digest,
            revocation,
        })
    };
    rows.iter().map(read).collect()
}

/// Log and digest of every version that is yanked.
pub(crate) async fn yanked(pool: &AnyPool) -> sqlx::Result<HashSet<(String, Digest)>> {
    let rows = sqlx::query("SELECT log, state FROM log_releases WHERE standing = 'yanked'")
        .fetch_all(pool)
        .await?;
    let read = |row: &AnyRow| {
        let release: Release = state(row)?;
        Ok((row.try_get("log")?, release.digest))
    };
    rows.iter().map(read).collect()
}

fn state<T: serde::de::DeserializeOwned>(row: &AnyRow) -> sqlx::Result<T> {
    serde_json::from_str(row.try_get("state")?).map_err(corrupt)
}
