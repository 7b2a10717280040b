//! Tokens that a call holds while it runs.

use std::sync::Arc;

use uuid::Uuid;

use super::Shared;
use super::charges::Charges;
#[cfg(test)]
use crate::db::ledger::Window;

/// So many tokens at every level. Dropped without being settled, it releases them all.
pub(crate) struct Reservation {
    shared: Arc<Shared>,
    charges: Arc<Charges>,
    /// One for each charge; none where the budget is soft.
    leases: Vec<Option<Uuid>>,
    tokens: u64,
}

impl Reservation {
    pub(super) fn new(
        shared: Arc<Shared>,
        charges: Arc<Charges>,
        leases: Vec<Option<Uuid>>,
        tokens: u64,
    ) -> Self {
        Self {
            shared,
            charges,
            leases,
            tokens,
        }
    }

    pub(crate) fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Whether it is held of any hard budget.
    pub(crate) fn is_bound(&self) -> bool {
        self.leases.iter().any(Option::is_some)
    }

    /// The call has ended, and used so many, of those that it holds at most.
    pub(crate) fn settle(mut self, used: u64) {
        self.end(used);
    }

    fn end(&mut self, used: u64) {
        let leases = std::mem::take(&mut self.leases);
        if leases.is_empty() {
            return;
        }
        let used = used.min(self.tokens);
        let now = self.shared.clock.monotonic();
        let mut hand = self.shared.hand();
        hand.end(&self.charges, &leases, self.tokens, used, now);
    }

    /// The windows that it holds tokens of, and whether by a lease.
    #[cfg(test)]
    pub(super) fn parts(&self) -> impl Iterator<Item = (&Window, Option<Uuid>)> {
        let windows = self.charges.iter().map(|charge| &charge.window);
        windows.zip(self.leases.iter().copied())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.end(0);
    }
}
