//! The `tenants` table.

use jiff::Timestamp;
use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{AnyPool, FromRow, Row as _};
use uuid::Uuid;

use super::{now, time};

/// One tenant: an organisation, a team, a customer. What one has, no other sees.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Tenant {
    /// Names its rows; never shown or changed.
    #[serde(skip)]
    pub(crate) id: String,
    /// Unique.
    pub(crate) name: String,
    /// RFC 3339.
    pub(crate) created_at: Timestamp,
    /// While this is set, its keys open nothing.
    pub(crate) suspended_at: Option<Timestamp>,
}

impl FromRow<'_, AnyRow> for Tenant {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        let suspended_at: Option<i64> = row.try_get("suspended_at")?;
        Ok(Self {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            created_at: time(row.try_get("created_at")?)?,
            suspended_at: suspended_at.map(time).transpose()?,
        })
    }
}

/// Fails as [`super::is_duplicate`] says where the name is taken.
pub(crate) async fn insert(pool: &AnyPool, name: &str) -> sqlx::Result<Tenant> {
    sqlx::query_as(
        "INSERT INTO tenants (id, name, created_at) VALUES ($1, $2, $3)
         RETURNING id, name, created_at, suspended_at",
    )
    .bind(Uuid::now_v7().to_string())
    .bind(name)
    .bind(now())
    .fetch_one(pool)
    .await
}

pub(crate) async fn list(pool: &AnyPool) -> sqlx::Result<Vec<Tenant>> {
    sqlx::query_as("SELECT id, name, created_at, suspended_at FROM tenants ORDER BY name")
        .fetch_all(pool)
        .await
}

pub(crate) async fn by_name(pool: &AnyPool, name: &str) -> sqlx::Result<Option<Tenant>> {
    sqlx::query_as("SELECT id, name, created_at, suspended_at FROM tenants WHERE name = $1")
        .bind(name)
        .fetch_optional(pool)
        .await
}

/// Suspends, or ends it. None where there is no such tenant. Suspending twice keeps the first
/// time.
pub(crate) async fn set_suspended(
    pool: &AnyPool,
    name: &str,
    suspended: bool,
) -> sqlx::Result<Option<Tenant>> {
    let statement = if suspended {
        "UPDATE tenants SET suspended_at = COALESCE(suspended_at, $1) WHERE name = $2
         RETURNING id, name, created_at, suspended_at"
    } else {
        "UPDATE tenants SET suspended_at = $1 WHERE name = $2
         RETURNING id, name, created_at, suspended_at"
    };
    sqlx::query_as(statement)
        .bind(suspended.then(now))
        .bind(name)
        .fetch_optional(pool)
        .await
}

/// Deletes a tenant with its keys and capsules. False where there was none.
pub(crate) async fn delete(pool: &AnyPool, name: &str) -> sqlx::Result<bool> {
    let done = sqlx::query("DELETE FROM tenants WHERE name = $1")
        .bind(name)
        .execute(pool)
        .await?;
    Ok(done.rows_affected() > 0)
}
