//! The `budget_windows` and `ledger_entries` tables: the accounts of a window, and what moves between
//! them.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, FromRow, Row as _};
use strum::{EnumString, IntoStaticStr};
use uuid::Uuid;

use super::{Lease, Window};
use crate::db::budgets::tokens;
use crate::db::now;

/// A window that nobody else changes before the transaction ends.
pub(super) struct Account {
    pub(super) id: String,
    posted: i64,
    leased: i64,
}

/// Tokens that go from one account of a window to another.
pub(super) struct Movement {
    pub(super) id: Uuid,
    pub(super) lease: Option<Uuid>,
    pub(super) kind: Kind,
    pub(super) tokens: i64,
}

/// Why they go.
#[derive(Clone, Copy, EnumString, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub(super) enum Kind {
    Lease,
    Post,
    Release,
    Expire,
    /// The use of a soft budget.
    Count,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        self.into()
    }

    /// From which account, and to which.
    fn accounts(self) -> (&'static str, &'static str) {
        match self {
            Self::Lease => ("free", "leased"),
            Self::Post | Self::Expire => ("leased", "spent"),
            Self::Release => ("leased", "free"),
            Self::Count => ("free", "spent"),
        }
    }
}

impl Movement {
    pub(super) fn of(lease: &Lease, kind: Kind, tokens: i64) -> Self {
        Self {
            id: Uuid::now_v7(),
            lease: Some(lease.id),
            kind,
            tokens,
        }
    }

    /// What comes into an account, negative where it goes out of it.
    fn change(&self, account: &str) -> i64 {
        let (from, to) = self.kind.accounts();
        if account == to {
            self.tokens
        } else if account == from {
            -self.tokens
        } else {
            0
        }
    }
}

impl FromRow<'_, AnyRow> for Account {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            posted: row.try_get("posted")?,
            leased: row.try_get("leased")?,
        })
    }
}

impl Account {
    /// What is free, where so much is the limit; nothing, where that was lowered below what is not.
    pub(super) fn left(&self, limit: u64) -> u64 {
        limit.saturating_sub((self.posted + self.leased).unsigned_abs())
    }

    /// How many tokens more can be counted at all.
    pub(super) fn room(&self) -> i64 {
        i64::MAX - self.posted - self.leased
    }

    /// Waits for the window, which begins empty. Its budget must be there.
    pub(super) async fn open(
        connection: &mut AnyConnection,
        window: &Window,
    ) -> sqlx::Result<Self> {
        sqlx::query_as(
            "INSERT INTO budget_windows (id, budget, starts_at, posted, leased)
             VALUES ($1, $2, $3, 0, 0)
             ON CONFLICT (budget, starts_at) DO UPDATE SET posted = budget_windows.posted
             RETURNING id, posted, leased",
        )
        .bind(Uuid::now_v7().to_string())
        .bind(&window.budget)
        .bind(window.starts_at)
        .fetch_one(connection)
        .await
    }

    /// Waits for the window; none where it was never opened, or its budget is gone.
    pub(super) async fn lock(
        connection: &mut AnyConnection,
        window: &Window,
    ) -> sqlx::Result<Option<Self>> {
        sqlx::query_as(
            "UPDATE budget_windows SET posted = posted WHERE budget = $1 AND starts_at = $2
             RETURNING id, posted, leased",
        )
        .bind(&window.budget)
        .bind(window.starts_at)
        .fetch_optional(connection)
        .await
    }

    /// Leases so many tokens, unless that is more than are left.
    pub(super) async fn hold(
        &self,
        connection: &mut AnyConnection,
        limit: u64,
        tokens: i64,
    ) -> sqlx::Result<bool> {
        // Written so that no sum can overflow.
        let done = sqlx::query(
            "UPDATE budget_windows SET leased = leased + $2
             WHERE id = $1 AND posted + leased <= $3 - $2",
        )
        .bind(&self.id)
        .bind(tokens)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .execute(connection)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Moves tokens once, however often the same movement is carried out.
    pub(super) async fn carry_out(
        &self,
        connection: &mut AnyConnection,
        movement: &Movement,
    ) -> sqlx::Result<()> {
        if !self.record(connection, movement).await? {
            return Ok(());
        }
        sqlx::query(
            "UPDATE budget_windows SET posted = posted + $2, leased = leased + $3 WHERE id = $1",
        )
        .bind(&self.id)
        .bind(movement.change("spent"))
        .bind(movement.change("leased"))
        .execute(connection)
        .await?;
        Ok(())
    }

    /// Writes a movement's two entries; false where they are there already, or nothing moves.
    pub(super) async fn record(
        &self,
        connection: &mut AnyConnection,
        movement: &Movement,
    ) -> sqlx::Result<bool> {
        if movement.tokens == 0 {
            return Ok(false);
        }
        let (from, to) = movement.kind.accounts();
        let done = sqlx::query(
            "INSERT INTO ledger_entries
                 (movement, account, budget_window, lease, kind, tokens, made_at)
             VALUES ($1, $2, $4, $5, $6, -$7, $8), ($1, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (movement, account) DO NOTHING",
        )
        .bind(movement.id.to_string())
        .bind(from)
        .bind(to)
        .bind(&self.id)
        .bind(movement.lease.map(|lease| lease.to_string()))
        .bind(movement.kind.as_str())
        .bind(movement.tokens)
        .bind(now())
        .execute(connection)
        .await?;
        Ok(done.rows_affected() > 0)
    }
}

/// How many tokens each window of the budget has, which nobody changes before the transaction ends;
/// none where it is gone.
pub(super) async fn limit(
    connection: &mut AnyConnection,
    window: &Window,
) -> sqlx::Result<Option<u64>> {
    let row = sqlx::query("UPDATE budgets SET touched_at = $2 WHERE id = $1 RETURNING tokens")
        .bind(&window.budget)
        .bind(now())
        .fetch_optional(connection)
        .await?;
    row.map(|row| tokens(&row, "tokens")).transpose()
}
