//! What the host counts, in Prometheus' text form.

mod logs;

use std::collections::HashMap;

use prometheus::core::Collector;
use prometheus::{
    Encoder as _, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    Opts, Registry, TextEncoder,
};
use soma_capability::{CapsuleName, Tool};
use soma_runtime::Usage;

pub(crate) use self::logs::LogMetrics;

/// The outcome of a call that gave an answer; the others are problem codes.
pub(crate) const OK: &str = "ok";

/// Every metric of one host.
pub(crate) struct Metrics {
    registry: Registry,
    calls: IntCounterVec,
    duration: HistogramVec,
    fuel: HistogramVec,
    memory: HistogramVec,
    masked: IntCounterVec,
    http: IntCounterVec,
    instances: IntGauge,
    cache_hits: IntGauge,
    cache_misses: IntGauge,
    /// The logs that are followed.
    pub(crate) logs: LogMetrics,
    /// Calls that wait for a slot.
    pub(crate) waiting: IntGauge,
    /// Calls that hold a slot.
    pub(crate) running: IntGauge,
}

/// One tool's metrics, looked up once: the hot path touches nothing but atomics.
pub(crate) struct ToolMetrics {
    calls: IntCounterVec,
    capsule: String,
    tool: String,
    ok: IntCounter,
    duration: Histogram,
    fuel: Histogram,
    memory: Histogram,
    masked: IntCounter,
}

impl Metrics {
    pub(crate) fn new() -> prometheus::Result<Self> {
        let labels = ["capsule", "tool"];
        let histogram = |name: &str, help: &str, buckets: Vec<f64>| {
            HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets), &labels)
        };
        let gauge = |name: &str, help: &str| IntGauge::new(name, help);
        let registry = Registry::new();
        let metrics = Self {
            logs: LogMetrics::new(&registry)?,
            registry,
            calls: IntCounterVec::new(
                Opts::new(
                    "soma_calls_total",
                    "Calls of installed tools, by how they ended.",
                ),
                &["capsule", "tool", "outcome"],
            )?,
            duration: histogram(
                "soma_call_duration_seconds",
                "Wall-clock seconds of calls that ran.",
                prometheus::exponential_buckets(0.000_1, 4.0, 10)?,
            )?,
            fuel: histogram(
                "soma_call_fuel",
                "Fuel of calls that ran: about one unit an instruction.",
                prometheus::exponential_buckets(10_000.0, 10.0, 8)?,
            )?,
            memory: histogram(
                "soma_call_memory_bytes",
                "Peak bytes of linear memory of calls that ran.",
                prometheus::exponential_buckets(65_536.0, 4.0, 8)?,
            )?,
            masked: IntCounterVec::new(
                Opts::new(
                    "soma_masked_total",
                    "Credentials that came back to a capsule or were in what it said, and were masked.",
                ),
                &labels,
            )?,
            http: IntCounterVec::new(
                Opts::new("soma_http_responses_total", "HTTP responses, by status."),
                &["status"],
            )?,
            instances: gauge("soma_instances_in_use", "Guest instances alive.")?,
            cache_hits: gauge(
                "soma_code_cache_hits",
                "Capsules loaded from the code cache since the start.",
            )?,
            cache_misses: gauge(
                "soma_code_cache_misses",
                "Capsules compiled because the code cache had nothing, since the start.",
            )?,
            waiting: gauge(
                "soma_calls_waiting",
                "Calls that wait for a slot to run in.",
            )?,
            running: gauge("soma_calls_running", "Calls that hold a slot.")?,
        };
        metrics.register()?;
        Ok(metrics)
    }

    fn register(&self) -> prometheus::Result<()> {
        for counters in [&self.calls, &self.masked, &self.http] {
            self.registry.register(Box::new(counters.clone()))?;
        }
        for histograms in [&self.duration, &self.fuel, &self.memory] {
            self.registry.register(Box::new(histograms.clone()))?;
        }
        for gauge in [
            &self.instances,
            &self.cache_hits,
            &self.cache_misses,
            &self.waiting,
            &self.running,
        ] {
            self.registry.register(Box::new(gauge.clone()))?;
        }
        Ok(())
    }

    /// The metrics of one tool.
    pub(crate) fn of_tool(&self, capsule: &CapsuleName, tool: &Tool) -> ToolMetrics {
        let capsule = capsule.to_string();
        let labels = [capsule.as_str(), tool.name.as_str()];
        ToolMetrics {
            ok: self.calls.with_label_values(&[labels[0], labels[1], OK]),
            duration: self.duration.with_label_values(&labels),
            fuel: self.fuel.with_label_values(&labels),
            memory: self.memory.with_label_values(&labels),
            masked: self.masked.with_label_values(&labels),
            calls: self.calls.clone(),
            tool: tool.name.clone(),
            capsule,
        }
    }

    /// Drops every series of a capsule.
    pub(crate) fn forget(&self, capsule: &CapsuleName) {
        let capsule = capsule.to_string();
        for counters in [&self.calls, &self.masked] {
            for labels in series_of(counters, &capsule) {
                // Removed by somebody else in between is removed as well.
                drop(counters.remove(&borrowed(&labels)));
            }
        }
        for histogram in [&self.duration, &self.fuel, &self.memory] {
            for labels in series_of(histogram, &capsule) {
                drop(histogram.remove(&borrowed(&labels)));
            }
        }
    }

    /// Counts one HTTP response.
    pub(crate) fn response(&self, status: http::StatusCode) {
        self.http.with_label_values(&[status.as_str()]).inc();
    }

    /// Everything in Prometheus' text form, with the runtime's numbers of this moment.
    pub(crate) fn render(
        &self,
        instances: u64,
        (hits, misses): (u64, u64),
    ) -> prometheus::Result<Vec<u8>> {
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        self.instances.set(number(instances));
        self.cache_hits.set(number(hits));
        self.cache_misses.set(number(misses));
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

/// The labels of every series that is about this capsule.
fn series_of(metrics: &impl Collector, capsule: &str) -> Vec<HashMap<String, String>> {
    let families = metrics.collect();
    let series = families
        .iter()
        .flat_map(prometheus::proto::MetricFamily::get_metric);
    let labels = series.map(|metric| {
        let pairs = metric.get_label().iter();
        pairs
            .map(|pair| (pair.name().to_owned(), pair.value().to_owned()))
            .collect::<HashMap<_, _>>()
    });
    labels
        .filter(|labels| labels.get("capsule").is_some_and(|name| name == capsule))
        .collect()
}

fn borrowed(labels: &HashMap<String, String>) -> HashMap<&str, &str> {
    let labels = labels.iter();
    labels
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

impl ToolMetrics {
    /// Counts a call that did not run.
    pub(crate) fn refused(&self, outcome: &str) {
        self.calls
            .with_label_values(&[self.capsule.as_str(), self.tool.as_str(), outcome])
            .inc();
    }

    /// Counts a call that ran.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a histogram's buckets are far coarser than an f64"
    )]
    pub(crate) fn ran(&self, outcome: &str, usage: &Usage) {
        if outcome == OK {
            self.ok.inc();
        } else {
            self.refused(outcome);
        }
        self.duration.observe(usage.time_us as f64 / 1e6);
        // What it called has metrics of its own.
        self.fuel.observe((usage.fuel - usage.tool_fuel) as f64);
        self.memory.observe(usage.memory_bytes as f64);
        self.masked.inc_by(usage.masked);
    }
}
