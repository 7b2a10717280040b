//! The `releases` table: every version, for ever.

use semver::Version;
use soma_capability::{CapsuleName, Digest, Tool};
use soma_registry::api::ReleaseInfo;
use soma_registry::{Envelope, Manifest, Package, Release};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AnyPool, Row as _};

use super::{from_json, json, number, stored};

pub(crate) async fn get(
    connection: &mut AnyConnection,
    capsule: &CapsuleName,
    version: &Version,
) -> sqlx::Result<Option<Release>> {
    let state: Option<String> = sqlx::query_scalar(
        "SELECT state FROM releases WHERE namespace = $1 AND name = $2 AND version = $3",
    )
    .bind(capsule.namespace())
    .bind(capsule.name())
    .bind(version.to_string())
    .fetch_optional(connection)
    .await?;
    state.as_deref().map(from_json).transpose()
}

pub(crate) async fn info(
    pool: &AnyPool,
    capsule: &CapsuleName,
    version: &Version,
) -> sqlx::Result<Option<ReleaseInfo>> {
    let row = sqlx::query(
        "SELECT state, manifest, tools, size FROM releases
         WHERE namespace = $1 AND name = $2 AND version = $3",
    )
    .bind(capsule.namespace())
    .bind(capsule.name())
    .bind(version.to_string())
    .fetch_optional(pool)
    .await?;
    let read = |row: AnyRow| {
        Ok(ReleaseInfo {
            release: from_json(row.try_get("state")?)?,
            manifest: from_json(row.try_get("manifest")?)?,
            tools: from_json(row.try_get("tools")?)?,
            size: number(row.try_get("size")?),
        })
    };
    row.map(read).transpose()
}

/// What a published version says of itself.
pub(crate) async fn content(
    connection: &mut AnyConnection,
    capsule: &CapsuleName,
    version: &Version,
) -> sqlx::Result<(Manifest, Vec<Tool>)> {
    let (manifest, tools): (String, String) = sqlx::query_as(
        "SELECT manifest, tools FROM releases WHERE namespace = $1 AND name = $2 AND version = $3",
    )
    .bind(capsule.namespace())
    .bind(capsule.name())
    .bind(version.to_string())
    .fetch_one(connection)
    .await?;
    Ok((from_json(&manifest)?, from_json(&tools)?))
}

/// What the author signed about a version.
pub(crate) async fn statement(
    pool: &AnyPool,
    capsule: &CapsuleName,
    version: &Version,
) -> sqlx::Result<Option<Envelope>> {
    let text: Option<String> = sqlx::query_scalar(
        "SELECT statement FROM releases WHERE namespace = $1 AND name = $2 AND version = $3",
    )
    .bind(capsule.namespace())
    .bind(capsule.name())
    .bind(version.to_string())
    .fetch_optional(pool)
    .await?;
    text.as_deref().map(from_json).transpose()
}

/// All versions of a capsule, newest first.
pub(crate) async fn of(
    connection: &mut AnyConnection,
    capsule: &CapsuleName,
) -> sqlx::Result<Vec<Release>> {
    let states: Vec<String> =
        sqlx::query_scalar("SELECT state FROM releases WHERE namespace = $1 AND name = $2")
            .bind(capsule.namespace())
            .bind(capsule.name())
            .fetch_all(connection)
            .await?;
    let mut releases = states
        .iter()
        .map(|state| from_json(state))
        .collect::<sqlx::Result<Vec<Release>>>()?;
    releases.sort_by(|a, b| b.version.cmp(&a.version));
    Ok(releases)
}

/// Of two versions the one to show is the newer, and a pre-release only where there is no other.
pub(crate) fn rank(version: &Version) -> (bool, &Version) {
    (version.pre.is_empty(), version)
}

/// The release that a change of this version is judged by: builds of one version are one.
pub(crate) async fn concerned(
    connection: &mut AnyConnection,
    capsule: &CapsuleName,
    version: &Version,
) -> sqlx::Result<Option<Release>> {
    let states: Vec<String> = sqlx::query_scalar(
        "SELECT state FROM releases WHERE namespace = $1 AND name = $2
         AND (version = $3 OR version LIKE $3 || '+%')",
    )
    .bind(capsule.namespace())
    .bind(capsule.name())
    .bind(Release::without_build(version).to_string())
    .fetch_all(connection)
    .await?;
    let releases = states.iter().map(|state| from_json::<Release>(state));
    let releases = releases.collect::<sqlx::Result<Vec<_>>>()?;
    Ok(releases
        .into_iter()
        .find(|release| release.is_concerned(version)))
}

pub(crate) async fn insert(
    tx: &mut AnyConnection,
    release: &Release,
    package: &Package,
    statement: &Envelope,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO releases
           (namespace, name, version, digest, state, statement, manifest, tools, size, leaf)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(release.capsule.namespace())
    .bind(release.capsule.name())
    .bind(release.version.to_string())
    .bind(release.digest.to_string())
    .bind(json(release)?)
    .bind(json(statement)?)
    .bind(json(package.manifest())?)
    .bind(json(&package.tools())?)
    .bind(stored(package.bytes().len() as u64))
    .bind(stored(release.leaf))
    .execute(tx)
    .await?;
    Ok(())
}

pub(crate) async fn update(tx: &mut AnyConnection, release: &Release) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE releases SET state = $1 WHERE namespace = $2 AND name = $3 AND version = $4",
    )
    .bind(json(release)?)
    .bind(release.capsule.namespace())
    .bind(release.capsule.name())
    .bind(release.version.to_string())
    .execute(tx)
    .await?;
    Ok(())
}

/// Whether a version, or a publication that is held, is this file.
pub(crate) async fn uses(pool: &AnyPool, digest: &Digest) -> sqlx::Result<bool> {
    let found: Option<i64> = sqlx::query_scalar(
        "SELECT CAST(1 AS BIGINT) FROM releases WHERE digest = $1
         UNION SELECT CAST(1 AS BIGINT) FROM reviews WHERE digest = $1",
    )
    .bind(digest.to_string())
    .fetch_optional(pool)
    .await?;
    Ok(found.is_some())
}

/// Whether a version of this capsule is this file.
pub(crate) async fn has(
    pool: &AnyPool,
    capsule: &CapsuleName,
    digest: &Digest,
) -> sqlx::Result<bool> {
    let found: Option<i64> = sqlx::query_scalar(
        "SELECT CAST(1 AS BIGINT) FROM releases
         WHERE digest = $1 AND namespace = $2 AND name = $3",
    )
    .bind(digest.to_string())
    .bind(capsule.namespace())
    .bind(capsule.name())
    .fetch_optional(pool)
    .await?;
    Ok(found.is_some())
}
