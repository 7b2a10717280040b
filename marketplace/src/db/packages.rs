//! The `packages` table: one row a capsule, with what a search shows of its newest version.

use soma_capability::CapsuleName;
use soma_registry::{Manifest, Release};
use sqlx::{AnyConnection, AnyPool};

use super::{number, releases, stored};

/// Notes the newest version that may be chosen, where `manifest` is its manifest.
pub(crate) async fn put(
    tx: &mut AnyConnection,
    release: &Release,
    manifest: &Manifest,
    skeleton: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO packages (namespace, name, skeleton, latest, description, downloads, updated)
         VALUES ($1, $2, $3, $4, $5, 0, $6)
         ON CONFLICT (namespace, name) DO UPDATE SET latest = excluded.latest,
           description = excluded.description, updated = excluded.updated",
    )
    .bind(release.capsule.namespace())
    .bind(release.capsule.name())
    .bind(skeleton)
    .bind(release.version.to_string())
    .bind(&manifest.description)
    .bind(stored(release.published))
    .execute(tx)
    .await?;
    Ok(())
}

/// How often its versions were fetched; none where there is no such capsule.
pub(crate) async fn downloads(
    connection: &mut AnyConnection,
    capsule: &CapsuleName,
) -> sqlx::Result<Option<u64>> {
    let count: Option<i64> =
        sqlx::query_scalar("SELECT downloads FROM packages WHERE namespace = $1 AND name = $2")
            .bind(capsule.namespace())
            .bind(capsule.name())
            .fetch_optional(connection)
            .await?;
    Ok(count.map(number))
}

pub(crate) async fn count_download(pool: &AnyPool, capsule: &CapsuleName) -> sqlx::Result<()> {
    sqlx::query("UPDATE packages SET downloads = downloads + 1 WHERE namespace = $1 AND name = $2")
        .bind(capsule.namespace())
        .bind(capsule.name())
        .execute(pool)
        .await?;
    Ok(())
}

/// The capsule of this namespace that has this skeleton.
pub(crate) async fn by_skeleton(
    connection: &mut AnyConnection,
    namespace: &str,
    skeleton: &str,
) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar("SELECT name FROM packages WHERE namespace = $1 AND skeleton = $2")
        .bind(namespace)
        .bind(skeleton)
        .fetch_optional(connection)
        .await
}

/// The capsules that are fetched often enough to be imitated.
pub(crate) async fn well_used(
    connection: &mut AnyConnection,
    downloads: u64,
) -> sqlx::Result<Vec<CapsuleName>> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT namespace, name FROM packages WHERE downloads >= $1
         ORDER BY downloads DESC LIMIT 10000",
    )
    .bind(stored(downloads))
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|(namespace, name)| CapsuleName::new(namespace, name))
        .collect::<Result<_, _>>()
        .map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

/// Shows the newest version that may be chosen; where none may, the newest.
pub(crate) async fn choose_latest(
    tx: &mut AnyConnection,
    capsule: &CapsuleName,
) -> sqlx::Result<()> {
    let releases = releases::of(tx, capsule).await?;
    let current = releases.iter().find(|r| r.standing.is_current());
    let Some(latest) = current.or(releases.first()) else {
        return Ok(());
    };
    let manifest = releases::manifest(tx, capsule, &latest.version).await?;
    sqlx::query(
        "UPDATE packages SET latest = $1, description = $2, updated = $3
         WHERE namespace = $4 AND name = $5",
    )
    .bind(latest.version.to_string())
    .bind(&manifest.description)
    .bind(stored(latest.published))
    .bind(capsule.namespace())
    .bind(capsule.name())
    .execute(tx)
    .await?;
    Ok(())
}
