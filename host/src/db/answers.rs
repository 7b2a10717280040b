//! The `answers` table: calls that run once, and what they were answered.

use http::StatusCode;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AnyPool, FromRow, Row as _};
use uuid::Uuid;

use super::ledger::Holder;
use super::{corrupt, now};

/// Calls of one API key that are kept; some more where they begin at the same moment.
pub(crate) const MOST: i64 = 10_000;
/// Milliseconds for which a call is kept from its beginning.
const KEPT: i64 = 24 * 3_600_000;

/// A call that is to run once.
pub(crate) struct Asked {
    /// The tenant's id.
    pub(crate) tenant: String,
    /// The API key's id.
    pub(crate) key: String,
    /// What its caller calls it.
    pub(crate) idempotency_key: String,
    /// The sha256 of what is asked for, in hex.
    pub(crate) request: String,
    pub(crate) invocation: Uuid,
}

/// A call that has begun before.
pub(crate) struct Stored {
    pub(crate) request: String,
    pub(crate) invocation: Uuid,
    /// Who runs it, or did.
    pub(crate) holder: Holder,
    /// In milliseconds.
    pub(crate) made_at: i64,
    /// None while it is pending.
    pub(crate) told: Option<Told>,
}

/// What a call was answered.
pub(crate) struct Told {
    pub(crate) status: StatusCode,
    /// None where it is too long to be kept.
    pub(crate) body: Option<Vec<u8>>,
}

/// What came of putting down that a call begins.
pub(crate) enum Begun {
    /// It begins.
    New,
    /// It did so before.
    Before(Stored),
    /// As many of the key's calls are kept as may be.
    Full,
}

impl FromRow<'_, AnyRow> for Stored {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        let invocation: &str = row.try_get("invocation")?;
        let status: Option<i64> = row.try_get("status")?;
        let body: Option<Vec<u8>> = row.try_get("body")?;
        let status = status.map(code).transpose()?;
        Ok(Self {
            request: row.try_get("request")?,
            invocation: Uuid::parse_str(invocation).map_err(corrupt)?,
            holder: Holder {
                host: row.try_get("host")?,
                fence: row.try_get("fence")?,
            },
            made_at: row.try_get("made_at")?,
            told: status.map(|status| Told { status, body }),
        })
    }
}

fn code(status: i64) -> sqlx::Result<StatusCode> {
    let status = u16::try_from(status).map_err(corrupt)?;
    StatusCode::from_u16(status).map_err(corrupt)
}

/// Puts down that a call begins, where it has not before.
pub(crate) async fn begin(pool: &AnyPool, asked: &Asked, holder: &Holder) -> sqlx::Result<Begun> {
    loop {
        if insert(pool, asked, holder).await? {
            return Ok(Begun::New);
        }
        if let Some(before) = get(pool, asked).await? {
            return Ok(Begun::Before(before));
        }
        if count(pool, asked).await? >= MOST {
            return Ok(Begun::Full);
        }
        // It was there, and was forgotten before it was looked at.
    }
}

/// False where it is there, or there is no room. Once this returns, not even a power cut makes the
/// call run again.
async fn insert(pool: &AnyPool, asked: &Asked, holder: &Holder) -> sqlx::Result<bool> {
    let mut connection = pool.acquire().await?;
    set_on_sqlite(&mut connection, "PRAGMA synchronous = FULL").await?;
    let now = now();
    let done = sqlx::query(
        "INSERT INTO answers (tenant, key, idempotency_key, request, invocation, state, host, fence,
             made_at, ends_at)
         SELECT $1, $2, $3, $4, $5, 'pending', $6, $7, $8, $9
         WHERE (SELECT COUNT(*) FROM answers WHERE tenant = $1 AND key = $2) < $10
         ON CONFLICT (tenant, key, idempotency_key) DO UPDATE SET
             request = excluded.request, invocation = excluded.invocation, state = excluded.state,
             host = excluded.host, fence = excluded.fence, made_at = excluded.made_at,
             ends_at = excluded.ends_at, status = NULL, body = NULL
         WHERE answers.ends_at <= excluded.made_at",
    )
    .bind(&asked.tenant)
    .bind(&asked.key)
    .bind(&asked.idempotency_key)
    .bind(&asked.request)
    .bind(asked.invocation.to_string())
    .bind(&holder.host)
    .bind(&holder.fence)
    .bind(now)
    .bind(now + KEPT)
    .bind(MOST)
    .execute(&mut *connection)
    .await;
    set_on_sqlite(&mut connection, "PRAGMA synchronous = NORMAL").await?;
    Ok(done?.rows_affected() > 0)
}

/// SQLite does this when it compiles the statement, so that one that is kept would do it once.
async fn set_on_sqlite(connection: &mut AnyConnection, pragma: &'static str) -> sqlx::Result<()> {
    if connection.backend_name() == "SQLite" {
        let pragma = sqlx::query(pragma).persistent(false);
        pragma.execute(connection).await?;
    }
    Ok(())
}

async fn get(pool: &AnyPool, asked: &Asked) -> sqlx::Result<Option<Stored>> {
    sqlx::query_as(
        "SELECT request, invocation, host, fence, made_at, status, body FROM answers
         WHERE tenant = $1 AND key = $2 AND idempotency_key = $3 AND ends_at > $4",
    )
    .bind(&asked.tenant)
    .bind(&asked.key)
    .bind(&asked.idempotency_key)
    .bind(now())
    .fetch_optional(pool)
    .await
}

async fn count(pool: &AnyPool, asked: &Asked) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT COUNT(*) FROM answers WHERE tenant = $1 AND key = $2")
        .bind(&asked.tenant)
        .bind(&asked.key)
        .fetch_one(pool)
        .await
}

/// Keeps what a call was answered. Nothing where its tenant is gone.
pub(crate) async fn keep(pool: &AnyPool, asked: &Asked, told: &Told) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE answers SET state = 'ended', status = $1, body = $2
         WHERE tenant = $3 AND key = $4 AND idempotency_key = $5 AND invocation = $6
             AND state = 'pending'",
    )
    .bind(i64::from(told.status.as_u16()))
    .bind(told.body.as_deref())
    .bind(&asked.tenant)
    .bind(&asked.key)
    .bind(&asked.idempotency_key)
    .bind(asked.invocation.to_string())
    .execute(pool)
    .await?;
    Ok(())
}

/// Forgets a call of which nothing ran.
pub(crate) async fn forget(pool: &AnyPool, asked: &Asked) -> sqlx::Result<()> {
    sqlx::query(
        "DELETE FROM answers
         WHERE tenant = $1 AND key = $2 AND idempotency_key = $3 AND invocation = $4
             AND state = 'pending'",
    )
    .bind(&asked.tenant)
    .bind(&asked.key)
    .bind(&asked.idempotency_key)
    .bind(asked.invocation.to_string())
    .execute(pool)
    .await?;
    Ok(())
}

/// Forgets the calls that began long enough ago.
pub(crate) async fn forget_old(pool: &AnyPool) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM answers WHERE ends_at <= $1")
        .bind(now())
        .execute(pool)
        .await?;
    Ok(())
}
