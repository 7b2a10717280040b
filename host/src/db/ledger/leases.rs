//! The `leases` table: what hosts may spend without asking again.

use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AnyPool, FromRow, Row as _};
use strum::IntoStaticStr;

use super::{Asked, Holder, Lease, Window};
use crate::db::{corrupt, now};

/// Lost leases that are looked up at once.
const LOST: i64 = 100;

/// How a lease ends.
#[derive(Clone, Copy, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub(super) enum End {
    Posted,
    Voided,
    Expired,
}

/// A lease whose holder did not settle it in time.
pub(super) struct LostLease {
    pub(super) lease: Lease,
    ends_at: i64,
}

/// What is in a lease that is not settled.
#[derive(Clone, Copy)]
pub(super) struct Pending {
    pub(super) tokens: i64,
    pub(super) spent: i64,
}

impl FromRow<'_, AnyRow> for Pending {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self {
            tokens: row.try_get("tokens")?,
            spent: row.try_get("spent")?,
        })
    }
}

impl FromRow<'_, AnyRow> for LostLease {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        let id: &str = row.try_get("id")?;
        let window = Window {
            budget: row.try_get("budget")?,
            starts_at: row.try_get("starts_at")?,
        };
        Ok(Self {
            lease: Lease {
                id: id.parse().map_err(corrupt)?,
                window,
            },
            ends_at: row.try_get("ends_at")?,
        })
    }
}

impl Pending {
    /// What is spent then, where a host says that it is so much: never less than it was, and never
    /// more than was leased.
    pub(super) fn up_to(self, spent: u64) -> i64 {
        let spent = i64::try_from(spent).unwrap_or(i64::MAX);
        spent.clamp(self.spent, self.tokens)
    }
}

impl Lease {
    /// Makes the row, or adds to it; false where it is not the holder's any more.
    pub(super) async fn add(
        &self,
        connection: &mut AnyConnection,
        account: &str,
        holder: &Holder,
        tokens: i64,
        asked: &Asked,
    ) -> sqlx::Result<bool> {
        let done = sqlx::query(
            "INSERT INTO leases
                 (id, budget_window, host, fence, tokens, spent, state, made_at, ends_at)
             VALUES ($1, $2, $3, $4, $5, 0, 'pending', $6, $7)
             ON CONFLICT (id) DO UPDATE SET tokens = leases.tokens + excluded.tokens,
                 ends_at = CASE WHEN excluded.ends_at > leases.ends_at
                     THEN excluded.ends_at ELSE leases.ends_at END
             WHERE leases.state = 'pending' AND leases.host = excluded.host
                 AND leases.fence = excluded.fence",
        )
        .bind(self.id.to_string())
        .bind(account)
        .bind(&holder.host)
        .bind(&holder.fence)
        .bind(tokens)
        .bind(now())
        .bind(asked.ends_at.as_millisecond())
        .execute(connection)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// What is in it; none where it is not the holder's any more.
    pub(super) async fn pending(
        &self,
        connection: &mut AnyConnection,
        holder: &Holder,
    ) -> sqlx::Result<Option<Pending>> {
        sqlx::query_as(
            "SELECT tokens, spent FROM leases
             WHERE id = $1 AND host = $2 AND fence = $3 AND state = 'pending'",
        )
        .bind(self.id.to_string())
        .bind(&holder.host)
        .bind(&holder.fence)
        .fetch_optional(connection)
        .await
    }

    /// So much of it is spent, and it has until then, or longer if it had that already.
    pub(super) async fn keep(
        &self,
        connection: &mut AnyConnection,
        spent: i64,
        ends_at: Timestamp,
    ) -> sqlx::Result<()> {
        sqlx::query(
            "UPDATE leases SET spent = $2,
                 ends_at = CASE WHEN $3 > ends_at THEN $3 ELSE ends_at END
             WHERE id = $1",
        )
        .bind(self.id.to_string())
        .bind(spent)
        .bind(ends_at.as_millisecond())
        .execute(connection)
        .await?;
        Ok(())
    }

    /// Ends it, with so much spent.
    pub(super) async fn close(
        &self,
        connection: &mut AnyConnection,
        end: End,
        spent: i64,
    ) -> sqlx::Result<()> {
        let state: &str = end.into();
        sqlx::query("UPDATE leases SET spent = $2, state = $3, settled_at = $4 WHERE id = $1")
            .bind(self.id.to_string())
            .bind(spent)
            .bind(state)
            .bind(now())
            .execute(connection)
            .await?;
        Ok(())
    }
}

impl LostLease {
    /// What is in it; none where it is settled, or has got another end, since it was looked up.
    pub(super) async fn pending(
        &self,
        connection: &mut AnyConnection,
    ) -> sqlx::Result<Option<Pending>> {
        sqlx::query_as(
            "SELECT tokens, spent FROM leases WHERE id = $1 AND ends_at = $2 AND state = 'pending'",
        )
        .bind(self.lease.id.to_string())
        .bind(self.ends_at)
        .fetch_optional(connection)
        .await
    }
}

/// Some of those whose end has passed.
pub(super) async fn ended(pool: &AnyPool, moment: Timestamp) -> sqlx::Result<Vec<LostLease>> {
    sqlx::query_as(
        "SELECT l.id, l.ends_at, w.budget, w.starts_at
         FROM leases l JOIN budget_windows w ON w.id = l.budget_window
         WHERE l.state = 'pending' AND l.ends_at < $1 ORDER BY l.ends_at LIMIT $2",
    )
    .bind(moment.as_millisecond())
    .bind(LOST)
    .fetch_all(pool)
    .await
}

/// Some of those that other runs of the same host took. A run with another fence is an earlier one,
/// even where it is larger: fences come from a clock, which may have been set back.
pub(super) async fn of_earlier(pool: &AnyPool, holder: &Holder) -> sqlx::Result<Vec<LostLease>> {
    sqlx::query_as(
        "SELECT l.id, l.ends_at, w.budget, w.starts_at
         FROM leases l JOIN budget_windows w ON w.id = l.budget_window
         WHERE l.state = 'pending' AND l.host = $1 AND l.fence <> $2 LIMIT $3",
    )
    .bind(&holder.host)
    .bind(&holder.fence)
    .bind(LOST)
    .fetch_all(pool)
    .await
}

/// Some of those that are not settled, whoever holds them.
pub(super) async fn pending(connection: &mut AnyConnection) -> sqlx::Result<Vec<LostLease>> {
    sqlx::query_as(
        "SELECT l.id, l.ends_at, w.budget, w.starts_at
         FROM leases l JOIN budget_windows w ON w.id = l.budget_window
         WHERE l.state = 'pending' LIMIT $1",
    )
    .bind(LOST)
    .fetch_all(connection)
    .await
}
