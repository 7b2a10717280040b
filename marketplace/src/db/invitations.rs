//! The `invitations` table: offers to become an owner that nobody has accepted yet.

use soma_capability::Name;
use soma_registry::Envelope;
use soma_registry::api::Invitation;
use sqlx::{AnyConnection, AnyPool};

use super::{from_json, json, now, stored};

pub(crate) async fn insert(
    pool: &AnyPool,
    id: &str,
    namespace: &Name,
    account: &Name,
    change: &Envelope,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO invitations (id, namespace, account, change, created)
         VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(id)
    .bind(namespace.as_str())
    .bind(account.as_str())
    .bind(json(change)?)
    .bind(stored(now()))
    .execute(pool)
    .await?;
    Ok(())
}

/// The open ones of an account.
pub(crate) async fn of(pool: &AnyPool, account: &Name) -> sqlx::Result<Vec<Invitation>> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT id, change FROM invitations WHERE account = $1 ORDER BY created, id",
    )
    .bind(account.as_str())
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|(id, change)| {
            let change = from_json(&change)?;
            Ok(Invitation { id, change })
        })
        .collect()
}

/// The namespace and the account of one.
pub(crate) async fn get(pool: &AnyPool, id: &str) -> sqlx::Result<Option<(Name, Name)>> {
    let row: Option<(String, String)> =
        sqlx::query_as("SELECT namespace, account FROM invitations WHERE id = $1")
            .bind(id)
            .fetch_optional(pool)
            .await?;
    let name = |text: String| {
        text.parse::<Name>()
            .map_err(|error| sqlx::Error::Decode(Box::new(error)))
    };
    row.map(|(namespace, account)| Ok((name(namespace)?, name(account)?)))
        .transpose()
}

pub(crate) async fn delete(pool: &AnyPool, id: &str) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM invitations WHERE id = $1")
        .bind(id)
        .execute(pool)
        .await?;
    Ok(())
}

/// Somebody joined: what was offered to them there is settled.
pub(crate) async fn settle(
    tx: &mut AnyConnection,
    namespace: &Name,
    account: &Name,
) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM invitations WHERE namespace = $1 AND account = $2")
        .bind(namespace.as_str())
        .bind(account.as_str())
        .execute(tx)
        .await?;
    Ok(())
}
