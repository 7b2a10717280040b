//! The `invitations` table: offers to become an owner that nobody has accepted yet.

use soma_capability::Name;
use soma_registry::Envelope;
use soma_registry::api::Invitation;
use sqlx::{AnyConnection, AnyPool};
use uuid::Uuid;

use super::{corrupt, from_json, json, now, stored};

/// One that is to be kept.
pub(crate) struct Offer<'a> {
    pub(crate) id: &'a str,
    pub(crate) namespace: &'a Name,
    /// The account that sent it.
    pub(crate) inviter: &'a Name,
    /// The account that it is for.
    pub(crate) account: &'a Name,
    pub(crate) change: &'a Envelope,
    pub(crate) change_id: Uuid,
}

pub(crate) async fn insert(pool: &AnyPool, offer: &Offer<'_>) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO invitations (id, namespace, account, change, created, change_id, inviter)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(offer.id)
    .bind(offer.namespace.as_str())
    .bind(offer.account.as_str())
    .bind(json(offer.change)?)
    .bind(stored(now()))
    .bind(offer.change_id.to_string())
    .bind(offer.inviter.as_str())
    .execute(pool)
    .await?;
    Ok(())
}

/// Of what an account sent and was sent so many are shown.
const MOST_SHOWN: i64 = 200;

/// The open ones that an account sent, and then those that it was sent, each with its namespace.
pub(crate) async fn of(pool: &AnyPool, account: &Name) -> sqlx::Result<Vec<(Name, Invitation)>> {
    let rows: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT id, namespace, change FROM invitations
         WHERE (account = $1 OR inviter = $1) AND withdrawn IS NULL
         ORDER BY CASE WHEN inviter = $1 THEN 0 ELSE 1 END, created, id
         LIMIT $2",
    )
    .bind(account.as_str())
    .bind(MOST_SHOWN)
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|(id, namespace, change)| {
            let change = from_json(&change)?;
            Ok((
                namespace.parse().map_err(corrupt)?,
                Invitation { id, change },
            ))
        })
        .collect()
}

/// How many open ones an account sent.
pub(crate) async fn sent(pool: &AnyPool, account: &Name) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT COUNT(*) FROM invitations WHERE inviter = $1 AND withdrawn IS NULL")
        .bind(account.as_str())
        .fetch_one(pool)
        .await
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

/// An open one.
pub(crate) struct Open {
    pub(crate) namespace: Name,
    /// Whom it is for, and who sent it.
    pub(crate) accounts: Vec<Name>,
    pub(crate) change: Envelope,
}

pub(crate) async fn get(pool: &AnyPool, id: &str) -> sqlx::Result<Option<Open>> {
    let row: Option<(String, String, Option<String>, String)> = sqlx::query_as(
        "SELECT namespace, account, inviter, change FROM invitations
         WHERE id = $1 AND withdrawn IS NULL",
    )
    .bind(id)
    .fetch_optional(pool)
    .await?;
    let name = |text: String| text.parse::<Name>().map_err(corrupt);
    row.map(|(namespace, account, inviter, change)| {
        let both = [Some(account), inviter].into_iter().flatten();
        Ok(Open {
            namespace: name(namespace)?,
            accounts: both.map(name).collect::<Result<_, _>>()?,
            change: from_json(&change)?,
        })
    })
    .transpose()
}

/// Takes an offer back. It is kept: what an owner signed for it is still in somebody's hands.
/// False where it was accepted or taken back already.
pub(crate) async fn withdraw(pool: &AnyPool, id: &str) -> sqlx::Result<bool> {
    let withdrawn =
        sqlx::query("UPDATE invitations SET withdrawn = $2 WHERE id = $1 AND withdrawn IS NULL")
            .bind(id)
            .bind(stored(now()))
            .execute(pool)
            .await?;
    Ok(withdrawn.rows_affected() == 1)
}

/// Whether the change of this id was offered already, and perhaps withdrawn.
pub(crate) async fn was_offered(
    pool: &AnyPool,
    namespace: &Name,
    change: Uuid,
) -> sqlx::Result<bool> {
    let offers: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM invitations WHERE namespace = $1 AND change_id = $2",
    )
    .bind(namespace.as_str())
    .bind(change.to_string())
    .fetch_one(pool)
    .await?;
    Ok(offers > 0)
}

/// Somebody joined by the change of this id: what was offered to them there is settled. Gives who
/// offered it; nobody did where the offer is not open.
pub(crate) async fn settle(
    tx: &mut AnyConnection,
    namespace: &Name,
    account: &Name,
    change: Uuid,
) -> sqlx::Result<Option<Name>> {
    let inviter: Option<Option<String>> = sqlx::query_scalar(
        "DELETE FROM invitations
         WHERE namespace = $1 AND account = $2 AND change_id = $3 AND withdrawn IS NULL
         RETURNING inviter",
    )
    .bind(namespace.as_str())
    .bind(account.as_str())
    .bind(change.to_string())
    .fetch_optional(&mut *tx)
    .await?;
    sqlx::query("DELETE FROM invitations WHERE namespace = $1 AND account = $2")
        .bind(namespace.as_str())
        .bind(account.as_str())
        .execute(tx)
        .await?;
    let inviter = inviter.flatten().map(|inviter| inviter.parse());
    inviter.transpose().map_err(corrupt)
}
