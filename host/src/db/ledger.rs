//! The `budget_windows`, `leases` and `ledger_entries` tables: what is left of each budget, which
//! host may spend how much of it, and every movement of tokens, twice.
//!
//! Whoever changes a window or a lease of it locks the budget first where the limit is needed, then
//! the window, then the lease: nobody waits for who waits for them.

mod account;
mod fold;
mod leases;

use jiff::Timestamp;
use sqlx::{AnyConnection, AnyPool};
use uuid::Uuid;

use self::account::{Account, Kind, Movement};
use self::leases::{End, LostLease};
use super::DAY;
use crate::budget::Span;
use crate::keep::Days;

/// One window of a budget.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Window {
    /// The budget's id.
    pub(crate) budget: String,
    /// Milliseconds since 1970; 0 for a lifetime.
    pub(crate) starts_at: i64,
}

/// One run of a host.
#[derive(Clone, Debug)]
pub(crate) struct Holder {
    pub(crate) host: String,
    /// Another one with every start of the host.
    pub(crate) fence: String,
}

impl Holder {
    /// A run that begins now, of the host of this name.
    pub(crate) fn new(host: String) -> Self {
        Self {
            host,
            fence: Uuid::now_v7().to_string(),
        }
    }
}

/// What one run of a host may spend of a window.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    pub(crate) id: Uuid,
    pub(crate) window: Window,
}

/// How much a lease is to have more.
pub(crate) struct Asked {
    /// At least so much: what the calls at hand need.
    pub(crate) needed: u64,
    /// When the lease is lost unless it is settled before, or asked for again.
    pub(crate) ends_at: Timestamp,
}

/// What came of asking for a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// The lease has so many tokens more, of a budget of so many.
    Granted { tokens: u64, limit: u64 },
    /// The window has not enough left.
    Exhausted { limit: u64, left: u64 },
    /// The lease is not pending any more.
    Lost,
    /// There is no such budget any more.
    Gone,
}

/// Takes a lease, or adds to the one that is there. It cannot overdraw, however many hosts ask at
/// once.
pub(crate) async fn take(
    pool: &AnyPool,
    holder: &Holder,
    lease: &Lease,
    asked: &Asked,
) -> sqlx::Result<Taken> {
    let mut transaction = pool.begin().await?;
    let Some(limit) = account::limit(&mut transaction, &lease.window).await? else {
        return Ok(Taken::Gone);
    };
    let account = Account::open(&mut transaction, &lease.window).await?;
    let left = account.left(limit);
    let Ok(tokens) = i64::try_from(grant(asked.needed, limit, left)) else {
        return Ok(Taken::Exhausted { limit, left });
    };
    if tokens > 0 && !account.hold(&mut transaction, limit, tokens).await? {
        return Ok(Taken::Exhausted { limit, left });
    }
    let added = lease.add(&mut transaction, &account.id, holder, tokens, asked);
    if !added.await? {
        return Ok(Taken::Lost);
    }
    let movement = Movement::of(lease, Kind::Lease, tokens);
    account.record(&mut transaction, &movement).await?;
    transaction.commit().await?;
    let tokens = tokens.unsigned_abs();
    Ok(Taken::Granted { tokens, limit })
}

/// What is needed, and some more while there is much left: leases shrink as the budget empties, so
/// that no host sits on the rest of it. Whether so much is left is for [`Account::hold`] to say.
fn grant(needed: u64, limit: u64, left: u64) -> u64 {
    needed.max((limit / 16).min(left / 4))
}

/// Posts what has been spent of a lease since it was taken, which stays pending until the new end.
/// False where it is not the holder's any more. Any number of times is the same as once.
pub(crate) async fn post(
    pool: &AnyPool,
    holder: &Holder,
    lease: &Lease,
    spent: u64,
    ends_at: Timestamp,
) -> sqlx::Result<bool> {
    let mut transaction = pool.begin().await?;
    let Some(account) = Account::lock(&mut transaction, &lease.window).await? else {
        return Ok(false);
    };
    let Some(pending) = lease.pending(&mut transaction, holder).await? else {
        return Ok(false);
    };
    let spent = pending.up_to(spent);
    let movement = Movement::of(lease, Kind::Post, spent - pending.spent);
    account.carry_out(&mut transaction, &movement).await?;
    lease.keep(&mut transaction, spent, ends_at).await?;
    transaction.commit().await?;
    Ok(true)
}

/// Ends a lease: posts what was spent of it, and gives the rest back. Nothing where it is not the
/// holder's any more, so that any number of times is the same as once.
pub(crate) async fn settle(
    pool: &AnyPool,
    holder: &Holder,
    lease: &Lease,
    spent: u64,
) -> sqlx::Result<()> {
    let mut transaction = pool.begin().await?;
    let Some(account) = Account::lock(&mut transaction, &lease.window).await? else {
        return Ok(());
    };
    let Some(pending) = lease.pending(&mut transaction, holder).await? else {
        return Ok(());
    };
    let spent = pending.up_to(spent);
    let posted = Movement::of(lease, Kind::Post, spent - pending.spent);
    account.carry_out(&mut transaction, &posted).await?;
    let released = Movement::of(lease, Kind::Release, pending.tokens - spent);
    account.carry_out(&mut transaction, &released).await?;
    let end = if spent == 0 { End::Voided } else { End::Posted };
    lease.close(&mut transaction, end, spent).await?;
    transaction.commit().await
}

/// Posts a soft budget's use, without a lease. The movement is named by who asks, and so is carried
/// out once however often it is asked for.
pub(crate) async fn count(
    pool: &AnyPool,
    window: &Window,
    movement: Uuid,
    tokens: u64,
) -> sqlx::Result<()> {
    let mut transaction = pool.begin().await?;
    if account::limit(&mut transaction, window).await?.is_none() {
        return Ok(());
    }
    let account = Account::open(&mut transaction, window).await?;
    let tokens = i64::try_from(tokens).unwrap_or(i64::MAX);
    let movement = Movement {
        id: movement,
        lease: None,
        kind: Kind::Count,
        tokens: tokens.min(account.room()),
    };
    account.carry_out(&mut transaction, &movement).await?;
    transaction.commit().await
}

/// Expires the leases whose end has passed: all of each counts as spent, since nobody knows better.
pub(crate) async fn expire_lost(pool: &AnyPool, moment: Timestamp) -> sqlx::Result<()> {
    loop {
        let lost = leases::ended(pool, moment).await?;
        if lost.is_empty() {
            return Ok(());
        }
        expire_all(pool, &lost).await?;
    }
}

/// Expires what earlier runs of the same host have not settled.
pub(crate) async fn expire_earlier(pool: &AnyPool, holder: &Holder) -> sqlx::Result<()> {
    loop {
        let lost = leases::of_earlier(pool, holder).await?;
        if lost.is_empty() {
            return Ok(());
        }
        expire_all(pool, &lost).await?;
    }
}

async fn expire_all(pool: &AnyPool, lost: &[LostLease]) -> sqlx::Result<()> {
    for lost in lost {
        let tokens = expire(pool, lost).await?;
        if tokens > 0 {
            let budget = &lost.lease.window.budget;
            tracing::warn!(
                tokens,
                budget,
                "a lease was lost: what is left of it counts as spent"
            );
        }
    }
    Ok(())
}

/// Expires every lease that is not settled, whoever holds it: of those of a restored database nobody
/// knows what became, and no host may go on with them.
pub(crate) async fn expire_pending(connection: &mut AnyConnection) -> sqlx::Result<()> {
    loop {
        let lost = leases::pending(connection).await?;
        if lost.is_empty() {
            return Ok(());
        }
        for lost in &lost {
            carry_out_expiry(connection, lost).await?;
        }
    }
}

async fn expire(pool: &AnyPool, lost: &LostLease) -> sqlx::Result<i64> {
    let mut transaction = pool.begin().await?;
    let tokens = carry_out_expiry(&mut transaction, lost).await?;
    transaction.commit().await?;
    Ok(tokens)
}

/// Nothing where the lease has been settled, or has got another end, since it was looked up.
async fn carry_out_expiry(connection: &mut AnyConnection, lost: &LostLease) -> sqlx::Result<i64> {
    let lease = &lost.lease;
    let Some(account) = Account::lock(connection, &lease.window).await? else {
        return Ok(0);
    };
    let Some(pending) = lost.pending(connection).await? else {
        return Ok(0);
    };
    let rest = pending.tokens - pending.spent;
    let movement = Movement::of(lease, Kind::Expire, rest);
    account.carry_out(connection, &movement).await?;
    let closed = lease.close(connection, End::Expired, pending.tokens);
    closed.await?;
    Ok(rest)
}

/// For so long windows of minutes are kept, and of days where nobody says how long.
const MINUTES_KEPT: i64 = 2 * DAY;
const DAYS_KEPT: i64 = 400 * DAY;
/// After so long movements of a window are put together.
const APART: i64 = 31 * DAY;

/// Forgets windows that are long over, with what moved in them, and of which nothing is leased; of
/// those that stay, which of their old movements was which.
pub(crate) async fn forget_old(
    pool: &AnyPool,
    moment: Timestamp,
    kept: Option<Days>,
) -> sqlx::Result<()> {
    let kept = kept.map(Days::millis);
    let mut spans = vec![
        (Span::Minute, MINUTES_KEPT),
        (Span::Day, kept.map_or(DAYS_KEPT, |kept| kept + DAY)),
    ];
    // From their beginning on, and none is longer than this.
    spans.extend(kept.map(|kept| (Span::Month, kept + 31 * DAY)));
    for (span, kept) in spans {
        sqlx::query(
            "DELETE FROM budget_windows WHERE leased = 0 AND starts_at < $1
                 AND budget IN (SELECT id FROM budgets WHERE span = $2)",
        )
        .bind(moment.as_millisecond() - kept)
        .bind(span.as_str())
        .execute(pool)
        .await?;
    }
    let apart = kept.map_or(APART, |kept| kept.min(APART));
    fold::fold(pool, moment.as_millisecond() - apart).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_shrinks_as_the_budget_empties() {
        assert_eq!(grant(1, 1600, 1600), 100);
        assert_eq!(grant(1, 1600, 200), 50);
        assert_eq!(grant(1, 1600, 3), 1);
        assert_eq!(grant(500, 1600, 1600), 500);
        assert_eq!(grant(0, 1600, 0), 0);
    }
}
