//! What is counted, in Prometheus' text.

use prometheus::{IntCounter, IntCounterVec, Opts, Registry, TextEncoder};

/// The counters.
pub(crate) struct Metrics {
    registry: Registry,
    /// Versions published.
    pub(crate) published: IntCounter,
    /// Capsule files fetched.
    pub(crate) downloads: IntCounter,
    /// Answers, by status class.
    pub(crate) responses: IntCounterVec,
}

impl Metrics {
    pub(crate) fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let counter = |name, help| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let published = counter("soma_marketplace_published_total", "Versions published")?;
        let downloads = counter("soma_marketplace_downloads_total", "Capsule files fetched")?;
        let responses = IntCounterVec::new(
            Opts::new("soma_marketplace_responses_total", "Answers, by status"),
            &["status"],
        )?;
        registry.register(Box::new(responses.clone()))?;
        Ok(Self {
            registry,
            published,
            downloads,
            responses,
        })
    }

    pub(crate) fn text(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}
