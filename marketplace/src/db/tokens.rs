//! The `tokens` table.

use soma_capability::Name;
use soma_registry::api::Token;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AnyExecutor, AnyPool, FromRow, Row as _};

use super::{corrupt, from_json, json, now, number, stored};

/// A token as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct StoredToken {
    pub(crate) account: Name,
    pub(crate) secret_sha256: String,
    pub(crate) about: Token,
}

impl FromRow<'_, AnyRow> for StoredToken {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        let account: String = row.try_get("account")?;
        let namespaces: Option<String> = row.try_get("namespaces")?;
        Ok(Self {
            account: account.parse().map_err(corrupt)?,
            secret_sha256: row.try_get("secret_sha256")?,
            about: Token {
                id: row.try_get("id")?,
                name: row.try_get("name")?,
                scopes: from_json(row.try_get("scopes")?)?,
                namespaces: namespaces.as_deref().map(from_json).transpose()?,
                expires: number(row.try_get("expires")?),
            },
        })
    }
}

pub(crate) async fn insert(tx: &mut AnyConnection, token: &StoredToken) -> sqlx::Result<()> {
    let namespaces = token.about.namespaces.as_ref().map(json).transpose()?;
    sqlx::query(
        "INSERT INTO tokens (id, account, name, secret_sha256, scopes, namespaces, expires)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(&token.about.id)
    .bind(token.account.as_str())
    .bind(&token.about.name)
    .bind(&token.secret_sha256)
    .bind(json(&token.about.scopes)?)
    .bind(namespaces)
    .bind(stored(token.about.expires))
    .execute(tx)
    .await?;
    Ok(())
}

/// The token of this id that has not expired.
pub(crate) async fn get<'c>(
    from: impl AnyExecutor<'c>,
    id: &str,
) -> sqlx::Result<Option<StoredToken>> {
    sqlx::query_as("SELECT * FROM tokens WHERE id = $1 AND expires > $2")
        .bind(id)
        .bind(stored(now()))
        .fetch_optional(from)
        .await
}

/// An account's tokens that have not expired. Those that have are cleared away.
pub(crate) async fn of(pool: &AnyPool, account: &Name) -> sqlx::Result<Vec<StoredToken>> {
    sqlx::query("DELETE FROM tokens WHERE expires <= $1")
        .bind(stored(now()))
        .execute(pool)
        .await?;
    sqlx::query_as("SELECT * FROM tokens WHERE account = $1 ORDER BY name, id")
        .bind(account.as_str())
        .fetch_all(pool)
        .await
}

/// Whether the account had that token.
pub(crate) async fn delete(pool: &AnyPool, account: &Name, id: &str) -> sqlx::Result<bool> {
    let deleted = sqlx::query("DELETE FROM tokens WHERE account = $1 AND id = $2")
        .bind(account.as_str())
        .bind(id)
        .execute(pool)
        .await?;
    Ok(deleted.rows_affected() == 1)
}
