//! The `answers` table: calls that run once, and what they were answered.

use http::StatusCode;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AnyPool, FromRow, Row as _};
use uuid::Uuid;

use super::ledger::Holder;
use super::{DAY, corrupt, now};

/// Calls of one API key that are kept; some more where they begin at the same moment.
pub(crate) const MOST: i64 = 10_000;
/// Milliseconds for which a call is kept from its beginning.
const KEPT: i64 = DAY;

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
    begin_within(pool, asked, holder, MOST).await
}

/// The same, where so many of the key's calls are kept.
async fn begin_within(
    pool: &AnyPool,
    asked: &Asked,
    holder: &Holder,
    most: i64,
) -> sqlx::Result<Begun> {
    loop {
        if insert(pool, asked, holder, most).await? {
            return Ok(Begun::New);
        }
        if let Some(before) = get(pool, asked).await? {
            return Ok(Begun::Before(before));
        }
        if count(pool, asked).await? >= most {
            return Ok(Begun::Full);
        }
        // It was there, and was forgotten before it was looked at.
    }
}

/// False where it is there, or there is no room. Once this returns, not even a power cut makes the
/// call run again.
async fn insert(pool: &AnyPool, asked: &Asked, holder: &Holder, most: i64) -> sqlx::Result<bool> {
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
    .bind(most)
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

/// Makes the calls that are under way those of an earlier run of a host: in a restored database, whose
/// own hosts may never come back, nobody knows how they ended.
pub(crate) async fn inherit(connection: &mut AnyConnection, host: &str) -> sqlx::Result<()> {
    sqlx::query("UPDATE answers SET host = $1 WHERE state = 'pending'")
        .bind(host)
        .execute(connection)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db;

    fn asked(key: &str, idempotency_key: &str) -> Asked {
        Asked {
            tenant: "t".to_owned(),
            key: key.to_owned(),
            idempotency_key: idempotency_key.to_owned(),
            request: String::new(),
            invocation: Uuid::now_v7(),
        }
    }

    #[tokio::test]
    async fn of_one_key_so_many_calls_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/soma.db?mode=rwc", folder.path().display());
        let pool = db::open(&url).await.unwrap();
        let tenant = "INSERT INTO tenants (id, name, created_at) VALUES ('t', 't', 0)";
        sqlx::query(tenant).execute(&pool).await.unwrap();
        let holder = Holder::new("a".to_owned());
        let begin = async |asked: &Asked| begin_within(&pool, asked, &holder, 2).await.unwrap();
        let first = asked("ada", "1");
        assert!(matches!(begin(&first).await, Begun::New));
        assert!(matches!(begin(&asked("ada", "2")).await, Begun::New));
        let third = asked("ada", "3");
        assert!(matches!(begin(&third).await, Begun::Full));
        // Those that are kept are known, and what another key has is its own.
        let Begun::Before(before) = begin(&asked("ada", "1")).await else {
            panic!("it has begun before");
        };
        assert_eq!(before.invocation, first.invocation);
        assert!(matches!(begin(&asked("bob", "3")).await, Begun::New));
        // One of which nothing ran makes room, and one that is a day old when it is swept away.
        forget(&pool, &first).await.unwrap();
        assert!(matches!(begin(&third).await, Begun::New));
        assert!(matches!(begin(&first).await, Begun::Full));
        let old = "UPDATE answers SET ends_at = $1 WHERE key = 'ada' AND idempotency_key = '2'";
        let old = sqlx::query(old).bind(now());
        old.execute(&pool).await.unwrap();
        forget_old(&pool).await.unwrap();
        assert!(matches!(begin(&first).await, Begun::New));
        pool.close().await;
    }
}
