//! The `budgets` table: how many tokens a tenant, a key or a session has for some time.

mod standing;

use jiff::Timestamp;
use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AnyPool, FromRow, Row as _};
use uuid::Uuid;

pub(crate) use self::standing::{Fullest, Standing, fullest, get, history, list};
use super::{DAY, corrupt, is_orphan, now};
use crate::budget::{Level, SessionId, Span};

/// Sessions of one key that are remembered.
pub(crate) const MOST_SESSIONS: i64 = 10_000;
/// Milliseconds for which a session is remembered that nobody uses.
const IDLE: i64 = 30 * DAY;

/// One budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Budget {
    /// Names its rows; never shown or changed.
    #[serde(skip)]
    pub(crate) id: String,
    #[serde(flatten)]
    pub(crate) place: Place,
    /// The tokens of each window.
    pub(crate) tokens: u64,
    /// Whether calls beyond it are refused, and not only counted.
    #[serde(rename = "hard")]
    pub(crate) is_hard: bool,
}

/// Where a budget is: there is at most one in each place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Place {
    /// The tenant's id.
    #[serde(skip)]
    pub(crate) tenant: String,
    #[serde(flatten)]
    pub(crate) level: Level,
    pub(crate) span: Span,
}

/// Why a budget is not set.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetError {
    #[error("a budget has {} tokens at most", i64::MAX)]
    TooLarge,
    #[error("there is no such tenant, or it has no such key")]
    NoSuchLevel,
    #[error("the key has {MOST_SESSIONS} sessions with budgets, which is all that are remembered")]
    TooManySessions,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl Place {
    fn key(&self) -> Option<&str> {
        self.level.key()
    }

    fn session(&self) -> &str {
        self.level.session().unwrap_or_default()
    }
}

impl FromRow<'_, AnyRow> for Budget {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        let is_hard: i64 = row.try_get("is_hard")?;
        let span: &str = row.try_get("span")?;
        let place = Place {
            tenant: row.try_get("tenant")?,
            level: level(row.try_get("key")?, row.try_get("session")?)?,
            span: span.parse().map_err(|_| unknown(span))?,
        };
        Ok(Self {
            id: row.try_get("id")?,
            place,
            tokens: tokens(row, "tokens")?,
            is_hard: is_hard != 0,
        })
    }
}

fn level(key: Option<String>, session: String) -> sqlx::Result<Level> {
    Ok(match key {
        None => Level::Tenant,
        Some(key) if session.is_empty() => Level::Key { key },
        Some(key) => Level::Session {
            key,
            session: session.try_into().map_err(corrupt)?,
        },
    })
}

fn unknown(span: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("{span:?} is no span").into())
}

/// A number of tokens, which is stored as BIGINT and never negative.
pub(super) fn tokens(row: &AnyRow, column: &str) -> sqlx::Result<u64> {
    let stored: i64 = row.try_get(column)?;
    u64::try_from(stored).map_err(corrupt)
}

/// Sets one, in place of the one that is there: what has been used of that stays used.
pub(crate) async fn set(
    pool: &AnyPool,
    place: &Place,
    tokens: u64,
    is_hard: bool,
) -> Result<Budget, SetError> {
    let tokens = i64::try_from(tokens).map_err(|_| SetError::TooLarge)?;
    let mut transaction = pool.begin().await?;
    make_room(&mut transaction, place).await?;
    let budget = sqlx::query_as(
        "INSERT INTO budgets
             (id, tenant, key, session, span, tokens, is_hard, set_at, touched_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
         ON CONFLICT (tenant, COALESCE(key, ''), session, span) DO UPDATE SET
             tokens = excluded.tokens, is_hard = excluded.is_hard, set_at = excluded.set_at,
             touched_at = excluded.touched_at
         RETURNING id, tenant, key, session, span, tokens, is_hard",
    )
    .bind(Uuid::now_v7().to_string())
    .bind(&place.tenant)
    .bind(place.key())
    .bind(place.session())
    .bind(place.span.as_str())
    .bind(tokens)
    .bind(i64::from(is_hard))
    .bind(now())
    .fetch_one(&mut *transaction)
    .await
    .map_err(no_such_level)?;
    transaction.commit().await?;
    Ok(budget)
}

/// Makes the session's lifetime a hard budget of so many tokens at most; one that is smaller stays.
pub(crate) async fn narrow(
    pool: &AnyPool,
    tenant: &str,
    key: &str,
    session: &SessionId,
    most: u64,
) -> Result<(), SetError> {
    let level = Level::Session {
        key: key.to_owned(),
        session: session.clone(),
    };
    let place = Place {
        tenant: tenant.to_owned(),
        level,
        span: Span::Lifetime,
    };
    let mut transaction = pool.begin().await?;
    make_room(&mut transaction, &place).await?;
    sqlx::query(
        "INSERT INTO budgets
             (id, tenant, key, session, span, tokens, is_hard, set_at, touched_at)
         VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $7)
         ON CONFLICT (tenant, COALESCE(key, ''), session, span) DO UPDATE SET
             tokens = CASE WHEN excluded.tokens < budgets.tokens
                 THEN excluded.tokens ELSE budgets.tokens END,
             is_hard = 1, set_at = excluded.set_at, touched_at = excluded.touched_at",
    )
    .bind(Uuid::now_v7().to_string())
    .bind(tenant)
    .bind(key)
    .bind(session.as_str())
    .bind(place.span.as_str())
    // More than a budget can have narrows nothing.
    .bind(i64::try_from(most).unwrap_or(i64::MAX))
    .bind(now())
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(())
}

/// Sees that the key is the tenant's, and remembers no more sessions than it may. The key's row is
/// changed first, so that of two new sessions one waits here and counts the other.
async fn make_room(connection: &mut AnyConnection, place: &Place) -> Result<(), SetError> {
    let Some(key) = place.key() else {
        return Ok(());
    };
    let held = sqlx::query("UPDATE keys SET name = name WHERE id = $1 AND tenant = $2")
        .bind(key)
        .bind(&place.tenant)
        .execute(&mut *connection)
        .await?;
    if held.rows_affected() == 0 {
        return Err(SetError::NoSuchLevel);
    }
    if place.session().is_empty() {
        return Ok(());
    }
    let others: i64 = sqlx::query_scalar(
        "SELECT COUNT(DISTINCT session) FROM budgets WHERE key = $1 AND session NOT IN ('', $2)",
    )
    .bind(key)
    .bind(place.session())
    .fetch_one(connection)
    .await?;
    if others >= MOST_SESSIONS {
        return Err(SetError::TooManySessions);
    }
    Ok(())
}

fn no_such_level(error: sqlx::Error) -> SetError {
    if is_orphan(&error) {
        return SetError::NoSuchLevel;
    }
    SetError::Database(error)
}

/// Whether there is any.
pub(crate) async fn any(pool: &AnyPool) -> sqlx::Result<bool> {
    let first: Option<String> = sqlx::query_scalar("SELECT id FROM budgets LIMIT 1")
        .fetch_optional(pool)
        .await?;
    Ok(first.is_some())
}

/// The budgets that calls with this key count against, in this session where they have one.
pub(crate) async fn of_calls(
    pool: &AnyPool,
    tenant: &str,
    key: &str,
    session: Option<&SessionId>,
) -> sqlx::Result<Vec<Budget>> {
    sqlx::query_as(
        "SELECT id, tenant, key, session, span, tokens, is_hard FROM budgets
         WHERE tenant = $1 AND COALESCE(key, '') IN ('', $2) AND session IN ('', $3)
         ORDER BY id",
    )
    .bind(tenant)
    .bind(key)
    .bind(session.map_or("", SessionId::as_str))
    .fetch_all(pool)
    .await
}

/// Deletes one, with all that is known of its use. False where there was none.
pub(crate) async fn delete(pool: &AnyPool, place: &Place) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "DELETE FROM budgets
         WHERE tenant = $1 AND COALESCE(key, '') = $2 AND session = $3 AND span = $4",
    )
    .bind(&place.tenant)
    .bind(place.key().unwrap_or_default())
    .bind(place.session())
    .bind(place.span.as_str())
    .execute(pool)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Forgets the sessions that nobody has used for 30 days, and gives how many budgets those had.
pub(crate) async fn forget_idle(pool: &AnyPool, moment: Timestamp) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "DELETE FROM budgets WHERE session <> ''
             AND NOT EXISTS (SELECT 1 FROM budgets b
                 WHERE b.key = budgets.key AND b.session = budgets.session
                     AND b.touched_at >= $1)
             AND NOT EXISTS (SELECT 1 FROM budget_windows w JOIN leases l ON l.budget_window = w.id
                 WHERE w.budget = budgets.id AND (l.settled_at IS NULL OR l.settled_at >= $1))",
    )
    .bind(moment.as_millisecond() - IDLE)
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}
