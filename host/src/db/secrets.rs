//! The `secrets` table: credentials, sealed.

use jiff::Timestamp;
use serde::Serialize;
use soma_capability::CredentialName;
use sqlx::any::AnyRow;
use sqlx::{AnyPool, FromRow, Row as _};
use uuid::Uuid;

use super::logs::encoded;
use super::{corrupt, now, time};
use crate::secrets::Kind;

/// One credential; its value is sealed, and never shown.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Stored {
    pub(crate) name: CredentialName,
    /// How it is shown to a server, or what it is exchanged for.
    #[serde(rename = "as")]
    pub(crate) kind: Kind,
    #[serde(skip)]
    pub(crate) sealed: String,
    /// What it was exchanged for.
    #[serde(skip)]
    pub(crate) token: Option<SealedToken>,
    /// Another one with every change.
    #[serde(skip)]
    pub(crate) revision: String,
    pub(crate) set_at: Timestamp,
}

/// What a credential was exchanged for.
#[derive(Clone, Debug)]
pub(crate) struct SealedToken {
    pub(crate) sealed: String,
    pub(crate) ends: Timestamp,
}

/// What is to be kept.
pub(crate) struct New<'a> {
    pub(crate) kind: &'a Kind,
    pub(crate) sealed: &'a str,
    pub(crate) token: Option<&'a SealedToken>,
}

impl FromRow<'_, AnyRow> for Stored {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        let name: &str = row.try_get("name")?;
        let (token, ends): (Option<String>, Option<i64>) =
            (row.try_get("token")?, row.try_get("token_ends_at")?);
        let ends = ends.map(time).transpose()?;
        Ok(Self {
            name: name.parse().map_err(corrupt)?,
            kind: serde_json::from_str(row.try_get("presentation")?).map_err(corrupt)?,
            sealed: row.try_get("sealed")?,
            token: token
                .zip(ends)
                .map(|(sealed, ends)| SealedToken { sealed, ends }),
            revision: row.try_get("revision")?,
            set_at: time(row.try_get("set_at")?)?,
        })
    }
}

/// Keeps one, in place of the one of that name.
pub(crate) async fn put(
    pool: &AnyPool,
    tenant: &str,
    name: &CredentialName,
    new: &New<'_>,
) -> sqlx::Result<Stored> {
    sqlx::query_as(
        "INSERT INTO secrets
             (tenant, name, presentation, sealed, revision, set_at, token, token_ends_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (tenant, name) DO UPDATE SET presentation = excluded.presentation,
             sealed = excluded.sealed, revision = excluded.revision, set_at = excluded.set_at,
             token = excluded.token, token_ends_at = excluded.token_ends_at, turn_until = NULL
         RETURNING name, presentation, sealed, revision, set_at, token, token_ends_at",
    )
    .bind(tenant)
    .bind(name.to_string())
    .bind(serde_json::to_string(new.kind).map_err(encoded)?)
    .bind(new.sealed)
    .bind(Uuid::now_v7().to_string())
    .bind(now())
    .bind(new.token.map(|token| token.sealed.clone()))
    .bind(new.token.map(|token| token.ends.as_millisecond()))
    .fetch_one(pool)
    .await
}

/// Takes the turn to exchange it, for so many milliseconds. False where another host has it, or it
/// is not what it was.
pub(crate) async fn take_turn(
    pool: &AnyPool,
    tenant: &str,
    stored: &Stored,
    ms: i64,
) -> sqlx::Result<bool> {
    let now = now();
    let done = sqlx::query(
        "UPDATE secrets SET turn_until = $1
         WHERE tenant = $2 AND name = $3 AND revision = $4
             AND (turn_until IS NULL OR turn_until < $5)",
    )
    .bind(now + ms)
    .bind(tenant)
    .bind(stored.name.to_string())
    .bind(&stored.revision)
    .bind(now)
    .execute(pool)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Ends the turn: keeps what it was exchanged for, and what is to be exchanged the next time.
/// Nothing where somebody has set it anew meanwhile.
pub(crate) async fn end_turn(
    pool: &AnyPool,
    tenant: &str,
    stored: &Stored,
    new: &New<'_>,
) -> sqlx::Result<Option<Stored>> {
    sqlx::query_as(
        "UPDATE secrets SET sealed = $1, token = $2, token_ends_at = $3, revision = $4,
             turn_until = NULL
         WHERE tenant = $5 AND name = $6 AND revision = $7
         RETURNING name, presentation, sealed, revision, set_at, token, token_ends_at",
    )
    .bind(new.sealed)
    .bind(new.token.map(|token| token.sealed.clone()))
    .bind(new.token.map(|token| token.ends.as_millisecond()))
    .bind(Uuid::now_v7().to_string())
    .bind(tenant)
    .bind(stored.name.to_string())
    .bind(&stored.revision)
    .fetch_optional(pool)
    .await
}

/// Ends the turn without anything to keep.
pub(crate) async fn give_turn_back(
    pool: &AnyPool,
    tenant: &str,
    stored: &Stored,
) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE secrets SET turn_until = NULL
         WHERE tenant = $1 AND name = $2 AND revision = $3",
    )
    .bind(tenant)
    .bind(stored.name.to_string())
    .bind(&stored.revision)
    .execute(pool)
    .await?;
    Ok(())
}

pub(crate) async fn get(
    pool: &AnyPool,
    tenant: &str,
    name: &CredentialName,
) -> sqlx::Result<Option<Stored>> {
    sqlx::query_as(
        "SELECT name, presentation, sealed, revision, set_at, token, token_ends_at FROM secrets
         WHERE tenant = $1 AND name = $2",
    )
    .bind(tenant)
    .bind(name.to_string())
    .fetch_optional(pool)
    .await
}

pub(crate) async fn list(pool: &AnyPool, tenant: &str) -> sqlx::Result<Vec<Stored>> {
    sqlx::query_as(
        "SELECT name, presentation, sealed, revision, set_at, token, token_ends_at FROM secrets
         WHERE tenant = $1 ORDER BY name",
    )
    .bind(tenant)
    .fetch_all(pool)
    .await
}

/// False where there was none.
pub(crate) async fn delete(
    pool: &AnyPool,
    tenant: &str,
    name: &CredentialName,
) -> sqlx::Result<bool> {
    let done = sqlx::query("DELETE FROM secrets WHERE tenant = $1 AND name = $2")
        .bind(tenant)
        .bind(name.to_string())
        .execute(pool)
        .await?;
    Ok(done.rows_affected() > 0)
}
