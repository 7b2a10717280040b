//! The `packages` table: one row a capsule, with what a search shows of its newest version.

use soma_capability::{CapsuleName, Tool};
use soma_registry::{Manifest, Release};
use sqlx::{AnyConnection, AnyPool};

use super::{corrupt, json, number, releases, search, stored};
use crate::names::skeleton;

/// Shows this version as the newest that may be chosen. The first one of a capsule makes its row.
pub(crate) async fn put(
    tx: &mut AnyConnection,
    release: &Release,
    manifest: &Manifest,
    tools: &[Tool],
    skeleton: &str,
) -> sqlx::Result<()> {
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO packages (id, namespace, name, skeleton, latest, description, keywords,
           current, downloads, updated)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9)
         ON CONFLICT (namespace, name) DO UPDATE SET latest = excluded.latest,
           description = excluded.description, keywords = excluded.keywords,
           current = excluded.current, updated = excluded.updated
         RETURNING id",
    )
    .bind(stored(release.leaf))
    .bind(release.capsule.namespace())
    .bind(release.capsule.name())
    .bind(skeleton)
    .bind(release.version.to_string())
    .bind(&manifest.description)
    .bind(json(&manifest.keywords)?)
    .bind(i64::from(release.standing.is_current()))
    .bind(stored(release.published))
    .fetch_one(&mut *tx)
    .await?;
    search::index(tx, id, manifest, tools).await
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
        .map_err(corrupt)
}

/// Shows the newest version that may be chosen; where none may, the newest.
pub(crate) async fn choose_latest(
    tx: &mut AnyConnection,
    capsule: &CapsuleName,
) -> sqlx::Result<()> {
    let releases = releases::of(tx, capsule).await?;
    let current = releases.iter().filter(|r| r.standing.is_current());
    let current = current.max_by_key(|r| releases::rank(&r.version));
    let Some(latest) = current.or(releases.first()) else {
        return Ok(());
    };
    let (manifest, tools) = releases::content(tx, capsule, &latest.version).await?;
    put(tx, latest, &manifest, &tools, &skeleton(capsule.name())).await
}
