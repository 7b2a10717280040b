//! What is read at the moment at which somebody asks for the metrics.

use jiff::Timestamp;
use prometheus::{Gauge, GaugeVec, IntCounter, IntGauge, IntGaugeVec, Opts, Registry};
use rustix::fs::statvfs;
use soma_runtime::ENGINE;

use super::kept;
use crate::app::App;
use crate::db::budgets::{self, Fullest};

/// Gauges of one moment.
pub(super) struct Moment {
    build: IntGaugeVec,
    ready: IntGauge,
    instances: IntGauge,
    cache_hits: IntGauge,
    cache_misses: IntGauge,
    running_limit: IntGauge,
    waiting_limit: IntGauge,
    queue_used: Gauge,
    reservations: IntGaugeVec,
    leased: IntGaugeVec,
    used_ratio: GaugeVec,
    upstreams_down: IntGauge,
    audit_writable: IntGauge,
    audit_records: IntCounter,
    database_up: IntGauge,
    connections: IntGaugeVec,
    data_free: IntGauge,
    data_size: IntGauge,
}

impl Moment {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let gauge = |name, help| kept(registry, IntGauge::new(name, help)?);
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            kept(registry, IntGaugeVec::new(Opts::new(name, help), labels)?)
        };
        Ok(Self {
            build: gauges(
                "soma_build_info",
                "1, for what this host is made of and reckons by.",
                &["version", "engine", "prices"],
            )?,
            ready: gauge("soma_ready", "1 where the host takes calls.")?,
            instances: gauge("soma_instances_in_use", "Guest instances alive.")?,
            cache_hits: gauge(
                "soma_code_cache_hits",
                "Capsules loaded from the code cache since the start.",
            )?,
            cache_misses: gauge(
                "soma_code_cache_misses",
                "Capsules compiled because the code cache had nothing, since the start.",
            )?,
            running_limit: gauge("soma_calls_running_limit", "Slots for calls to run in.")?,
            waiting_limit: gauge(
                "soma_calls_waiting_limit",
                "Calls that may wait for a slot.",
            )?,
            queue_used: kept(
                registry,
                Gauge::new(
                    "soma_queue_used_ratio",
                    "What part is taken of the places to wait in: of all, or of those that the fullest tenant may have.",
                )?,
            )?,
            reservations: gauges(
                "soma_budget_reservations",
                "Budgets of which calls hold tokens at this moment, by their level.",
                &["level"],
            )?,
            leased: gauges(
                "soma_budget_leased_tokens",
                "Tokens that this host may spend without asking the database.",
                &["level"],
            )?,
            used_ratio: kept(
                registry,
                GaugeVec::new(
                    Opts::new(
                        "soma_budget_used_ratio",
                        "What part of its tokens is used of the fullest budget of a tenant, level, span and kind: hard, soft.",
                    ),
                    &["tenant", "level", "span", "kind"],
                )?,
            )?,
            upstreams_down: gauge(
                "soma_upstreams_down",
                "Upstreams that are left alone because no connection to them can be made.",
            )?,
            audit_writable: gauge(
                "soma_audit_writable",
                "1 where the audit log can be written.",
            )?,
            audit_records: kept(
                registry,
                IntCounter::new("soma_audit_records_total", "Records in the audit log.")?,
            )?,
            database_up: gauge("soma_database_up", "1 where the database answers.")?,
            connections: gauges(
                "soma_database_connections",
                "Connections to the database: idle, in_use.",
                &["state"],
            )?,
            data_free: gauge(
                "soma_data_free_bytes",
                "Bytes that are free where the data folder is.",
            )?,
            data_size: gauge(
                "soma_data_size_bytes",
                "Bytes that there are, free or not, where the data folder is.",
            )?,
        })
    }

    pub(super) async fn read(&self, app: &App) {
        let fullest = budgets::fullest(&app.pool, Timestamp::now()).await;
        let (is_up, is_writable) = (fullest.is_ok(), app.audit.admit().is_ok());
        self.database_up.set(is_up.into());
        self.audit_writable.set(is_writable.into());
        let is_current = app.restored.admit(&app.logs).is_ok();
        let is_ready = is_up && is_writable && is_current && !app.is_stopping();
        self.ready.set(is_ready.into());
        self.used(&fullest.unwrap_or_default());
        self.in_hand(app);

        let live = app.in_force();
        self.build.reset();
        let prices = live.version_of(&live.settings.prices);
        let made_of = [env!("CARGO_PKG_VERSION"), ENGINE, &prices];
        self.build.with_label_values(&made_of).set(1);
        self.running_limit
            .set(live.settings.concurrent_calls.into());
        self.waiting_limit.set(live.settings.waiting_calls.into());
        self.queue_used.set(app.admission.fullness());
        self.upstreams_down
            .set(number(live.networks.upstreams_down() as u64));

        let (hits, misses) = app.catalog.loader.cache_hits_and_misses();
        self.instances.set(number(app.engine.instances_in_use()));
        self.cache_hits.set(number(hits));
        self.cache_misses.set(number(misses));
        let records = app.audit.size();
        self.audit_records
            .inc_by(records.saturating_sub(self.audit_records.get()));
        let (all, idle) = (u64::from(app.pool.size()), app.pool.num_idle() as u64);
        for (state, connections) in [("idle", idle), ("in_use", all.saturating_sub(idle))] {
            let gauge = self.connections.with_label_values(&[state]);
            gauge.set(number(connections));
        }
        if let Ok(disk) = statvfs(&app.settings.data) {
            self.data_free.set(number(disk.f_bavail * disk.f_frsize));
            self.data_size.set(number(disk.f_blocks * disk.f_frsize));
        }
    }

    fn used(&self, fullest: &[Fullest]) {
        self.used_ratio.reset();
        for budget in fullest {
            let Fullest {
                tenant,
                level,
                span,
                kind,
                ..
            } = budget;
            let labels = [tenant, level, span, kind].map(String::as_str);
            self.used_ratio.with_label_values(&labels).set(budget.ratio);
        }
    }

    fn in_hand(&self, app: &App) {
        let in_hand = app.budgets.snapshot();
        for level in ["tenant", "key", "session"] {
            let there = in_hand.get(level).copied().unwrap_or_default();
            let reservations = self.reservations.with_label_values(&[level]);
            reservations.set(number(there.reservations));
            let leased = self.leased.with_label_values(&[level]);
            leased.set(number(there.leased));
        }
    }
}

fn number(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
