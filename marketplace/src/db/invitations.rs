//! The `invitations` table: offers to become an owner that nobody has accepted yet.

use soma_capability::Name;
use soma_registry::Envelope;
use soma_registry::api::Invitation;
use sqlx::{AnyConnection, AnyPool};
use uuid::Uuid;

use super::{from_json, json, now, stored};

pub(crate) async fn insert(
    pool: &AnyPool,
    id: &str,
    namespace: &Name,
    account: &Name,
    change: &Envelope,
    change_id: Uuid,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO invitations (id, namespace, account, change, created, change_id)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(id)
    .bind(namespace.as_str())
    .bind(account.as_str())
    .bind(json(change)?)
    .bind(stored(now()))
    .bind(change_id.to_string())
    .execute(pool)
    .await?;
    Ok(())
}

/// The open ones of an account.
pub(crate) async fn of(pool: &AnyPool, account: &Name) -> sqlx::Result<Vec<Invitation>> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT id, change FROM invitations WHERE account = $1 AND withdrawn IS NULL
         ORDER BY created, id",
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

/// The id of the open one by which an account is invited to a namespace.
pub(crate) async fn open(
    pool: &AnyPool,
    namespace: &Name,
    account: &Name,
) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar(
        "SELECT id FROM invitations
         WHERE namespace = $1 AND account = $2 AND withdrawn IS NULL
         LIMIT 1",
    )
    .bind(namespace.as_str())
    .bind(account.as_str())
    .fetch_optional(pool)
    .await
}

/// The namespace and the account of one.
pub(crate) async fn get(pool: &AnyPool, id: &str) -> sqlx::Result<Option<(Name, Name)>> {
    let row: Option<(String, String)> = sqlx::query_as(
        "SELECT namespace, account FROM invitations WHERE id = $1 AND withdrawn IS NULL",
    )
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

/// Takes an offer back. It is kept: what an owner signed for it is still in somebody's hands.
pub(crate) async fn withdraw(pool: &AnyPool, id: &str) -> sqlx::Result<()> {
    sqlx::query("UPDATE invitations SET withdrawn = $2 WHERE id = $1")
        .bind(id)
        .bind(stored(now()))
        .execute(pool)
        .await?;
    Ok(())
}

/// Whether the change of this id was offered to an account and taken back.
pub(crate) async fn is_withdrawn(
    pool: &AnyPool,
    namespace: &Name,
    account: &Name,
    change: Uuid,
) -> sqlx::Result<bool> {
    let found: Option<i64> = sqlx::query_scalar(
        "SELECT withdrawn FROM invitations
         WHERE namespace = $1 AND account = $2 AND change_id = $3 AND withdrawn IS NOT NULL
         LIMIT 1",
    )
    .bind(namespace.as_str())
    .bind(account.as_str())
    .bind(change.to_string())
    .fetch_optional(pool)
    .await?;
    Ok(found.is_some())
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
