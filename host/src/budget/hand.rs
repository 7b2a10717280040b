//! What this host has in hand: its leases, what its calls hold and have used of them, and what they
//! have used of soft budgets.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use jiff::Timestamp;
use rustc_hash::FxHashMap;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::charges::Charge;
use super::denial::Denial;
use super::purse::{Held, Lacking, Purse};
use crate::db::ledger::{Lease, Window};

/// Everything in hand.
#[derive(Default)]
pub(super) struct Hand {
    /// By their numbers: each call looks for a dozen, twice.
    purses: FxHashMap<u64, Purse>,
    /// The number of each, which none that was let go had.
    numbers: FxHashMap<Window, u64>,
    newest: u64,
    /// Leases that no call can hold any more, until the database knows what was spent of them.
    closing: HashMap<Uuid, (Lease, u64)>,
}

/// What is to be told to the database.
pub(super) enum Due {
    /// So much has been spent of a lease that is in use.
    Post(Lease, u64),
    /// A lease has ended, with so much spent.
    Settle(Lease, u64),
    /// So much has been used of a soft budget: a movement with this id.
    Count(Window, Uuid, u64),
}

/// What is in hand of the budgets of one level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct InHand {
    /// Held by calls; a call holds one of each budget.
    pub(crate) reservations: u64,
    /// Leased, and not used by calls that have ended.
    pub(crate) leased: u64,
}

impl Hand {
    /// Holds so many tokens of each window, and gives the leases that they are of, none for a soft
    /// budget; or holds nothing, and gives the charge of the first window that lacks them.
    pub(super) fn hold<'a>(
        &mut self,
        charges: &'a [Charge],
        tokens: u64,
        now: Duration,
    ) -> Result<Vec<Option<Uuid>>, &'a Charge> {
        let mut leases = Vec::with_capacity(charges.len());
        for charge in charges {
            let is_hard = charge.budget.is_hard;
            let purse = self.purse(charge);
            purse.bind(charge.budget.tokens);
            match purse.hold(is_hard, tokens, now) {
                Ok(lease) => leases.push(lease),
                Err(Lacking) => {
                    self.end(charges, &leases, tokens, 0, now);
                    return Err(charge);
                }
            }
        }
        Ok(leases)
    }

    fn purse(&mut self, charge: &Charge) -> &mut Purse {
        let known = charge.purse.load(Relaxed);
        let number = if self.purses.contains_key(&known) {
            known
        } else {
            let number = self.number(&charge.window);
            charge.purse.store(number, Relaxed);
            number
        };
        let purse = self.purses.entry(number);
        purse.or_insert_with(|| Purse::new(charge))
    }

    fn number(&mut self, window: &Window) -> u64 {
        if let Some(number) = self.numbers.get(window) {
            return *number;
        }
        self.newest += 1;
        self.numbers.insert(window.clone(), self.newest);
        self.newest
    }

    fn of_window(&mut self, window: &Window) -> Option<&mut Purse> {
        let number = self.numbers.get(window)?;
        self.purses.get_mut(number)
    }

    /// A call has ended that held so many tokens of the first of these, as many as there are leases, and
    /// has used so many. Where a lease is not in hand any more, all of it has been posted.
    pub(super) fn end(
        &mut self,
        charges: &[Charge],
        leases: &[Option<Uuid>],
        tokens: u64,
        used: u64,
        now: Duration,
    ) {
        for (charge, lease) in charges.iter().zip(leases) {
            // Another call may have found a purse of the same window since this one did.
            let number = charge.purse.load(Relaxed);
            if let Some(purse) = self.purses.get_mut(&number) {
                purse.end(*lease, tokens, used, now);
            }
        }
    }

    pub(super) fn turn(&mut self, charge: &Charge) -> Arc<Mutex<Denial>> {
        self.purse(charge).turn.clone()
    }

    /// The lease to ask for, and how much more it has to have at least; none where so many tokens are
    /// in hand.
    pub(super) fn lack(
        &mut self,
        charge: &Charge,
        tokens: u64,
        now: Duration,
    ) -> Option<(Lease, u64)> {
        let purse = self.purse(charge);
        if purse.usable(now) >= tokens {
            return None;
        }
        let held = purse.lease.get_or_insert_with(|| Held::new(now));
        held.used_at = now;
        let needed = tokens.saturating_sub(held.free());
        Some((held.lease(&charge.window), needed))
    }

    /// The lease has so many tokens more, of a budget of so many, and calls may hold them until then.
    pub(super) fn granted(
        &mut self,
        lease: Lease,
        tokens: u64,
        limit: u64,
        usable_until: Duration,
    ) {
        if let Some(purse) = self.of_window(&lease.window)
            && let Some(held) = purse.held(lease.id)
        {
            held.tokens += tokens;
            held.usable_until = held.usable_until.max(usable_until);
            purse.limit = limit;
            return;
        }
        // It was given back while it was asked for, and perhaps before the database knew of it.
        self.closing.entry(lease.id).or_insert((lease, 0));
    }

    /// The lease is not this host's any more: all of it counts as spent, calls that hold some too.
    pub(super) fn lose(&mut self, lease: &Lease) {
        if let Some(purse) = self.of_window(&lease.window) {
            purse.lose(lease.id);
        }
    }

    /// What is to be told to the database now. Leases that are to be given back cannot be held from
    /// here on.
    pub(super) fn due(&mut self, now: Duration, wall: Timestamp) -> Vec<Due> {
        let mut due = Vec::new();
        for purse in self.purses.values_mut() {
            for held in purse.retire(now, wall) {
                let lease = held.lease(&purse.window);
                self.closing.insert(held.id, (lease, held.tally.used));
            }
            let unposted = purse.leases().filter(|it| it.tally.used > it.posted);
            due.extend(unposted.map(|it| Due::Post(it.lease(&purse.window), it.tally.used)));
            if let Some((movement, used)) = purse.soft.due() {
                due.push(Due::Count(purse.window.clone(), movement, used));
            }
        }
        self.purses.retain(|_, purse| !purse.is_empty());
        let purses = &self.purses;
        self.numbers.retain(|_, number| purses.contains_key(number));
        let closing = self.closing.values().cloned();
        due.extend(closing.map(|(lease, spent)| Due::Settle(lease, spent)));
        due
    }

    /// Gives all leases back. What calls still hold counts as spent: they may spend it.
    pub(super) fn retire_all(&mut self) {
        for purse in self.purses.values_mut() {
            let window = purse.window.clone();
            for held in purse.retire_all() {
                let spent = held.tally.used + held.tally.held;
                self.closing.insert(held.id, (held.lease(&window), spent));
            }
        }
    }

    /// So much of the lease is posted, and calls may hold the rest until then.
    pub(super) fn posted(&mut self, lease: &Lease, spent: u64, usable_until: Duration) {
        let purse = self.of_window(&lease.window);
        if let Some(held) = purse.and_then(|purse| purse.held(lease.id)) {
            held.posted = spent;
            held.usable_until = held.usable_until.max(usable_until);
        }
    }

    pub(super) fn settled(&mut self, lease: &Lease) {
        self.closing.remove(&lease.id);
    }

    pub(super) fn counted(&mut self, window: &Window) {
        if let Some(purse) = self.of_window(window) {
            purse.soft.batch = None;
        }
    }

    /// By level.
    pub(super) fn snapshot(&self) -> BTreeMap<&'static str, InHand> {
        let mut levels: BTreeMap<&'static str, InHand> = BTreeMap::new();
        for purse in self.purses.values() {
            let level = levels.entry(purse.level).or_default();
            level.reservations += purse.soft.tally.calls;
            for held in purse.leases() {
                level.reservations += held.tally.calls;
                level.leased += held.tokens - held.tally.used;
            }
        }
        levels
    }
}
