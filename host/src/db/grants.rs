//! The `grants` table: what an operator gave to a tenant's capsule.

use jiff::Timestamp;
use serde::Serialize;
use soma_capability::{CapsuleName, Grant};
use sqlx::any::AnyRow;
use sqlx::{AnyPool, AssertSqlSafe, FromRow, Row as _};
use uuid::Uuid;

use super::logs::encoded;
use super::{corrupt, now, time};

/// One grant.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Granted {
    pub(crate) capsule: CapsuleName,
    /// The key of the log that the capsule came from when it was granted; none for a file.
    #[serde(skip)]
    pub(crate) log: Option<String>,
    pub(crate) grant: Grant,
    /// Another one with every change.
    #[serde(skip)]
    pub(crate) revision: String,
    pub(crate) granted_at: Timestamp,
    /// The id of the key that granted it.
    pub(crate) granted_by: String,
    pub(crate) expires_at: Option<Timestamp>,
}

impl FromRow<'_, AnyRow> for Granted {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        let expires_at: Option<i64> = row.try_get("expires_at")?;
        Ok(Self {
            capsule: CapsuleName::new(row.try_get("namespace")?, row.try_get("name")?)
                .map_err(corrupt)?,
            log: row.try_get("log")?,
            grant: serde_json::from_str(row.try_get("body")?).map_err(corrupt)?,
            revision: row.try_get("revision")?,
            granted_at: time(row.try_get("granted_at")?)?,
            granted_by: row.try_get("granted_by")?,
            expires_at: expires_at.map(time).transpose()?,
        })
    }
}

impl Granted {
    /// Whether it holds now for a capsule that came from this log, or from a file: not what has
    /// expired, and not what was granted to a capsule of the same name from elsewhere.
    pub(crate) fn holds(&self, log: Option<&str>) -> bool {
        self.expired_at().is_none() && self.log.as_deref() == log
    }

    /// When it ended, where it has.
    pub(crate) fn expired_at(&self) -> Option<Timestamp> {
        self.expires_at.filter(|end| *end <= Timestamp::now())
    }
}

/// What is granted, by whom and until when, to be written.
pub(crate) struct New<'a> {
    pub(crate) log: Option<&'a str>,
    pub(crate) grant: &'a Grant,
    pub(crate) by: &'a str,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) replaces: Replaces<'a>,
}

/// What is there, or nothing is granted.
pub(crate) enum Replaces<'a> {
    /// Whatever it is.
    Anything,
    /// Nothing yet.
    Nothing,
    /// This revision.
    Revision(&'a str),
}

const INSERT: &str = "INSERT INTO grants
    (tenant, namespace, name, log, body, revision, granted_at, granted_by, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (tenant, namespace, name)";
const UPDATE: &str = "UPDATE grants SET log = $4, body = $5, revision = $6, granted_at = $7,
    granted_by = $8, expires_at = $9
    WHERE tenant = $1 AND namespace = $2 AND name = $3 AND revision = $10";
const RETURNING: &str =
    " RETURNING namespace, name, log, body, revision, granted_at, granted_by, expires_at";

/// Grants this, and nothing of what was granted before; none where that was something else than it
/// should be.
pub(crate) async fn put(
    pool: &AnyPool,
    tenant: &str,
    capsule: &CapsuleName,
    new: &New<'_>,
) -> sqlx::Result<Option<Granted>> {
    let (statement, replaced) = match new.replaces {
        Replaces::Anything => (
            [
                INSERT,
                " DO UPDATE SET log = excluded.log, body = excluded.body,
                revision = excluded.revision, granted_at = excluded.granted_at,
                granted_by = excluded.granted_by, expires_at = excluded.expires_at",
                RETURNING,
            ],
            None,
        ),
        Replaces::Nothing => ([INSERT, " DO NOTHING", RETURNING], None),
        Replaces::Revision(revision) => ([UPDATE, "", RETURNING], Some(revision)),
    };
    let statement = statement.concat();
    let query = sqlx::query_as(AssertSqlSafe(statement))
        .bind(tenant)
        .bind(capsule.namespace())
        .bind(capsule.name())
        .bind(new.log)
        .bind(serde_json::to_string(new.grant).map_err(encoded)?)
        .bind(Uuid::now_v7().to_string())
        .bind(now())
        .bind(new.by)
        .bind(new.expires_at.map(Timestamp::as_millisecond));
    let query = match replaced {
        Some(revision) => query.bind(revision),
        None => query,
    };
    query.fetch_optional(pool).await
}

pub(crate) async fn get(
    pool: &AnyPool,
    tenant: &str,
    capsule: &CapsuleName,
) -> sqlx::Result<Option<Granted>> {
    sqlx::query_as(
        "SELECT namespace, name, log, body, revision, granted_at, granted_by, expires_at
         FROM grants WHERE tenant = $1 AND namespace = $2 AND name = $3",
    )
    .bind(tenant)
    .bind(capsule.namespace())
    .bind(capsule.name())
    .fetch_optional(pool)
    .await
}

/// False where there was none.
pub(crate) async fn delete(
    pool: &AnyPool,
    tenant: &str,
    capsule: &CapsuleName,
) -> sqlx::Result<bool> {
    let done = sqlx::query("DELETE FROM grants WHERE tenant = $1 AND namespace = $2 AND name = $3")
        .bind(tenant)
        .bind(capsule.namespace())
        .bind(capsule.name())
        .execute(pool)
        .await?;
    Ok(done.rows_affected() > 0)
}
