//! What the host counts about tokens, and about the ledger that they are written down in.

use prometheus::{IntCounter, IntGauge, Registry};

use super::kept;
use super::refusals::Refusals;

/// Budgets and their ledger.
pub(crate) struct SpendingMetrics {
    pub(crate) refusals: Refusals,
    failures: IntCounter,
    last_success: IntGauge,
}

impl SpendingMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            refusals: Refusals::new(
                registry,
                "soma_budget_refusals_total",
                "Calls that were refused since a budget had not enough left, by its level.",
                &["tenant", "key", "session"],
            )?,
            failures: kept(
                registry,
                IntCounter::new(
                    "soma_budget_ledger_failures_total",
                    "Times that what was spent could not be written down.",
                )?,
            )?,
            last_success: kept(
                registry,
                IntGauge::new(
                    "soma_budget_ledger_last_success_timestamp_seconds",
                    "When what was spent was last written down.",
                )?,
            )?,
        })
    }

    /// Counts one round of writing down.
    pub(crate) fn settled(&self, is_done: bool) {
        if is_done {
            let now = jiff::Timestamp::now().as_second();
            self.last_success.set(now);
        } else {
            self.failures.inc();
        }
    }
}
