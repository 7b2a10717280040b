//! What the host counts about the logs it follows.

use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

/// By the log's origin.
pub(crate) struct LogMetrics {
    looks: IntCounterVec,
    size: IntGaugeVec,
    silence: IntGaugeVec,
    distrusted: IntGaugeVec,
}

impl LogMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str| IntGaugeVec::new(Opts::new(name, help), &["log"]);
        let metrics = Self {
            looks: IntCounterVec::new(
                Opts::new(
                    "soma_log_looks_total",
                    "Looks at a marketplace's log, by how they ended.",
                ),
                &["log", "outcome"],
            )?,
            size: gauge("soma_log_size", "Leaves of a log taken in.")?,
            silence: gauge(
                "soma_log_silence_seconds",
                "Seconds since a log is last known to have had nothing newer.",
            )?,
            distrusted: gauge(
                "soma_log_distrusted",
                "1 where a log contradicted itself and is not believed any more.",
            )?,
        };
        registry.register(Box::new(metrics.looks.clone()))?;
        for gauges in [&metrics.size, &metrics.silence, &metrics.distrusted] {
            registry.register(Box::new(gauges.clone()))?;
        }
        Ok(metrics)
    }

    /// Counts one look at a log.
    pub(crate) fn looked(&self, origin: &str, outcome: &str) {
        self.looks.with_label_values(&[origin, outcome]).inc();
    }

    /// How a log stands.
    pub(crate) fn stands(&self, origin: &str, size: u64, silence: u64, distrusted: bool) {
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        self.size.with_label_values(&[origin]).set(number(size));
        let silence = number(silence);
        self.silence.with_label_values(&[origin]).set(silence);
        let distrusted = i64::from(distrusted);
        self.distrusted.with_label_values(&[origin]).set(distrusted);
    }

    /// Drops the series of a log that is not followed any more.
    pub(crate) fn forget(&self, origin: &str) {
        for gauges in [&self.size, &self.silence, &self.distrusted] {
            // One that was never set is gone as well.
            drop(gauges.remove_label_values(&[origin]));
        }
    }
}
