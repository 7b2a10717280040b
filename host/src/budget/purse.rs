//! What this host has in hand of one window of a budget.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::charges::Charge;
use super::denial::Denial;
use crate::db::ledger::{Lease, Window};

/// How long a lease is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(2);

/// The leases and the counts of one window.
pub(super) struct Purse {
    pub(super) window: Window,
    pub(super) level: &'static str,
    pub(super) ends_at: Option<Timestamp>,
    pub(super) lease: Option<Held>,
    /// Leases of when the budget was larger: calls that hold some of them end, and no more begin.
    aside: Vec<Held>,
    /// The budget's tokens, as far as is known here.
    pub(super) limit: u64,
    pub(super) soft: Soft,
    /// Whoever asks the database for more waits here.
    pub(super) turn: Arc<Mutex<Denial>>,
}

/// A lease has too few tokens for a call, or there is none.
pub(super) struct Lacking;

/// A lease that calls hold tokens of.
pub(super) struct Held {
    pub(super) id: Uuid,
    pub(super) tokens: u64,
    /// What the database knows to be spent.
    pub(super) posted: u64,
    pub(super) tally: Tally,
    /// From then on no call may hold any of it: the call, and its settling, might end after the lease.
    pub(super) usable_until: Duration,
    pub(super) used_at: Duration,
}

/// The use of a soft budget.
#[derive(Default)]
pub(super) struct Soft {
    pub(super) tally: Tally,
    /// Used, and being counted, by the movement's id: the same again until the database says that it
    /// has been.
    pub(super) batch: Option<(Uuid, u64)>,
}

/// Calls, and their tokens.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) calls: u64,
    pub(super) held: u64,
    pub(super) used: u64,
}

impl Tally {
    pub(super) fn hold(&mut self, tokens: u64) {
        self.calls += 1;
        self.held = self.held.saturating_add(tokens);
    }

    pub(super) fn end(&mut self, tokens: u64, used: u64) {
        self.calls = self.calls.saturating_sub(1);
        self.held = self.held.saturating_sub(tokens);
        self.used = self.used.saturating_add(used);
    }
}

impl Held {
    /// One that the database does not know yet. It is in hand before it is asked for, so that it is
    /// given back even where whoever asked is gone when the answer comes.
    pub(super) fn new(now: Duration) -> Self {
        Self {
            id: Uuid::now_v7(),
            tokens: 0,
            posted: 0,
            tally: Tally::default(),
            usable_until: now,
            used_at: now,
        }
    }

    pub(super) fn free(&self) -> u64 {
        self.tokens - self.tally.used - self.tally.held
    }

    fn usable(&self, now: Duration) -> u64 {
        if now < self.usable_until {
            self.free()
        } else {
            0
        }
    }

    pub(super) fn lease(&self, window: &Window) -> Lease {
        Lease {
            id: self.id,
            window: window.clone(),
        }
    }

    fn is_idle(&self, now: Duration) -> bool {
        now.saturating_sub(self.used_at) >= IDLE
    }
}

impl Soft {
    /// What is to be counted now.
    pub(super) fn due(&mut self) -> Option<(Uuid, u64)> {
        if self.batch.is_none() && self.tally.used > 0 {
            let used = std::mem::take(&mut self.tally.used);
            self.batch = Some((Uuid::now_v7(), used));
        }
        self.batch
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tally.calls == 0 && self.tally.used == 0 && self.batch.is_none()
    }
}

impl Purse {
    pub(super) fn new(charge: &Charge) -> Self {
        Self {
            window: charge.window.clone(),
            level: charge.budget.place.level.as_str(),
            ends_at: charge.ends_at,
            lease: None,
            aside: Vec::new(),
            limit: charge.budget.tokens,
            soft: Soft::default(),
            turn: Arc::default(),
        }
    }

    pub(super) fn usable(&self, now: Duration) -> u64 {
        self.lease.as_ref().map_or(0, |lease| lease.usable(now))
    }

    /// The budget has so many tokens. Where it had more, what is left of the lease is given back: it may
    /// be more than there is now.
    pub(super) fn bind(&mut self, limit: u64) {
        if limit < self.limit {
            self.limit = limit;
            self.aside.extend(self.lease.take());
        }
    }

    /// Holds so many tokens; gives the lease that they are of, where the budget is hard.
    pub(super) fn hold(
        &mut self,
        is_hard: bool,
        tokens: u64,
        now: Duration,
    ) -> Result<Option<Uuid>, Lacking> {
        if !is_hard {
            self.soft.tally.hold(tokens);
            return Ok(None);
        }
        let held = self.lease.as_mut();
        let held = held
            .filter(|held| held.usable(now) >= tokens)
            .ok_or(Lacking)?;
        held.used_at = now;
        held.tally.hold(tokens);
        Ok(Some(held.id))
    }

    /// A call has ended that held so many tokens, of this lease where there is one.
    pub(super) fn end(&mut self, lease: Option<Uuid>, tokens: u64, used: u64, now: Duration) {
        let Some(id) = lease else {
            return self.soft.tally.end(tokens, used);
        };
        if let Some(held) = self.held(id) {
            held.used_at = now;
            held.tally.end(tokens, used);
        }
    }

    pub(super) fn held(&mut self, id: Uuid) -> Option<&mut Held> {
        let mut all = self.lease.iter_mut().chain(&mut self.aside);
        all.find(|held| held.id == id)
    }

    /// All leases that calls hold tokens of, or can.
    pub(super) fn leases(&self) -> impl Iterator<Item = &Held> {
        self.lease.iter().chain(&self.aside)
    }

    /// Takes those leases out that are to be given back.
    pub(super) fn retire(&mut self, now: Duration, wall: Timestamp) -> Vec<Held> {
        let is_over = self.ends_at.is_some_and(|end| end <= wall);
        let is_due = |held: &mut Held| held.tally.calls == 0 && (is_over || held.is_idle(now));
        let retired = self.lease.take_if(is_due).into_iter();
        let aside = self.aside.extract_if(.., |held| held.tally.calls == 0);
        retired.chain(aside).collect()
    }

    /// Takes all of them out.
    pub(super) fn retire_all(&mut self) -> impl Iterator<Item = Held> {
        self.lease.take().into_iter().chain(self.aside.drain(..))
    }

    /// Forgets a lease.
    pub(super) fn lose(&mut self, id: Uuid) {
        self.lease.take_if(|held| held.id == id);
        self.aside.retain(|held| held.id != id);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.leases().next().is_none() && self.soft.is_empty()
    }
}
