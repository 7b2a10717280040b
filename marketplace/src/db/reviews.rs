//! The `reviews` table: publications that somebody looks at first.

use semver::Version;
use soma_capability::{CapsuleName, Name};
use soma_registry::Envelope;
use soma_registry::api::Review;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AnyPool, Row as _};

use super::{corrupt, from_json, json, number, stored};

/// A publication that is held, whole.
pub(crate) struct Held {
    pub(crate) about: Review,
    pub(crate) statement: Envelope,
    pub(crate) change: Envelope,
}

pub(crate) async fn insert(connection: &mut AnyConnection, held: &Held) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO reviews
           (id, namespace, name, version, digest, account, reason, statement, change, since)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(&held.about.id)
    .bind(held.about.capsule.namespace())
    .bind(held.about.capsule.name())
    .bind(held.about.version.to_string())
    .bind(held.about.digest.to_string())
    .bind(held.about.account.as_ref().map(Name::as_str))
    .bind(&held.about.reason)
    .bind(json(&held.statement)?)
    .bind(json(&held.change)?)
    .bind(stored(held.about.since))
    .execute(connection)
    .await?;
    Ok(())
}

/// The id of the one that a version waits with.
pub(crate) async fn of(
    connection: &mut AnyConnection,
    capsule: &CapsuleName,
    version: &Version,
) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar(
        "SELECT id FROM reviews WHERE namespace = $1 AND name = $2 AND version = $3 LIMIT 1",
    )
    .bind(capsule.namespace())
    .bind(capsule.name())
    .bind(version.to_string())
    .fetch_optional(connection)
    .await
}

/// How many wait of this namespace.
pub(crate) async fn waiting(connection: &mut AnyConnection, namespace: &str) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT COUNT(*) FROM reviews WHERE namespace = $1")
        .bind(namespace)
        .fetch_one(connection)
        .await
}

fn review(row: &AnyRow) -> sqlx::Result<Review> {
    let version: &str = row.try_get("version")?;
    let account: Option<&str> = row.try_get("account")?;
    Ok(Review {
        id: row.try_get("id")?,
        capsule: CapsuleName::new(row.try_get("namespace")?, row.try_get("name")?)
            .map_err(corrupt)?,
        version: version.parse().map_err(corrupt)?,
        digest: row.try_get::<&str, _>("digest")?.parse().map_err(corrupt)?,
        account: account.map(str::parse).transpose().map_err(corrupt)?,
        reason: row.try_get("reason")?,
        since: number(row.try_get("since")?),
    })
}

pub(crate) async fn list(pool: &AnyPool) -> sqlx::Result<Vec<Review>> {
    let rows = sqlx::query(
        "SELECT id, namespace, name, version, digest, account, reason, since FROM reviews
         ORDER BY since, id",
    )
    .fetch_all(pool)
    .await?;
    rows.iter().map(review).collect()
}

pub(crate) async fn get(pool: &AnyPool, id: &str) -> sqlx::Result<Option<Held>> {
    let row = sqlx::query("SELECT * FROM reviews WHERE id = $1")
        .bind(id)
        .fetch_optional(pool)
        .await?;
    let read = |row: AnyRow| {
        Ok(Held {
            about: review(&row)?,
            statement: from_json(row.try_get("statement")?)?,
            change: from_json(row.try_get("change")?)?,
        })
    };
    row.map(read).transpose()
}

/// Whether it was there.
pub(crate) async fn delete(connection: &mut AnyConnection, id: &str) -> sqlx::Result<bool> {
    let deleted = sqlx::query("DELETE FROM reviews WHERE id = $1")
        .bind(id)
        .execute(connection)
        .await?;
    Ok(deleted.rows_affected() == 1)
}
