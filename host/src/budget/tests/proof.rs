//! What must hold of the ledger at any moment, whatever happened.

use sqlx::any::AnyRow;
use sqlx::{AnyPool, FromRow, Row as _};

use crate::db::ledger::Window;

/// What the tables say of one window.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) window: Window,
    pub(super) limit: i64,
    pub(super) posted: i64,
    pub(super) leased: i64,
    /// The tokens of its leases that were lost.
    pub(super) lost: i64,
    posted_entries: i64,
    leased_entries: i64,
    all_entries: i64,
    spent_of_leases: i64,
    pending_of_leases: i64,
    counted: i64,
}

#[derive(Debug)]
struct LeaseRow {
    tokens: i64,
    spent: i64,
    state: String,
    posted_entries: i64,
    leased_entries: i64,
    all_entries: i64,
}

impl FromRow<'_, AnyRow> for Account {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        let window = Window {
            budget: row.try_get("budget")?,
            starts_at: row.try_get("starts_at")?,
        };
        Ok(Self {
            window,
            limit: row.try_get("tokens")?,
            posted: row.try_get("posted")?,
            leased: row.try_get("leased")?,
            lost: row.try_get("lost")?,
            posted_entries: row.try_get("posted_entries")?,
            leased_entries: row.try_get("leased_entries")?,
            all_entries: row.try_get("all_entries")?,
            spent_of_leases: row.try_get("spent_of_leases")?,
            pending_of_leases: row.try_get("pending_of_leases")?,
            counted: row.try_get("counted")?,
        })
    }
}

impl FromRow<'_, AnyRow> for LeaseRow {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self {
            tokens: row.try_get("tokens")?,
            spent: row.try_get("spent")?,
            state: row.try_get("state")?,
            posted_entries: row.try_get("posted_entries")?,
            leased_entries: row.try_get("leased_entries")?,
            all_entries: row.try_get("all_entries")?,
        })
    }
}

const ACCOUNTS: &str = "
    SELECT w.budget, w.starts_at, w.posted, w.leased, b.tokens,
        (SELECT CAST(COALESCE(SUM(l.tokens), 0) AS BIGINT) FROM leases l
         WHERE l.budget_window = w.id AND l.state = 'expired') AS lost,
        (SELECT CAST(COALESCE(SUM(l.spent), 0) AS BIGINT) FROM leases l
         WHERE l.budget_window = w.id) AS spent_of_leases,
        (SELECT CAST(COALESCE(SUM(l.tokens - l.spent), 0) AS BIGINT) FROM leases l
         WHERE l.budget_window = w.id AND l.state = 'pending') AS pending_of_leases,
        (SELECT CAST(COALESCE(SUM(e.tokens), 0) AS BIGINT) FROM ledger_entries e
         WHERE e.budget_window = w.id AND e.account = 'spent') AS posted_entries,
        (SELECT CAST(COALESCE(SUM(e.tokens), 0) AS BIGINT) FROM ledger_entries e
         WHERE e.budget_window = w.id AND e.account = 'leased') AS leased_entries,
        (SELECT CAST(COALESCE(SUM(e.tokens), 0) AS BIGINT) FROM ledger_entries e
         WHERE e.budget_window = w.id AND e.kind = 'count' AND e.account = 'spent') AS counted,
        (SELECT CAST(COALESCE(SUM(e.tokens), 0) AS BIGINT) FROM ledger_entries e
         WHERE e.budget_window = w.id) AS all_entries
    FROM budget_windows w JOIN budgets b ON b.id = w.budget";

const LEASES: &str = "
    SELECT l.tokens, l.spent, l.state,
        CAST(COALESCE(SUM(CASE WHEN e.account = 'spent' THEN e.tokens END), 0) AS BIGINT)
            AS posted_entries,
        CAST(COALESCE(SUM(CASE WHEN e.account = 'leased' THEN e.tokens END), 0) AS BIGINT)
            AS leased_entries,
        CAST(COALESCE(SUM(e.tokens), 0) AS BIGINT) AS all_entries
    FROM leases l LEFT JOIN ledger_entries e
        ON e.lease = l.id AND e.budget_window = l.budget_window
    GROUP BY l.id, l.tokens, l.spent, l.state";

const BROKEN_MOVEMENTS: &str = "
    SELECT COUNT(*) FROM (SELECT movement FROM ledger_entries GROUP BY movement
        HAVING COUNT(*) <> 2 OR SUM(tokens) <> 0 OR COUNT(DISTINCT budget_window) <> 1) AS broken";

/// Proves all that the tables alone can prove, as of one moment.
pub(super) async fn prove(pool: &AnyPool) -> Vec<Account> {
    let mut moment = pool.begin().await.unwrap();
    let accounts: Vec<Account> = sqlx::query_as(ACCOUNTS)
        .fetch_all(&mut *moment)
        .await
        .unwrap();
    let leases: Vec<LeaseRow> = sqlx::query_as(LEASES)
        .fetch_all(&mut *moment)
        .await
        .unwrap();
    let broken: i64 = sqlx::query_scalar(BROKEN_MOVEMENTS)
        .fetch_one(&mut *moment)
        .await
        .unwrap();
    assert_eq!(
        broken, 0,
        "movements that are not two entries whose sum is zero"
    );
    accounts.iter().for_each(Account::prove);
    leases.iter().for_each(LeaseRow::prove);
    accounts
}

impl Account {
    fn prove(&self) {
        assert_eq!(
            self.posted, self.posted_entries,
            "posted is its entries: {self:?}"
        );
        assert_eq!(
            self.leased, self.leased_entries,
            "leased is its entries: {self:?}"
        );
        assert_eq!(self.all_entries, 0, "entries sum to zero: {self:?}");
        assert_eq!(
            self.leased, self.pending_of_leases,
            "leased is what pends: {self:?}"
        );
        let spent = self.spent_of_leases + self.counted;
        assert_eq!(
            self.posted, spent,
            "posted is what leases and counts say: {self:?}"
        );
    }

    pub(super) fn taken(&self) -> i64 {
        self.posted + self.leased
    }
}

impl LeaseRow {
    fn prove(&self) {
        let pends = if self.state == "pending" {
            self.tokens - self.spent
        } else {
            0
        };
        assert_eq!(
            self.posted_entries, self.spent,
            "spent is its entries: {self:?}"
        );
        assert_eq!(
            self.leased_entries, pends,
            "what pends is its entries: {self:?}"
        );
        assert_eq!(self.all_entries, 0, "entries sum to zero: {self:?}");
        match self.state.as_str() {
            "expired" => assert_eq!(self.spent, self.tokens, "posted in full: {self:?}"),
            "voided" => assert_eq!(self.spent, 0, "nothing was spent: {self:?}"),
            "posted" => assert!(self.spent > 0, "something was spent: {self:?}"),
            state => assert_eq!(state, "pending"),
        }
    }
}
