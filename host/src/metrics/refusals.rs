//! What the host counts about calls that a bound refused.

use prometheus::{IntCounterVec, Opts, Registry};

use super::kept;

/// By whose bound it was: its level.
pub(crate) struct Refusals(IntCounterVec);

impl Refusals {
    /// Of these levels, each there from the beginning.
    pub(super) fn new(
        registry: &Registry,
        name: &str,
        help: &str,
        levels: &[&str],
    ) -> prometheus::Result<Self> {
        let refusals = IntCounterVec::new(Opts::new(name, help), &["level"])?;
        let refusals = kept(registry, refusals)?;
        for level in levels {
            refusals.with_label_values(&[level]);
        }
        Ok(Self(refusals))
    }

    /// Counts a call that was refused.
    pub(crate) fn refused(&self, level: &str) {
        self.0.with_label_values(&[level]).inc();
    }
}
