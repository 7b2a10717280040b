//! Budgets of tokens: a call holds tokens before it runs, at every level that has a budget, and is
//! settled when it has ended.
//!
//! This host leases tokens from the database, some more than a call needs, and calls hold tokens of
//! the leases without asking anybody ([`Budgets::reserve`]). A tick posts what they used. What is
//! leased to a host that is lost counts as spent, so a budget is never overdrawn, whatever happens
//! to hosts, clocks and connections.

mod charges;
mod clock;
mod denial;
mod hand;
mod known;
mod level;
mod post;
mod purse;
mod refill;
mod reservation;
mod spending;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use sqlx::AnyPool;

use self::charges::Charges;
pub(crate) use self::clock::Clock;
use self::hand::Hand;
pub(crate) use self::hand::InHand;
use self::known::Known;
pub(crate) use self::level::{Level, SessionId, Span};
pub(crate) use self::reservation::Reservation;
pub(crate) use self::spending::{Spending, hold, run, sweep};
use crate::db::ledger::{self, Holder};

/// How long calls may hold tokens of a lease, from when it was asked for.
const RESERVING: Duration = Duration::from_mins(1);
/// How long it may take to settle a lease after its last call has ended.
const SETTLING: Duration = Duration::from_secs(10);

/// The budgets, as one host spends them.
pub(crate) struct Budgets(Arc<Shared>);

struct Shared {
    pool: AnyPool,
    holder: Holder,
    clock: Clock,
    longest_call: Duration,
    known: Known,
    hand: Mutex<Hand>,
}

/// Whose budgets a call counts against.
#[derive(Clone, Debug)]
pub(crate) struct Payer<'a> {
    /// The tenant's id.
    pub(crate) tenant: &'a str,
    /// The key's id.
    pub(crate) key: &'a str,
    pub(crate) session: Option<Session>,
}

/// What a call is a part of.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    /// All that the session may use, ever; what was said before can only be lowered.
    pub(crate) most: Option<u64>,
}

/// Why a call gets no tokens.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error(transparent)]
    Exhausted(Box<Exhausted>),
    #[error("the key has as many sessions as are remembered")]
    TooManySessions,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// A budget that has not enough left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
pub(crate) struct Exhausted {
    #[serde(flatten)]
    pub(crate) level: Level,
    pub(crate) span: Span,
    pub(crate) limit: u64,
    pub(crate) left: u64,
    pub(crate) wanted: u64,
    /// When it may be tried again; none where that is in vain.
    pub(crate) refills_at: Option<Timestamp>,
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            level,
            span,
            limit,
            left,
            wanted,
            ..
        } = self;
        write!(
            f,
            "the {level}'s budget of {limit} tokens ({span}) has {left} left, and {wanted} are needed"
        )?;
        if wanted > limit {
            f.write_str(", which is more than the budget ever has")?;
        }
        // Of a budget of nothing, nothing can be asked for.
        if wanted > limit && *limit > 0 {
            f.write_str(": ask for fewer with Soma-Max-Tokens")?;
        }
        Ok(())
    }
}

impl Exhausted {
    /// Milliseconds until it may be tried again.
    pub(crate) fn retry_after_ms(&self) -> Option<u64> {
        let wait = self.refills_at?.duration_since(Timestamp::now());
        Some(u64::try_from(wait.as_millis()).unwrap_or(0))
    }
}

impl Payer<'_> {
    /// The session that the call narrows, and to how much.
    fn narrowing(&self) -> Option<(&SessionId, u64)> {
        let session = self.session.as_ref()?;
        Some((&session.id, session.most?))
    }

    /// What it is remembered by, of its tenant's. No key's id has a space in it.
    fn name(&self) -> Cow<'_, str> {
        match &self.session {
            Some(session) => [self.key, " ", session.id.as_str()].concat().into(),
            None => self.key.into(),
        }
    }
}

impl Budgets {
    /// For a run of a host. What its earlier runs did not settle counts as spent.
    pub(crate) async fn open(
        pool: AnyPool,
        holder: Holder,
        clock: Clock,
        longest_call: Duration,
    ) -> sqlx::Result<Self> {
        ledger::expire_earlier(&pool, &holder).await?;
        Ok(Self(Arc::new(Shared {
            pool,
            holder,
            clock,
            longest_call,
            known: Known::new(),
            hand: Mutex::default(),
        })))
    }

    /// Holds so many tokens at every level, or at none. The database is asked only where the leases in
    /// hand have not enough.
    pub(crate) async fn reserve(
        &self,
        payer: &Payer<'_>,
        tokens: u64,
    ) -> Result<Reservation, Refused> {
        let shared = &self.0;
        loop {
            let charges = shared.charges(payer, tokens).await?;
            let now = shared.clock.monotonic();
            let held = shared.hand().hold(&charges, tokens, now);
            let charge = match held {
                Ok(leases) => {
                    return Ok(Reservation::new(shared.clone(), charges, leases, tokens));
                }
                Err(charge) => charge,
            };
            shared.refill(charge, tokens).await?;
        }
    }

    /// Posts what was spent, gives back the leases that nobody uses, and expires those that any host
    /// has lost. To be called every second.
    pub(crate) async fn tick(&self) -> sqlx::Result<()> {
        self.0.post().await?;
        ledger::expire_lost(&self.0.pool, self.0.clock.wall()).await
    }

    /// Settles everything, once calls have ended. One that has not counts for all that it holds of
    /// hard budgets, and for nothing of soft ones. Nothing may be reserved after it.
    pub(crate) async fn close(&self) -> sqlx::Result<()> {
        self.0.hand().retire_all();
        self.0.post().await?;
        // What a soft budget was used for since a count began that failed is in the next one.
        self.0.post().await
    }

    /// Forgets which budgets there are of a tenant, since they were changed through this host.
    pub(crate) async fn changed(&self, tenant: &str) {
        self.0.known.forget(tenant).await;
    }

    /// What is in hand of the budgets of each level: `tenant`, `key` and `session`.
    pub(crate) fn snapshot(&self) -> BTreeMap<&'static str, InHand> {
        self.0.hand().snapshot()
    }
}

impl Shared {
    /// What a call needs tokens of. One that needs none, needs none of anything.
    async fn charges(&self, payer: &Payer<'_>, tokens: u64) -> Result<Arc<Charges>, Refused> {
        let found = self.known.budgets(&self.pool, payer).await?;
        if tokens == 0 {
            return Ok(Arc::default());
        }
        Ok(found.charges(self.clock.wall()))
    }

    fn hand(&self) -> MutexGuard<'_, Hand> {
        self.hand.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
