//! Tokens that a call holds while it runs.

use std::sync::Arc;

use super::Shared;
use super::hand::Part;

/// So many tokens at every level. Dropped without being settled, it releases them all.
pub(crate) struct Reservation {
    shared: Arc<Shared>,
    parts: Vec<Part>,
    tokens: u64,
}

impl Reservation {
    pub(super) fn new(shared: Arc<Shared>, parts: Vec<Part>, tokens: u64) -> Self {
        Self {
            shared,
            parts,
            tokens,
        }
    }

    pub(crate) fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Whether it is held of any hard budget.
    pub(crate) fn is_bound(&self) -> bool {
        self.parts.iter().any(|part| part.lease.is_some())
    }

    /// The call has ended, and used so many, of those that it holds at most.
    pub(crate) fn settle(mut self, used: u64) {
        self.end(used);
    }

    fn end(&mut self, used: u64) {
        let now = self.shared.clock.monotonic();
        let mut hand = self.shared.hand();
        for part in std::mem::take(&mut self.parts) {
            hand.end(&part, self.tokens, used.min(self.tokens), now);
        }
    }

    /// The windows that it holds tokens of, and whether by a lease.
    #[cfg(test)]
    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.end(0);
    }
}
