//! The marketplace's parts, and how they come into being.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use soma_registry::owner_only;
use soma_runtime::Compiler;
use sqlx::AnyPool;
use tokio::sync::RwLock;

use crate::blobs::Blobs;
use crate::config::Config;
use crate::db;
use crate::downloads::Downloads;
use crate::incoming::Incoming;
use crate::metrics::Metrics;
use crate::note_file;
use crate::rate::Rate;
use crate::sequencer::Sequencer;
use crate::turns::Turns;
use crate::witnesses::Witnesses;

/// What every handler is given.
pub(crate) type AppState = Arc<App>;

/// The command of the `soma` binary that compiles a component in a process of its own.
const COMPILE_COMMAND: &str = "compile-component";

/// At once, of the database's 16 connections.
const SEARCHES: usize = 6;
/// The same, of other long reads.
const LONG_READS: usize = 6;

/// One marketplace: its configuration and its parts.
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) pool: AnyPool,
    pub(crate) blobs: Blobs,
    pub(crate) log: Sequencer,
    pub(crate) compiler: Compiler,
    pub(crate) metrics: Metrics,
    pub(crate) rate: Rate,
    pub(crate) downloads: Downloads,
    /// Files that are on their way in, or looked at.
    pub(crate) incoming: Incoming,
    /// Publications that are looked at: each runs a compiler.
    pub(crate) publications: Turns,
    /// Each holds a connection of the database.
    pub(crate) searches: Turns,
    /// Reads of a capsule with all its versions, or of all the leaves that a version follows from.
    pub(crate) long_reads: Turns,
    /// Held for reading from the moment a file is stored until its row is, and for writing while
    /// files without a row are swept.
    pub(crate) settling: RwLock<()>,
}

impl App {
    /// Makes every part; nothing listens yet.
    pub(crate) async fn new(config: Config) -> anyhow::Result<Self> {
        let loopback = config.listen.ip().is_loopback();
        if !loopback && !config.behind_proxy {
            bail!(
                "refusing to listen on {} without TLS: others could read the tokens on the wire. \
                 Give --behind-proxy where a proxy ends TLS, or listen on 127.0.0.1",
                config.listen
            );
        }
        let data = config.data_folder()?;
        owner_only::folder(&data).context("the data folder")?;
        let origin = config.origin.as_deref();
        let fallback = format!("{}/log", config.listen);
        let secret = note_file::open(&data.join("log.key"), origin, &fallback)?;
        note_file::publish(&data.join("log.vkey"), &secret.log_key())?;
        let database = match &config.database {
            Some(url) => url.clone(),
            None => sqlite_url(&data.join("marketplace.db"))?,
        };
        let blobs = match &config.blobs {
            Some(place) => Blobs::open(place)?,
            None => Blobs::open(utf8(&data.join("blobs"))?)?,
        };
        let compiler = match &config.compiler {
            Some(compiler) => compiler.clone(),
            None => Compiler::new(
                std::env::current_exe().context("this program's own path")?,
                [COMPILE_COMMAND.into()],
            ),
        };
        let pool = db::open(&database).await.context("the database")?;
        Ok(Self {
            log: Sequencer::open(
                secret,
                pool.clone(),
                Witnesses::new(config.witnesses.clone()),
            )
            .await
            .context("the log")?,
            incoming: Incoming::new(2 * usize::from(config.publications)),
            publications: Turns::new(config.publications.into()),
            searches: Turns::new(SEARCHES),
            long_reads: Turns::new(LONG_READS),
            metrics: Metrics::new()?,
            rate: Rate::new(config.rate, config.behind_proxy),
            downloads: Downloads::default(),
            settling: RwLock::default(),
            pool,
            blobs,
            compiler,
            config,
        })
    }
}

fn utf8(path: &Path) -> anyhow::Result<&str> {
    path.to_str()
        .with_context(|| format!("{} is not UTF-8", path.display()))
}

fn sqlite_url(file: &Path) -> anyhow::Result<String> {
    let path = utf8(file)?;
    if path.contains(['?', '#', '%']) {
        bail!("a database's path has no `?`, `#` and `%`: {path}");
    }
    Ok(format!("sqlite://{path}?mode=rwc"))
}
