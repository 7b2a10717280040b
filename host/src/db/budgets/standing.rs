//! How budgets stand: what is used and leased of their windows.

use jiff::Timestamp;
use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{AnyPool, FromRow, Row as _};

use super::{Budget, Place, tokens};
use crate::budget::Span;
use crate::db::time;

/// The window `w` of this moment of each budget `b`, where it has one; the first three parameters are
/// when those of minutes, days and months began.
macro_rules! present {
    () => {
        " LEFT JOIN budget_windows w ON w.budget = b.id AND w.starts_at =
             CASE b.span WHEN 'minute' THEN $1 WHEN 'day' THEN $2 WHEN 'month' THEN $3 ELSE 0 END
         "
    };
}

/// A budget, and what has become of its present window.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Standing {
    #[serde(flatten)]
    pub(crate) budget: Budget,
    /// What hosts have posted.
    pub(crate) used: u64,
    /// What hosts may spend besides, or have spent and not posted.
    pub(crate) leased: u64,
}

/// What became of one window of a budget.
#[derive(Serialize)]
pub(crate) struct Past {
    /// None for a lifetime.
    starts_at: Option<Timestamp>,
    used: u64,
    leased: u64,
}

/// The fullest of some budgets.
pub(crate) struct Fullest {
    /// The tenant's name.
    pub(crate) tenant: String,
    /// `tenant`, `key` or `session`.
    pub(crate) level: String,
    pub(crate) span: String,
    /// `hard` or `soft`.
    pub(crate) kind: String,
    /// Of its tokens, what part is used; more than 1 where a soft one is passed.
    pub(crate) ratio: f64,
}

impl Standing {
    /// Of one that nothing was used of.
    pub(crate) fn new(budget: Budget) -> Self {
        Self {
            budget,
            used: 0,
            leased: 0,
        }
    }

    /// What is neither used nor leased.
    pub(crate) fn left(&self) -> u64 {
        let taken = self.used.saturating_add(self.leased);
        self.budget.tokens.saturating_sub(taken)
    }
}

impl FromRow<'_, AnyRow> for Standing {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self {
            budget: Budget::from_row(row)?,
            used: tokens(row, "posted")?,
            leased: tokens(row, "leased")?,
        })
    }
}

impl FromRow<'_, AnyRow> for Past {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        let starts_at: i64 = row.try_get("starts_at")?;
        Ok(Self {
            starts_at: (starts_at > 0).then(|| time(starts_at)).transpose()?,
            used: tokens(row, "posted")?,
            leased: tokens(row, "leased")?,
        })
    }
}

impl FromRow<'_, AnyRow> for Fullest {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self {
            tenant: row.try_get("tenant")?,
            level: row.try_get("level")?,
            span: row.try_get("span")?,
            kind: row.try_get("kind")?,
            ratio: row.try_get("ratio")?,
        })
    }
}

/// The one in a place, as it stands at this moment.
pub(crate) async fn get(
    pool: &AnyPool,
    place: &Place,
    moment: Timestamp,
) -> sqlx::Result<Option<Standing>> {
    sqlx::query_as(
        "SELECT b.id, b.tenant, b.key, b.session, b.span, b.tokens, b.is_hard,
                COALESCE(w.posted, 0) AS posted, COALESCE(w.leased, 0) AS leased
         FROM budgets b LEFT JOIN budget_windows w ON w.budget = b.id AND w.starts_at = $5
         WHERE b.tenant = $1 AND COALESCE(b.key, '') = $2 AND b.session = $3 AND b.span = $4",
    )
    .bind(&place.tenant)
    .bind(place.key().unwrap_or_default())
    .bind(place.session())
    .bind(place.span.as_str())
    .bind(place.span.starts_at(moment))
    .fetch_optional(pool)
    .await
}

/// All of a tenant's, as they stand at this moment, from the widest level to the narrowest.
pub(crate) async fn list(
    pool: &AnyPool,
    tenant: &str,
    moment: Timestamp,
) -> sqlx::Result<Vec<Standing>> {
    sqlx::query_as(concat!(
        "SELECT b.id, b.tenant, b.key, b.session, b.span, b.tokens, b.is_hard,
                    COALESCE(w.posted, 0) AS posted, COALESCE(w.leased, 0) AS leased
             FROM budgets b",
        present!(),
        "WHERE b.tenant = $4
             ORDER BY COALESCE(b.key, ''), b.session, b.span"
    ))
    .bind(Span::Minute.starts_at(moment))
    .bind(Span::Day.starts_at(moment))
    .bind(Span::Month.starts_at(moment))
    .bind(tenant)
    .fetch_all(pool)
    .await
}

/// The newest windows of the one in a place.
pub(crate) async fn history(pool: &AnyPool, place: &Place, most: i64) -> sqlx::Result<Vec<Past>> {
    sqlx::query_as(
        "SELECT w.starts_at, w.posted, w.leased
         FROM budgets b JOIN budget_windows w ON w.budget = b.id
         WHERE b.tenant = $1 AND COALESCE(b.key, '') = $2 AND b.session = $3 AND b.span = $4
         ORDER BY w.starts_at DESC LIMIT $5",
    )
    .bind(&place.tenant)
    .bind(place.key().unwrap_or_default())
    .bind(place.session())
    .bind(place.span.as_str())
    .bind(most)
    .fetch_all(pool)
    .await
}

/// The fullest budget of each tenant, level, span and kind at this moment, those of no tokens aside.
pub(crate) async fn fullest(pool: &AnyPool, moment: Timestamp) -> sqlx::Result<Vec<Fullest>> {
    sqlx::query_as(concat!(
        "SELECT t.name AS tenant, b.span,
                    CASE WHEN b.session <> '' THEN 'session'
                         WHEN b.key IS NOT NULL THEN 'key' ELSE 'tenant' END AS level,
                    CASE b.is_hard WHEN 0 THEN 'soft' ELSE 'hard' END AS kind,
                    MAX(CAST(COALESCE(w.posted, 0) AS DOUBLE PRECISION) / b.tokens) AS ratio
             FROM budgets b JOIN tenants t ON t.id = b.tenant",
        present!(),
        "WHERE b.tokens > 0
             GROUP BY 1, 2, 3, 4"
    ))
    .bind(Span::Minute.starts_at(moment))
    .bind(Span::Day.starts_at(moment))
    .bind(Span::Month.starts_at(moment))
    .fetch_all(pool)
    .await
}
