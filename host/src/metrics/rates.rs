//! What the host counts about calls that came too often.

use prometheus::{IntCounterVec, Opts, Registry};

use super::moment::kept;

/// Bounds on how often there may be calls.
pub(crate) struct RateMetrics {
    refusals: IntCounterVec,
}

impl RateMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let refusals = kept(
            registry,
            IntCounterVec::new(
                Opts::new(
                    "soma_rate_limited_total",
                    "Calls that were refused since there were too many, by whose bound it was.",
                ),
                &["level"],
            )?,
        )?;
        for level in ["key", "capsule"] {
            refusals.with_label_values(&[level]);
        }
        Ok(Self { refusals })
    }

    /// Counts a call that was one too many.
    pub(crate) fn refused(&self, level: &str) {
        self.refusals.with_label_values(&[level]).inc();
    }
}
