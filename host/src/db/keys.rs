//! The `keys` table.

use std::num::NonZeroU32;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use soma_capability::{Narrowing, ToolPattern};
use sqlx::any::AnyRow;
use sqlx::{AnyPool, FromRow, Row as _};

use super::{corrupt, now, optional_json, time};
use crate::body::said;
use crate::key::{Scopes, SecretHash};

/// One API key, without its secret.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Key {
    /// The public part of `soma_<id>_<secret>`.
    pub(crate) id: String,
    /// The name of its tenant.
    pub(crate) tenant: String,
    /// What its owner calls it; may be empty.
    pub(crate) name: String,
    /// What it may do.
    pub(crate) scopes: Scopes,
    /// The tools that `invoke` is limited to; none is all of the tenant's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tools: Option<Vec<ToolPattern>>,
    /// What of each capsule's grant its calls may use; none is all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) narrowed: Option<Narrowing>,
    /// Tokens that each of its calls may cost at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_tokens: Option<u64>,
    /// Calls that it may make in a minute, where that is less than the host allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) calls_per_minute: Option<NonZeroU32>,
    /// RFC 3339.
    pub(crate) created_at: Timestamp,
    /// From then on it opens nothing.
    pub(crate) expires_at: Option<Timestamp>,
    /// Since then it opens nothing.
    pub(crate) revoked_at: Option<Timestamp>,
}

/// What of a key becomes another. What is absent stays as it is, and what is null goes.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyChanges {
    #[serde(
        default,
        deserialize_with = "said",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) name: Option<Option<String>>,
    #[serde(
        default,
        deserialize_with = "said",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) max_tokens: Option<Option<u64>>,
    #[serde(
        default,
        deserialize_with = "said",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) calls_per_minute: Option<Option<NonZeroU32>>,
    #[serde(
        default,
        deserialize_with = "said",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) expires_at: Option<Option<Timestamp>>,
}

/// A key with what it takes to check it.
#[derive(Clone, Debug)]
pub(crate) struct StoredKey {
    pub(crate) key: Key,
    pub(crate) tenant_id: String,
    pub(crate) tenant_suspended: bool,
    pub(crate) secret: SecretHash,
}

impl FromRow<'_, AnyRow> for Key {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        let optional_time = |column| -> sqlx::Result<Option<Timestamp>> {
            row.try_get::<Option<i64>, _>(column)?.map(time).transpose()
        };
        Ok(Self {
            id: row.try_get("id")?,
            tenant: row.try_get("tenant_name")?,
            name: row.try_get("name")?,
            scopes: serde_json::from_str(row.try_get("scopes")?).map_err(corrupt)?,
            tools: optional_json(row, "tools")?,
            narrowed: optional_json(row, "narrowed")?,
            max_tokens: row
                .try_get::<Option<i64>, _>("max_tokens")?
                .map(i64::unsigned_abs),
            calls_per_minute: row
                .try_get::<Option<i64>, _>("calls_per_minute")?
                .map(|most| u32::try_from(most).and_then(NonZeroU32::try_from))
                .transpose()
                .map_err(corrupt)?,
            created_at: time(row.try_get("created_at")?)?,
            expires_at: optional_time("expires_at")?,
            revoked_at: optional_time("revoked_at")?,
        })
    }
}

impl FromRow<'_, AnyRow> for StoredKey {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        let secret: String = row.try_get("secret_sha256")?;
        Ok(Self {
            key: Key::from_row(row)?,
            tenant_id: row.try_get("tenant_id")?,
            tenant_suspended: row.try_get::<Option<i64>, _>("suspended_at")?.is_some(),
            secret: secret
                .parse()
                .map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
        })
    }
}

pub(crate) async fn by_id(pool: &AnyPool, id: &str) -> sqlx::Result<Option<StoredKey>> {
    sqlx::query_as(
        "SELECT keys.id, keys.name, secret_sha256, scopes, tools, narrowed, max_tokens,
                calls_per_minute, keys.created_at, expires_at, revoked_at, tenants.id AS tenant_id, tenants.name AS tenant_name, suspended_at
         FROM keys JOIN tenants ON tenants.id = keys.tenant WHERE keys.id = $1",
    )
    .bind(id)
    .fetch_optional(pool)
    .await
}

/// The keys of one tenant, or of all, oldest first.
pub(crate) async fn list(pool: &AnyPool, tenant: Option<&str>) -> sqlx::Result<Vec<Key>> {
    sqlx::query_as(
        "SELECT keys.id, keys.name, scopes, tools, narrowed, max_tokens, calls_per_minute,
                keys.created_at, expires_at, revoked_at, tenants.name AS tenant_name
         FROM keys JOIN tenants ON tenants.id = keys.tenant
         WHERE $1 = '' OR tenants.name = $1 ORDER BY keys.created_at, keys.id",
    )
    .bind(tenant.unwrap_or(""))
    .fetch_all(pool)
    .await
}

/// Whether some key with this scope still opens something.
pub(crate) async fn any_live_admin(pool: &AnyPool) -> sqlx::Result<bool> {
    let keys = list(pool, None).await?;
    let now = Timestamp::now();
    Ok(keys.iter().any(|key| {
        key.scopes.admin && key.revoked_at.is_none() && key.expires_at.is_none_or(|end| end > now)
    }))
}

/// `key.tenant` is not read: the row belongs to `tenant_id`.
pub(crate) async fn insert(
    pool: &AnyPool,
    tenant_id: &str,
    key: &Key,
    secret: &SecretHash,
) -> sqlx::Result<()> {
    let encoded = |error: serde_json::Error| sqlx::Error::Encode(error.into());
    let tools = key.tools.as_ref().map(serde_json::to_string).transpose();
    let narrowed = key.narrowed.as_ref().map(serde_json::to_string).transpose();
    sqlx::query(
        "INSERT INTO keys
             (id, tenant, name, secret_sha256, scopes, tools, narrowed, created_at, expires_at,
              max_tokens, calls_per_minute)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(&key.id)
    .bind(tenant_id)
    .bind(&key.name)
    .bind(secret.to_string())
    .bind(serde_json::to_string(&key.scopes).map_err(encoded)?)
    .bind(tools.map_err(encoded)?)
    .bind(narrowed.map_err(encoded)?)
    .bind(key.created_at.as_millisecond())
    .bind(key.expires_at.map(Timestamp::as_millisecond))
    .bind(key.max_tokens.map(storable_tokens))
    .bind(key.calls_per_minute.map(storable_rate))
    .execute(pool)
    .await?;
    Ok(())
}

fn storable_tokens(most: u64) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}

fn storable_rate(most: NonZeroU32) -> i64 {
    most.get().into()
}

/// Changes a key. False where there is no such key, or it is revoked.
pub(crate) async fn change(pool: &AnyPool, id: &str, changes: &KeyChanges) -> sqlx::Result<bool> {
    let KeyChanges {
        name,
        max_tokens,
        calls_per_minute,
        expires_at,
    } = changes;
    let expires_at = expires_at.map(|end| end.map(Timestamp::as_millisecond));
    // In one statement, so that two changes of different members are both there afterwards.
    let done = sqlx::query(
        "UPDATE keys SET
             name = CASE WHEN $2 = 1 THEN $3 ELSE name END,
             max_tokens = CASE WHEN $4 = 1 THEN $5 ELSE max_tokens END,
             calls_per_minute = CASE WHEN $6 = 1 THEN $7 ELSE calls_per_minute END,
             expires_at = CASE WHEN $8 = 1 THEN $9 ELSE expires_at END
         WHERE id = $1 AND revoked_at IS NULL",
    )
    .bind(id)
    .bind(i64::from(name.is_some()))
    .bind(name.clone().flatten().unwrap_or_default())
    .bind(i64::from(max_tokens.is_some()))
    .bind(max_tokens.flatten().map(storable_tokens))
    .bind(i64::from(calls_per_minute.is_some()))
    .bind(calls_per_minute.flatten().map(storable_rate))
    .bind(i64::from(expires_at.is_some()))
    .bind(expires_at.flatten())
    .execute(pool)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Puts a new secret in the place of the old one. False where there is no such key, or it is
/// revoked.
pub(crate) async fn set_secret(
    pool: &AnyPool,
    id: &str,
    secret: &SecretHash,
) -> sqlx::Result<bool> {
    let done =
        sqlx::query("UPDATE keys SET secret_sha256 = $1 WHERE id = $2 AND revoked_at IS NULL")
            .bind(secret.to_string())
            .bind(id)
            .execute(pool)
            .await?;
    Ok(done.rows_affected() > 0)
}

/// False where there is no such key. Revoking twice keeps the first time. The credentials that it had
/// for itself are forgotten.
pub(crate) async fn revoke(pool: &AnyPool, id: &str) -> sqlx::Result<bool> {
    let mut transaction = pool.begin().await?;
    let done = sqlx::query("UPDATE keys SET revoked_at = COALESCE(revoked_at, $1) WHERE id = $2")
        .bind(now())
        .bind(id)
        .execute(&mut *transaction)
        .await?;
    if done.rows_affected() > 0 {
        sqlx::query("DELETE FROM secrets WHERE key = $1")
            .bind(id)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(done.rows_affected() > 0)
}
