//! What one call sends and receives. Shared with the exchanges under way, which run beside the guest.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::balance::Rate;
use crate::imports::http::SendError;

/// Requests, and bytes of their bodies.
#[derive(Debug)]
pub(crate) struct Traffic {
    requests: AtomicU64,
    answered: AtomicU64,
    denied: AtomicU64,
    failed: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    of_sent: Rate,
    of_received: Rate,
    /// What all of it may cost, as of the guest's last call of the host.
    most: AtomicU64,
}

/// Which way a body goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Direction {
    Out,
    In,
}

impl Traffic {
    pub(crate) fn new((of_received, of_sent): (Rate, Rate)) -> Self {
        Self {
            requests: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            denied: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            of_sent,
            of_received,
            most: AtomicU64::new(u64::MAX),
        }
    }

    pub(crate) fn request(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    /// Counts what became of a request, sent or not.
    pub(crate) fn ended<T>(&self, outcome: &Result<T, SendError>) {
        let counter = match outcome {
            Ok(_) => &self.answered,
            Err(SendError::Denied(_)) => &self.denied,
            Err(_) => &self.failed,
        };
        counter.fetch_add(1, Relaxed);
    }

    /// Counts bytes. False where the call cannot pay for them: it ends when it looks.
    pub(crate) fn count(&self, direction: Direction, bytes: usize) -> bool {
        let counter = match direction {
            Direction::Out => &self.sent,
            Direction::In => &self.received,
        };
        counter.fetch_add(bytes as u64, Relaxed);
        self.cost() <= self.most.load(Relaxed)
    }

    /// From now on all of it may cost so much.
    pub(crate) fn allow(&self, most: u64) {
        self.most.store(most, Relaxed);
    }

    /// What all of it costs.
    pub(crate) fn cost(&self) -> u64 {
        let sent = self.of_sent.cost(self.sent());
        sent.saturating_add(self.of_received.cost(self.received()))
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// Requests that had an answer, that were denied, and that failed otherwise.
    pub(crate) fn outcomes(&self) -> [u64; 3] {
        [&self.answered, &self.denied, &self.failed].map(|counter| counter.load(Relaxed))
    }

    /// Bytes to the network.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    /// Bytes from the network.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Relaxed)
    }
}

#[cfg(test)]
impl Default for Traffic {
    /// Which costs nothing.
    fn default() -> Self {
        Self::new((Rate::default(), Rate::default()))
    }
}
