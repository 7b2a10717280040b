//! What holds: a [`Config`] with every default filled in and checked. [`Live`] is the part that a
//! reload can change.

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use soma_capability::{Limits, Origin, Prices};
use soma_runtime::{Compiler, EngineConfig};
use url::Url;

use crate::admission::within;
use crate::catalog::Quota;
use crate::config::{Config, LogFormat, TlsFiles};
use crate::keep::Keep;
use crate::keepers::KeeperSettings;
use crate::rates::Bounds;
use crate::trust::Trust;

/// The command of the `soma` binary that compiles a component in a process of its own.
pub const COMPILE_COMMAND: &str = "compile-component";

/// The database's file in the data folder, where no other database is given.
pub(crate) const DATABASE: &str = "soma.db";
/// A longer grace is as good as for ever: the clock of a wait must not overflow.
const LONGEST_GRACE: u64 = 366 * 24 * 60 * 60;

/// Everything that holds while a host runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder of everything the host keeps; absolute.
    pub data: PathBuf,
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The database's URL.
    pub database: String,
    /// The file of the key for secrets; none for the one in the data folder.
    pub secrets_key: Option<PathBuf>,
    /// Where credentials may be read from.
    pub(crate) keepers: KeeperSettings,
    /// The certificate, where the host speaks TLS itself.
    pub tls: Option<TlsFiles>,
    /// Whether somebody else ends TLS.
    pub behind_proxy: bool,
    /// Whether /metrics needs no key.
    pub open_metrics: bool,
    /// The form of log lines.
    pub log_format: LogFormat,
    /// Where spans go.
    pub otlp_endpoint: Option<Url>,
    /// How long calls in flight get to finish.
    pub shutdown_grace: Duration,
    /// Whether instances are cleared by the kernel's list of touched pages.
    pub page_scan: bool,
    /// Whether calls that run are counted.
    pub(crate) accounting: bool,
    /// How components are compiled.
    pub compiler: Compiler,
    /// What a reload can change.
    pub live: Live,
}

/// The settings that a reload can change.
#[derive(Clone, Debug, PartialEq)]
pub struct Live {
    /// Limits of a call whose capsule asks for none.
    pub default_limits: Limits,
    /// Limits that no call passes.
    pub maximum_limits: Limits,
    /// What calls cost.
    pub prices: Prices,
    /// Origins that capsules may send requests to.
    pub allow_http: Vec<Origin>,
    /// Names allowed in `Host`, the loopback names and the address listened on among them.
    pub allowed_hosts: Vec<String>,
    /// Origins allowed in `Origin`, besides those of the allowed hosts.
    pub allowed_origins: Vec<Origin>,
    /// Calls that run at once.
    pub concurrent_calls: u32,
    /// Calls that wait for one of those.
    pub waiting_calls: u32,
    /// How often there may be calls, and how many at once.
    pub(crate) rates: Bounds,
    /// What one tenant may have installed.
    pub(crate) quota: Quota,
    /// Whose capsules may be installed.
    pub(crate) trust: Trust,
    /// How long what happened is kept.
    pub(crate) keep: Keep,
    /// Whether inputs and outputs are recorded as they are.
    pub(crate) audit_full: bool,
    /// Whether calls are recorded.
    pub(crate) audit_calls: bool,
    /// What is logged.
    pub log: String,
}

/// What a reload did, by the names of settings. Values can be secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Those that have another value since.
    pub changed: Vec<&'static str>,
    /// Those that keep their old value until the next start.
    pub held: Vec<&'static str>,
}

impl Settings {
    /// Fills in the defaults and checks what must fit together.
    pub(crate) fn resolve(config: &Config) -> anyhow::Result<Self> {
        let data = std::path::absolute(config.data_folder()?).context("the data folder")?;
        let listen = config.listen_address();
        let tls = config.tls_files()?;
        let behind_proxy = config.behind_proxy.unwrap_or(false);
        let loopback = listen.ip().is_loopback();
        if !loopback && tls.is_none() && !behind_proxy {
            bail!(
                "refusing to listen on {listen} without TLS: others could read the keys on the wire. \
                 Give --tls-cert and --tls-key, or --behind-proxy where a proxy ends TLS, \
                 or listen on 127.0.0.1"
            );
        }
        let database = match &config.database {
            Some(url) => url.clone(),
            None => sqlite_url(&data.join(DATABASE))?,
        };
        let compiler = match &config.compiler {
            Some(compiler) => compiler.clone(),
            None => Compiler::new(
                std::env::current_exe().context("this program's own path")?,
                [COMPILE_COMMAND.into()],
            ),
        };
        Ok(Self {
            live: Live::resolve(config, listen)?,
            data,
            listen,
            database,
            secrets_key: config.secrets_key.clone(),
            keepers: KeeperSettings::resolve(config)?,
            tls,
            behind_proxy,
            // Whoever reaches a proxy reaches what it stands before.
            open_metrics: config.open_metrics.unwrap_or(loopback && !behind_proxy),
            log_format: config.log_format.unwrap_or_default(),
            otlp_endpoint: config.otlp_endpoint.as_deref().map(endpoint).transpose()?,
            shutdown_grace: Duration::from_secs(
                config.shutdown_grace.unwrap_or(30).min(LONGEST_GRACE),
            ),
            page_scan: config.page_scan.unwrap_or(true),
            accounting: config.accounting.unwrap_or(true),
            compiler,
        })
    }

    /// The database's file, where it is the one in the data folder.
    pub(crate) fn own_database(&self) -> Option<PathBuf> {
        let file = self.data.join(DATABASE);
        let own = sqlite_url(&file).is_ok_and(|url| url == self.database);
        own.then_some(file)
    }

    /// The pool of instances that these settings need.
    pub(crate) fn engine(&self) -> EngineConfig {
        EngineConfig {
            instances: self.live.concurrent_calls + within(self.live.concurrent_calls),
            max_memory_bytes: self.live.maximum_limits.memory_bytes,
            max_table_elements: u32::try_from(self.live.maximum_limits.table_elements)
                .unwrap_or(u32::MAX),
            page_scan: self.page_scan,
            ..EngineConfig::default()
        }
    }

    /// The flags whose new values cannot hold before the next start.
    pub(crate) fn need_restart(&self, new: &Self) -> Vec<&'static str> {
        let changed = [
            ("data", self.data != new.data),
            ("listen", self.listen != new.listen),
            ("database", self.database != new.database),
            ("secrets-key", self.secrets_key != new.secrets_key),
            (
                "secrets-env, secrets-files, vault",
                self.keepers != new.keepers,
            ),
            ("tls-cert, tls-key", self.tls != new.tls),
            ("behind-proxy", self.behind_proxy != new.behind_proxy),
            ("open-metrics", self.open_metrics != new.open_metrics),
            ("log-format", self.log_format != new.log_format),
            ("otlp-endpoint", self.otlp_endpoint != new.otlp_endpoint),
            ("shutdown-grace", self.shutdown_grace != new.shutdown_grace),
            ("accounting", self.accounting != new.accounting),
        ];
        names(&changed)
    }
}

impl Live {
    fn resolve(config: &Config, listen: SocketAddr) -> anyhow::Result<Self> {
        let maximum_limits = match &config.maximum_limits {
            Some(given) => given.on(maximum_limits()).context("maximum-limits")?,
            None => maximum_limits(),
        };
        // A default that nobody gave follows a lower maximum; one that was given is meant.
        let base = Limits::default().at_most(&maximum_limits);
        let default_limits = match &config.default_limits {
            Some(given) => given
                .within(base, &maximum_limits)
                .context("default-limits")?,
            None => base,
        };
        let mut allowed_hosts: Vec<String> = ["localhost", "127.0.0.1", "[::1]"]
            .map(str::to_owned)
            .into();
        allowed_hosts.push(match listen {
            SocketAddr::V4(address) => address.ip().to_string(),
            SocketAddr::V6(address) => format!("[{}]", address.ip()),
        });
        allowed_hosts.extend(
            config
                .allowed_hosts
                .iter()
                .map(|name| name.to_ascii_lowercase()),
        );
        let log = config.log.clone().unwrap_or_else(|| "info".to_owned());
        tracing_subscriber::EnvFilter::try_new(&log)
            .with_context(|| format!("`{log}` is not a log filter"))?;
        let concurrent_calls = config
            .concurrent_calls
            .unwrap_or(EngineConfig::default().instances);
        if !(1..=10_000).contains(&concurrent_calls) {
            bail!("concurrent-calls must be 1 to 10000");
        }
        let waiting_calls = config.waiting_calls.unwrap_or(512);
        if waiting_calls > 100_000 {
            bail!("waiting-calls must be 0 to 100000");
        }
        Ok(Self {
            default_limits,
            maximum_limits,
            prices: match &config.prices {
                Some(given) => given.on(Prices::default()).context("prices")?,
                None => Prices::default(),
            },
            allow_http: config.allow_http.clone(),
            allowed_hosts,
            allowed_origins: config.allowed_origins.clone(),
            concurrent_calls,
            waiting_calls,
            rates: Bounds::resolve(config),
            quota: Quota {
                capsules: config.tenant_capsules.unwrap_or(256),
                bytes: config.tenant_mib.unwrap_or(4096).saturating_mul(1 << 20),
            },
            trust: Trust::resolve(
                &config.trust,
                listen.ip().is_loopback() && !config.behind_proxy.unwrap_or(false),
            )
            .context("trust")?,
            keep: Keep::resolve(config)?,
            audit_full: config.audit_full.unwrap_or(false),
            audit_calls: config.audit_calls.unwrap_or(true),
            log,
        })
    }

    /// The flags whose values are other ones in `new`.
    pub(crate) fn changed(&self, new: &Self) -> Vec<&'static str> {
        // All of them, so that one that is new is not forgotten.
        let Self {
            default_limits,
            maximum_limits,
            prices,
            allow_http,
            allowed_hosts,
            allowed_origins,
            concurrent_calls,
            waiting_calls,
            rates,
            quota,
            trust,
            keep,
            audit_full,
            audit_calls,
            log,
        } = new;
        let mut changed = names(&[
            ("default-limits", self.default_limits != *default_limits),
            ("maximum-limits", self.maximum_limits != *maximum_limits),
            ("prices", self.prices != *prices),
            ("allow-http", self.allow_http != *allow_http),
            ("allowed-hosts", self.allowed_hosts != *allowed_hosts),
            ("allowed-origins", self.allowed_origins != *allowed_origins),
            (
                "concurrent-calls",
                self.concurrent_calls != *concurrent_calls,
            ),
            ("waiting-calls", self.waiting_calls != *waiting_calls),
            ("tenant-capsules", self.quota.capsules != quota.capsules),
            ("tenant-mib", self.quota.bytes != quota.bytes),
            ("trust", self.trust != *trust),
            // Two of them come by audit-days, too.
            ("keep.calls", self.keep.calls != keep.calls),
            ("keep.changes", self.keep.changes != keep.changes),
            ("keep.usage", self.keep.usage != keep.usage),
            ("keep.ledger", self.keep.ledger != keep.ledger),
            ("audit-full", self.audit_full != *audit_full),
            ("audit-calls", self.audit_calls != *audit_calls),
            ("log", self.log != *log),
        ]);
        changed.extend(names(&self.rates.changed(rates)));
        changed
    }

    /// These settings, with nothing above what was made for `start`, the pool above all, can give. Says
    /// what had to be held back.
    pub(crate) fn within(mut self, start: &Self) -> (Self, Vec<&'static str>) {
        let mut held = Vec::new();
        if self.concurrent_calls > start.concurrent_calls {
            self.concurrent_calls = start.concurrent_calls;
            held.push("concurrent-calls");
        }
        let (maximum, most) = (&mut self.maximum_limits, &start.maximum_limits);
        if maximum.memory_bytes > most.memory_bytes {
            maximum.memory_bytes = most.memory_bytes;
            held.push("maximum-limits.memory-bytes");
        }
        if maximum.table_elements > most.table_elements {
            maximum.table_elements = most.table_elements;
            held.push("maximum-limits.table-elements");
        }
        // Leases are kept, and calls count as under way, for as long as a call may take.
        if maximum.time_ms > most.time_ms {
            maximum.time_ms = most.time_ms;
            held.push("maximum-limits.time-ms");
        }
        (self, held)
    }
}

/// The names of those that changed.
fn names(changed: &[(&'static str, bool)]) -> Vec<&'static str> {
    let changed = changed.iter().filter(|(_, changed)| *changed);
    changed.map(|(name, _)| *name).collect()
}

/// What a capsule may ask for at most, where the operator does not say.
fn maximum_limits() -> Limits {
    let default = Limits::default();
    Limits {
        fuel: default.fuel * 10,
        time_ms: default.time_ms * 10,
        ..default
    }
}

fn endpoint(text: &str) -> anyhow::Result<Url> {
    text.parse()
        .with_context(|| format!("otlp-endpoint: `{text}` is not a URL"))
}

/// The URL of a database in a file, which is made where it is missing.
pub(crate) fn sqlite_url(file: &Path) -> anyhow::Result<String> {
    let mut url = Url::from_file_path(file)
        .map_err(|()| anyhow::anyhow!("{} cannot be written as a URL", file.display()))?;
    url.set_query(Some("mode=rwc"));
    Ok(format!("sqlite:{}", &url.as_str()["file:".len()..]))
}
