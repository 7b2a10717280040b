//! What `soma serve` is told: flags, environment and file in one [`Config`], which resolves to
//! the [`Settings`] that hold. Flags win over the environment, and both over the file.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::Deserialize;
use soma_capability::Origin;
use soma_runtime::Compiler;

use crate::given::{Given, GivenKeep, GivenLimits, GivenPrices};
use crate::keepers::GivenVault;
use crate::settings::Settings;
use crate::trust::GivenTrust;

/// The port that `soma serve` listens on where none is given.
pub const DEFAULT_PORT: u16 = 7711;

/// Everything an operator can say about a host. Each field can be a flag, an environment
/// variable, or a key of the TOML file (the flag's name without its dashes).
#[derive(Clone, Debug, Default, clap::Args, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Config {
    /// TOML file with any of these settings; read again on SIGHUP
    #[arg(long, env = "SOMA_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,

    /// Folder of everything the host keeps [default: $XDG_DATA_HOME/soma or ~/.local/share/soma]
    #[arg(long, env = "SOMA_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// Address and port to listen on; port 0 takes a free one [default: 127.0.0.1:7711]
    #[arg(long, env = "SOMA_LISTEN", value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,

    /// Database: `sqlite://PATH` or `postgres://…` [default: soma.db in the data folder]
    #[arg(
        long,
        env = "SOMA_DATABASE",
        value_name = "URL",
        hide_env_values = true
    )]
    pub database: Option<String>,

    /// Exact origin that capsules may send requests to, such as `https://api.github.com`; may be
    /// given more than once [default: none] [reloadable]
    #[arg(
        long,
        env = "SOMA_ALLOW_HTTP",
        value_name = "ORIGIN",
        value_delimiter = ','
    )]
    pub allow_http: Vec<Origin>,

    /// Key under which credentials are kept: a file of 64 hex digits, which hosts on one database
    /// share [default: secrets.key in the data folder, made at the first start]
    #[arg(long, env = "SOMA_SECRETS_KEY", value_name = "FILE")]
    pub secrets_key: Option<PathBuf>,

    /// What the names of variables begin with that credentials can be read from: PREFIX, the tenant's
    /// name, `__` and the credential's, in capitals and with `_` for `-` [default: none]
    #[arg(long, env = "SOMA_SECRETS_ENV", value_name = "PREFIX")]
    pub secrets_env: Option<String>,

    /// Folder of files that credentials can be read from: DIR/tenant/name [default: none]
    #[arg(long, env = "SOMA_SECRETS_FILES", value_name = "DIR")]
    pub secrets_files: Option<PathBuf>,

    /// Certificate chain, PEM; read again when the file changes
    #[arg(long, env = "SOMA_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// Private key of the certificate, PEM; read again when the file changes
    #[arg(long, env = "SOMA_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// A proxy in front of the host ends TLS, so that listening on other than loopback without
    /// TLS is right [default: false]
    #[arg(long, env = "SOMA_BEHIND_PROXY", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub behind_proxy: Option<bool>,

    /// Name that requests may have in `Host`, besides the loopback names and the address listened
    /// on; may be given more than once [reloadable]
    #[arg(
        long,
        env = "SOMA_ALLOWED_HOSTS",
        value_name = "NAME",
        value_delimiter = ','
    )]
    pub allowed_hosts: Vec<String>,

    /// Web origin whose pages may send requests, besides those of the allowed hosts; may be given
    /// more than once [reloadable]
    #[arg(
        long,
        env = "SOMA_ALLOWED_ORIGINS",
        value_name = "ORIGIN",
        value_delimiter = ','
    )]
    pub allowed_origins: Vec<Origin>,

    /// Calls that run at once; can be lowered by a reload, not raised [default: 128] [reloadable]
    #[arg(long, env = "SOMA_CONCURRENT_CALLS", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub concurrent_calls: Option<u32>,

    /// Calls that wait for one of those; further ones get a 503 at once [default: 512]
    /// [reloadable]
    #[arg(long, env = "SOMA_WAITING_CALLS", value_name = "N", value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub waiting_calls: Option<u32>,

    /// Calls that one API key may make in a minute, a sixth of them at once; further ones get a 429
    /// [default: no bound] [reloadable]
    #[arg(long, env = "SOMA_KEY_CALLS_PER_MINUTE", value_name = "N")]
    pub key_calls_per_minute: Option<NonZeroU32>,

    /// The same of the calls of one capsule of one tenant, those from other capsules too [default: no
    /// bound] [reloadable]
    #[arg(long, env = "SOMA_CAPSULE_CALLS_PER_MINUTE", value_name = "N")]
    pub capsule_calls_per_minute: Option<NonZeroU32>,

    /// Calls of one API key that run or wait at once; further ones get a 429 [default: no bound]
    /// [reloadable]
    #[arg(long, env = "SOMA_KEY_CONCURRENT", value_name = "N")]
    pub key_concurrent: Option<NonZeroU32>,

    /// The same of one capsule of one tenant, with the calls from other capsules [default: no bound]
    /// [reloadable]
    #[arg(long, env = "SOMA_CAPSULE_CONCURRENT", value_name = "N")]
    pub capsule_concurrent: Option<NonZeroU32>,

    /// Capsules that one tenant may have installed [default: 256] [reloadable]
    #[arg(long, env = "SOMA_TENANT_CAPSULES", value_name = "N")]
    pub tenant_capsules: Option<u32>,

    /// Mebibytes that the capsule files of one tenant may have together [default: 4096]
    /// [reloadable]
    #[arg(long, env = "SOMA_TENANT_MIB", value_name = "MIB")]
    pub tenant_mib: Option<u64>,

    /// Days after which records of the audit log are erased; their hashes stay [default: never]
    /// [reloadable]
    #[arg(long, env = "SOMA_AUDIT_DAYS", value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub audit_days: Option<u32>,

    /// Days that each kind is kept, as in `calls=90,changes=400,usage=400,ledger=400`: records of calls,
    /// all other records, what calls used, windows of budgets that are over [default: for ever; windows
    /// of days 400] [reloadable]
    #[arg(long, env = "SOMA_KEEP", value_name = "KEPT")]
    pub keep: Option<GivenKeep>,

    /// Record the inputs and outputs of calls as they are, and not their salted hashes alone
    /// [reloadable]
    #[arg(long, env = "SOMA_AUDIT_FULL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub audit_full: Option<bool>,

    /// Whether calls are recorded in the audit log. To measure what that costs, and for nothing else
    /// [default: true] [reloadable]
    #[arg(long, env = "SOMA_AUDIT_CALLS", hide = true, num_args = 1)]
    pub audit_calls: Option<bool>,

    /// Whether calls that run are counted: against budgets, in the usage and in the metrics of tools.
    /// To measure what that costs, and for nothing else: no budget can be without it [default: true]
    #[arg(long, env = "SOMA_ACCOUNTING", hide = true, num_args = 1)]
    pub accounting: Option<bool>,

    /// Limits of a call whose capsule asks for none, such as `fuel=1000000000,time-ms=5000`
    /// [default: 10^10 fuel, 30 s, 64 MiB …] [reloadable]
    #[arg(long, env = "SOMA_DEFAULT_LIMITS", value_name = "LIMITS")]
    pub default_limits: Option<GivenLimits>,

    /// Limits that no capsule gets more than, whatever it asks [default: 10^11 fuel, 5 min,
    /// 64 MiB …] [reloadable; memory, tables and time cannot be raised by a reload]
    #[arg(long, env = "SOMA_MAXIMUM_LIMITS", value_name = "LIMITS")]
    pub maximum_limits: Option<GivenLimits>,

    /// What things cost, in tokens, where that is not the usual: `million-fuel`, `host-call`,
    /// `kib-in`, `kib-out`, `kib-stored`, `second`, as in `second=2,kib-out=0.05` [default: 1, 0.001,
    /// 0.01, 0.01, 0.1, 1] [reloadable]
    #[arg(long, env = "SOMA_PRICES", value_name = "PRICES")]
    pub prices: Option<GivenPrices>,

    /// Serve /metrics without a key although the address is not loopback, or a proxy is in front
    /// [default: false]
    #[arg(long, env = "SOMA_OPEN_METRICS", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub open_metrics: Option<bool>,

    /// What is logged, as in `info,soma_host=debug,guest=warn` [default: info] [reloadable]
    #[arg(long, env = "SOMA_LOG", value_name = "FILTER")]
    pub log: Option<String>,

    /// Form of the log lines, on standard error [default: text]
    #[arg(long, env = "SOMA_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,

    /// OpenTelemetry collector that spans are sent to (OTLP over HTTP, protobuf), such as
    /// `http://127.0.0.1:4318` [default: none]
    #[arg(long, env = "SOMA_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,

    /// Seconds that calls in flight get to finish in when the host is told to stop [default: 30]
    #[arg(long, env = "SOMA_SHUTDOWN_GRACE", value_name = "SECONDS")]
    pub shutdown_grace: Option<u64>,

    /// Clear instances by the kernel's list of touched pages, where it gives one (Linux 6.7). Off
    /// only to measure what that is worth.
    #[arg(long, env = "SOMA_PAGE_SCAN", hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub page_scan: Option<bool>,

    /// Whose capsules may be installed, and what their log must show.
    #[command(flatten)]
    pub trust: GivenTrust,

    /// The Vault that credentials can be read from.
    #[command(flatten)]
    pub vault: GivenVault,

    /// How components are compiled; none is this very program's `compile-component` command.
    #[arg(skip)]
    #[serde(skip)]
    pub compiler: Option<Compiler>,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// Reads the file, where one is given, and resolves everything. Says what is wrong and where.
    pub fn settings(&self) -> anyhow::Result<Settings> {
        match &self.config {
            None => Settings::resolve(self),
            Some(path) => {
                let text = fs::read_to_string(path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                let file: Self = toml::from_str(&text)
                    .with_context(|| format!("{} is not a valid configuration", path.display()))?;
                Settings::resolve(&self.clone().over(file))
                    .with_context(|| format!("with the configuration in {}", path.display()))
            }
        }
    }

    /// The folder that holds the host's data: given, or the user's own.
    pub fn data_folder(&self) -> anyhow::Result<PathBuf> {
        match &self.data {
            Some(folder) => Ok(folder.clone()),
            None => default_data_folder(),
        }
    }

    pub(crate) fn listen_address(&self) -> SocketAddr {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        self.listen
            .unwrap_or(SocketAddr::new(loopback, DEFAULT_PORT))
    }

    pub(crate) fn tls_files(&self) -> anyhow::Result<Option<TlsFiles>> {
        match (&self.tls_cert, &self.tls_key) {
            (Some(cert), Some(key)) => Ok(Some(TlsFiles {
                cert: cert.clone(),
                key: key.clone(),
            })),
            (None, None) => Ok(None),
            _ => bail!("--tls-cert and --tls-key go together: give both or neither"),
        }
    }

    /// These settings, and those of `file` where nothing is said here.
    fn over(self, file: Self) -> Self {
        Self {
            config: self.config,
            data: self.data.or(file.data),
            listen: self.listen.or(file.listen),
            database: self.database.or(file.database),
            allow_http: first_given(self.allow_http, file.allow_http),
            secrets_key: self.secrets_key.or(file.secrets_key),
            secrets_env: self.secrets_env.or(file.secrets_env),
            secrets_files: self.secrets_files.or(file.secrets_files),
            tls_cert: self.tls_cert.or(file.tls_cert),
            tls_key: self.tls_key.or(file.tls_key),
            behind_proxy: self.behind_proxy.or(file.behind_proxy),
            allowed_hosts: first_given(self.allowed_hosts, file.allowed_hosts),
            allowed_origins: first_given(self.allowed_origins, file.allowed_origins),
            concurrent_calls: self.concurrent_calls.or(file.concurrent_calls),
            waiting_calls: self.waiting_calls.or(file.waiting_calls),
            key_calls_per_minute: self.key_calls_per_minute.or(file.key_calls_per_minute),
            capsule_calls_per_minute: self
                .capsule_calls_per_minute
                .or(file.capsule_calls_per_minute),
            key_concurrent: self.key_concurrent.or(file.key_concurrent),
            capsule_concurrent: self.capsule_concurrent.or(file.capsule_concurrent),
            tenant_capsules: self.tenant_capsules.or(file.tenant_capsules),
            tenant_mib: self.tenant_mib.or(file.tenant_mib),
            audit_days: self.audit_days.or(file.audit_days),
            keep: Given::over(self.keep, file.keep),
            audit_full: self.audit_full.or(file.audit_full),
            audit_calls: self.audit_calls.or(file.audit_calls),
            accounting: self.accounting.or(file.accounting),
            default_limits: Given::over(self.default_limits, file.default_limits),
            maximum_limits: Given::over(self.maximum_limits, file.maximum_limits),
            prices: Given::over(self.prices, file.prices),
            open_metrics: self.open_metrics.or(file.open_metrics),
            log: self.log.or(file.log),
            log_format: self.log_format.or(file.log_format),
            page_scan: self.page_scan.or(file.page_scan),
            otlp_endpoint: self.otlp_endpoint.or(file.otlp_endpoint),
            shutdown_grace: self.shutdown_grace.or(file.shutdown_grace),
            trust: self.trust.over(file.trust),
            vault: self.vault.over(file.vault),
            compiler: self.compiler,
        }
    }
}

/// A certificate and its key, PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, leaf first.
    pub cert: PathBuf,
    /// PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
}

/// `$XDG_DATA_HOME/soma`, else `~/.local/share/soma`.
pub fn default_data_folder() -> anyhow::Result<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(share) = variable("XDG_DATA_HOME") {
        return Ok(Path::new(&share).join("soma"));
    }
    match variable("HOME") {
        Some(home) => Ok(Path::new(&home).join(".local/share/soma")),
        None => bail!("no data folder: give --data DIR, or set SOMA_DATA or HOME"),
    }
}

fn first_given<T>(here: Vec<T>, there: Vec<T>) -> Vec<T> {
    if here.is_empty() { there } else { here }
}
