//! What the host counts, in Prometheus' text form.

mod logs;
mod moment;
mod refusals;
mod spending;

use std::collections::HashMap;

use prometheus::core::Collector;
use prometheus::{
    Encoder as _, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    Opts, Registry, TextEncoder,
};
use soma_capability::{CapsuleName, Tool};
use soma_runtime::Usage;

pub(crate) use self::logs::LogMetrics;
use self::moment::Moment;
use self::refusals::Refusals;
pub(crate) use self::spending::SpendingMetrics;
use crate::app::App;

/// The outcome of a call that gave an answer; the others are problem codes.
pub(crate) const OK: &str = "ok";

/// Every metric of one host.
pub(crate) struct Metrics {
    registry: Registry,
    tools: Tools,
    http: IntCounterVec,
    database_failures: IntCounter,
    moment: Moment,
    /// The logs that are followed.
    pub(crate) logs: LogMetrics,
    /// Budgets and their ledger.
    pub(crate) spending: SpendingMetrics,
    /// Calls that came too often.
    pub(crate) rates: Refusals,
    /// How long lines of the audit log take to the disk.
    pub(crate) audit: Histogram,
    /// Calls that wait for a slot.
    pub(crate) waiting: IntGauge,
    /// Calls that hold a slot.
    pub(crate) running: IntGauge,
}

/// What is counted of each tool, and of what each capsule sends.
struct Tools {
    calls: IntCounterVec,
    duration: HistogramVec,
    fuel: HistogramVec,
    memory: HistogramVec,
    call_tokens: HistogramVec,
    tokens: IntCounterVec,
    masked: IntCounterVec,
    requests: IntCounterVec,
    bytes: IntCounterVec,
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
    call_tokens: Histogram,
    tokens: IntCounter,
    masked: IntCounter,
    /// Answered, denied, failed.
    requests: [IntCounter; 3],
    sent: IntCounter,
    received: IntCounter,
}

impl Metrics {
    pub(crate) fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let gauge = |name, help| kept(&registry, IntGauge::new(name, help)?);
        Ok(Self {
            tools: Tools::new(&registry)?,
            http: kept(
                &registry,
                IntCounterVec::new(
                    Opts::new("soma_http_responses_total", "HTTP responses, by status."),
                    &["status"],
                )?,
            )?,
            database_failures: kept(
                &registry,
                IntCounter::new(
                    "soma_database_failures_total",
                    "Requests that failed since the database did.",
                )?,
            )?,
            moment: Moment::new(&registry)?,
            logs: LogMetrics::new(&registry)?,
            spending: SpendingMetrics::new(&registry)?,
            rates: Refusals::new(
                &registry,
                "soma_rate_limited_total",
                "Calls that were refused since there were too many, by whose bound it was.",
                &["key", "capsule"],
            )?,
            audit: kept(
                &registry,
                Histogram::with_opts(
                    HistogramOpts::new(
                        "soma_audit_write_seconds",
                        "Seconds until lines of the audit log were on disk, all that were written together.",
                    )
                    .buckets(prometheus::exponential_buckets(0.000_1, 4.0, 9)?),
                )?,
            )?,
            waiting: gauge(
                "soma_calls_waiting",
                "Calls that wait for a slot to run in.",
            )?,
            running: gauge("soma_calls_running", "Calls that hold a slot.")?,
            registry,
        })
    }

    /// The metrics of one tool.
    pub(crate) fn of_tool(&self, capsule: &CapsuleName, tool: &Tool) -> ToolMetrics {
        let tools = &self.tools;
        let capsule = capsule.to_string();
        let labels = [capsule.as_str(), tool.name.as_str()];
        let requests = |outcome| {
            tools
                .requests
                .with_label_values(&[capsule.as_str(), outcome])
        };
        let bytes = |direction| {
            tools
                .bytes
                .with_label_values(&[capsule.as_str(), direction])
        };
        ToolMetrics {
            ok: tools.calls.with_label_values(&[labels[0], labels[1], OK]),
            duration: tools.duration.with_label_values(&labels),
            fuel: tools.fuel.with_label_values(&labels),
            memory: tools.memory.with_label_values(&labels),
            call_tokens: tools.call_tokens.with_label_values(&labels),
            tokens: tools.tokens.with_label_values(&labels),
            masked: tools.masked.with_label_values(&labels),
            requests: ["answered", "denied", "failed"].map(requests),
            sent: bytes("sent"),
            received: bytes("received"),
            calls: tools.calls.clone(),
            tool: tool.name.clone(),
            capsule,
        }
    }

    /// Drops every series of a capsule.
    pub(crate) fn forget(&self, capsule: &CapsuleName) {
        let (capsule, tools) = (capsule.to_string(), &self.tools);
        for counters in [
            &tools.calls,
            &tools.tokens,
            &tools.masked,
            &tools.requests,
            &tools.bytes,
        ] {
            for labels in series_of(counters, &capsule) {
                // Removed by somebody else in between is removed as well.
                drop(counters.remove(&borrowed(&labels)));
            }
        }
        for histogram in [
            &tools.duration,
            &tools.fuel,
            &tools.memory,
            &tools.call_tokens,
        ] {
            for labels in series_of(histogram, &capsule) {
                drop(histogram.remove(&borrowed(&labels)));
            }
        }
    }

    /// Counts one HTTP response.
    pub(crate) fn response(&self, status: http::StatusCode) {
        self.http.with_label_values(&[status.as_str()]).inc();
    }

    /// Counts a request that failed since the database did.
    pub(crate) fn database_failed(&self) {
        self.database_failures.inc();
    }

    /// Everything in Prometheus' text form, with what is read at this moment.
    pub(crate) async fn render(&self, app: &App) -> prometheus::Result<Vec<u8>> {
        self.moment.read(app).await;
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

impl Tools {
    fn new(registry: &Registry) -> prometheus::Result<Self> {
        let labels = ["capsule", "tool"];
        let histogram = |name: &str, help: &str, buckets: Vec<f64>| {
            let options = HistogramOpts::new(name, help).buckets(buckets);
            kept(registry, HistogramVec::new(options, &labels)?)
        };
        let counter = |name: &str, help: &str, labels: &[&str]| {
            kept(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
        };
        Ok(Self {
            calls: counter(
                "soma_calls_total",
                "Calls of installed tools, by how they ended.",
                &["capsule", "tool", "outcome"],
            )?,
            duration: histogram(
                "soma_call_duration_seconds",
                "Wall-clock seconds of calls that ran.",
                // With a bound at what the alerts call slow.
                vec![
                    0.000_1, 0.000_4, 0.001_6, 0.006_4, 0.025, 0.1, 0.2, 0.5, 2.0, 8.0, 30.0,
                ],
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
            call_tokens: histogram(
                "soma_call_tokens",
                "Tokens that calls cost which ran.",
                prometheus::exponential_buckets(1.0, 8.0, 8)?,
            )?,
            tokens: counter(
                "soma_tokens_total",
                "Tokens that calls cost which ran, without those of calls within them.",
                &labels,
            )?,
            masked: counter(
                "soma_masked_total",
                "Credentials that came back to a capsule or were in what it said, and were masked.",
                &labels,
            )?,
            requests: counter(
                "soma_egress_requests_total",
                "Requests of capsules to the network: answered, denied, or failed.",
                &["capsule", "outcome"],
            )?,
            bytes: counter(
                "soma_egress_bytes_total",
                "Bytes of bodies that capsules sent to the network and received from it.",
                &["capsule", "direction"],
            )?,
        })
    }
}

/// Registers one, and gives it back.
pub(super) fn kept<T: Collector + Clone + 'static>(
    registry: &Registry,
    metric: T,
) -> prometheus::Result<T> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
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
        let tokens = usage.tokens.saturating_sub(usage.tool_tokens);
        self.call_tokens.observe(tokens as f64);
        let [answered, denied, failed] = &self.requests;
        for (counter, more) in [
            (&self.tokens, tokens),
            (&self.masked, usage.masked),
            (answered, usage.answered),
            (denied, usage.denied),
            (failed, usage.failed),
            (&self.sent, usage.sent_bytes),
            (&self.received, usage.received_bytes),
        ] {
            // Most calls have most of these zero, and all of them share the counters.
            if more > 0 {
                counter.inc_by(more);
            }
        }
    }
}
