//! The `ledger_entries` table: old movements of one kind, of one lease, become one.
//!
//! A lifetime's window never ends, and a host that is in use moves tokens of it every second. What is
//! put together has the sum of its parts in both accounts, so every balance, of the window and of each
//! lease, is what it was.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AnyPool, FromRow, Row as _};
use uuid::Uuid;

use super::Window;
use super::account::{Account, Kind, Movement};
use crate::db::corrupt;

/// Groups that are looked up at once.
const GROUPS: i64 = 100;

/// Old movements that can be one.
struct Group {
    window: Window,
    lease: Option<Uuid>,
    kind: Kind,
}

impl FromRow<'_, AnyRow> for Group {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        let lease: &str = row.try_get("lease")?;
        let lease = (!lease.is_empty()).then(|| lease.parse());
        let kind: &str = row.try_get("kind")?;
        Ok(Self {
            window: Window {
                budget: row.try_get("budget")?,
                starts_at: row.try_get("starts_at")?,
            },
            lease: lease.transpose().map_err(corrupt)?,
            kind: kind.parse().map_err(|_| unknown(kind))?,
        })
    }
}

fn unknown(kind: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("{kind:?} is no kind of a movement").into())
}

/// Puts together what moved before then.
pub(super) async fn fold(pool: &AnyPool, before: i64) -> sqlx::Result<()> {
    loop {
        let groups = groups(pool, before).await?;
        if groups.is_empty() {
            return Ok(());
        }
        for group in &groups {
            let mut transaction = pool.begin().await?;
            group.fold(&mut transaction, before).await?;
            transaction.commit().await?;
        }
    }
}

/// Those of more than one movement. Of what would be more together than a number can have, nothing.
async fn groups(pool: &AnyPool, before: i64) -> sqlx::Result<Vec<Group>> {
    sqlx::query_as(
        "SELECT w.budget, w.starts_at, g.lease, g.kind
         FROM (SELECT budget_window, COALESCE(lease, '') AS lease, kind FROM ledger_entries
               WHERE made_at < $1 GROUP BY budget_window, COALESCE(lease, ''), kind
               HAVING COUNT(*) > 2 AND SUM(ABS(tokens) / 1048576) < 4398046511104 LIMIT $2) AS g
         JOIN budget_windows w ON w.id = g.budget_window",
    )
    .bind(before)
    .bind(GROUPS)
    .fetch_all(pool)
    .await
}

impl Group {
    /// Nothing where its window is gone meanwhile.
    async fn fold(&self, connection: &mut AnyConnection, before: i64) -> sqlx::Result<()> {
        let Some(account) = Account::lock(connection, &self.window).await? else {
            return Ok(());
        };
        let (kind, lease) = (
            self.kind.as_str(),
            self.lease.map(|lease| lease.to_string()),
        );
        let lease = lease.unwrap_or_default();
        // One of the two entries of each has them as they are, the other has them negative.
        let tokens: i64 = sqlx::query_scalar(
            "SELECT CAST(COALESCE(SUM(tokens), 0) AS BIGINT) FROM ledger_entries
             WHERE budget_window = $1 AND COALESCE(lease, '') = $2 AND kind = $3 AND made_at < $4
                 AND tokens > 0",
        )
        .bind(&account.id)
        .bind(&lease)
        .bind(kind)
        .bind(before)
        .fetch_one(&mut *connection)
        .await?;
        sqlx::query(
            "DELETE FROM ledger_entries
             WHERE budget_window = $1 AND COALESCE(lease, '') = $2 AND kind = $3 AND made_at < $4",
        )
        .bind(&account.id)
        .bind(&lease)
        .bind(kind)
        .bind(before)
        .execute(&mut *connection)
        .await?;
        let movement = Movement {
            id: Uuid::now_v7(),
            lease: self.lease,
            kind: self.kind,
            tokens,
        };
        account.record(connection, &movement).await?;
        Ok(())
    }
}
