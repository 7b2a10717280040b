//! The host's parts, and how they come into being.

use std::fs::{self, File, TryLockError};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};
use arc_swap::{ArcSwap, Guard};
use soma_capability::Prices;
use soma_registry::owner_only;
use soma_runtime::{Engine, Loader, Network, Rules};
use sqlx::AnyPool;
use uuid::Uuid;

use crate::admission::Admission;
use crate::answers::Answers;
use crate::audit::Audit;
use crate::auth::Keyring;
use crate::backup::UNFINISHED;
use crate::budget::{Budgets, Clock};
use crate::catalog::Catalog;
use crate::db::ledger::Holder;
use crate::grants::{Grants, Networks};
use crate::keepers::Keepers;
use crate::logs::Logs;
use crate::metrics::Metrics;
use crate::rates::Rates;
use crate::restored::Restored;
use crate::secrets::{Sealer, Secrets, check_key};
use crate::settings::{Live, Reloaded, Settings};
use crate::stores::Stores;
use crate::usage::Book;
use crate::watches::Watches;
use crate::{accounting, db, local_keys};

/// In the data folder; whoever runs on it has it locked.
pub(crate) const LOCK: &str = "host.lock";

/// What every handler is given.
pub(crate) type AppState = Arc<App>;

/// One host: its settings and its parts.
pub(crate) struct App {
    pub(crate) settings: Settings,
    live: ArcSwap<InForce>,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    pub(crate) pool: AnyPool,
    pub(crate) keyring: Keyring,
    pub(crate) catalog: Catalog,
    pub(crate) grants: Grants,
    pub(crate) keepers: Keepers,
    pub(crate) secrets: Secrets,
    pub(crate) stores: Stores,
    pub(crate) watches: Watches,
    pub(crate) logs: Logs,
    pub(crate) restored: Restored,
    pub(crate) audit: Arc<Audit>,
    pub(crate) admission: Admission,
    pub(crate) rates: Rates,
    pub(crate) budgets: Budgets,
    pub(crate) answers: Answers,
    pub(crate) usage: Book,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) engine: Engine,
    stopping: AtomicBool,
    /// Held as long as the host runs.
    _lock: File,
}

/// The live settings, and what is made from them.
pub(crate) struct InForce {
    pub(crate) settings: Live,
    pub(crate) networks: Networks,
    prices: Arc<str>,
}

impl InForce {
    fn new(settings: Live, address: SocketAddr) -> anyhow::Result<Self> {
        let open = Network::new(Rules {
            open: settings.allow_http.clone(),
            host: Some(address),
            ..Rules::default()
        });
        let networks = Networks::new(open?);
        Ok(Self {
            prices: settings.prices.version().into(),
            settings,
            networks,
        })
    }

    /// The version of a list of prices. A call can be reckoned by the one before a reload.
    pub(crate) fn version_of(&self, prices: &Prices) -> Arc<str> {
        if *prices == self.settings.prices {
            return self.prices.clone();
        }
        prices.version().into()
    }
}

impl App {
    /// Makes every part of a host that is to listen at this address.
    pub(crate) async fn new(settings: Settings, address: SocketAddr) -> anyhow::Result<Self> {
        let lock = claim(&settings.data)?;
        if let Some(file) = settings.own_database() {
            // SQLite gives the files beside it the same mode.
            owner_only::narrow(&file).context("the database")?;
        }
        let pool = db::open(&settings.database).await.context("the database")?;
        accounting::check(&settings, &pool).await?;
        let sealer = sealer(&settings, &pool).await?;
        let metrics = Arc::new(Metrics::new()?);
        let audit = Arc::new(Audit::open(&settings.data, metrics.audit.clone())?);
        if settings.listen.ip().is_loopback() {
            local_keys::provide(&pool, &settings.data.join("keys"), &audit)
                .await
                .context("the local keys")?;
        } else if !db::keys::any_live_admin(&pool).await? {
            bail!(
                "there is no admin key yet, so nobody could use this host: run `soma serve` once \
                 on 127.0.0.1 with this data folder and database, which makes one"
            );
        }
        let engine = Engine::new(&settings.engine())?;
        let loader = Loader::new(
            engine.clone(),
            &settings.data.join("code"),
            settings.compiler.clone(),
        )?;
        let keepers = Keepers::new(&settings.keepers).context("where credentials are read from")?;
        let trust = &settings.live.trust;
        let logs = Logs::open(pool.clone(), &settings.data, metrics.clone(), trust).await?;
        let longest = Duration::from_millis(settings.live.maximum_limits.time_ms);
        let holder = Holder::new(host_id(&settings.data)?);
        Ok(Self {
            live: ArcSwap::from_pointee(InForce::new(settings.live.clone(), address)?),
            address,
            keyring: Keyring::new(pool.clone()),
            catalog: Catalog::open(pool.clone(), &settings.data, loader, metrics.clone()).await?,
            grants: Grants::new(pool.clone()),
            secrets: Secrets::new(pool.clone(), sealer, keepers.clone())?,
            keepers,
            stores: Stores::new(pool.clone()),
            watches: Watches::new(pool.clone()),
            logs,
            restored: Restored::open(&settings.data)?,
            audit,
            admission: Admission::new(
                settings.live.concurrent_calls,
                settings.live.waiting_calls,
                metrics.waiting.clone(),
                metrics.running.clone(),
            ),
            rates: Rates::default(),
            answers: Answers::new(pool.clone(), holder.clone(), longest),
            budgets: Budgets::open(pool.clone(), holder, Clock::system(), longest).await?,
            usage: Book::new(pool.clone()),
            metrics,
            engine,
            pool,
            settings,
            stopping: AtomicBool::new(false),
            _lock: lock,
        })
    }

    /// The live settings of this moment. To be dropped soon.
    pub(crate) fn live(&self) -> Guard<Arc<InForce>> {
        self.live.load()
    }

    /// The same, to be kept for as long as a call takes to prepare.
    pub(crate) fn in_force(&self) -> Arc<InForce> {
        self.live.load_full()
    }

    /// Puts new live settings in force. Says what changed, and what could not be.
    pub(crate) fn reload(&self, new: Settings) -> anyhow::Result<Reloaded> {
        let mut held = self.settings.need_restart(&new);
        let (live, held_back) = new.live.within(&self.settings.live);
        held.extend(held_back);
        let changed = self.live().settings.changed(&live);
        let live = InForce::new(live, self.address)?;
        self.admission
            .resize(live.settings.concurrent_calls, live.settings.waiting_calls);
        self.live.store(Arc::new(live));
        Ok(Reloaded { changed, held })
    }

    /// From now on /readyz says no.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Relaxed);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Relaxed)
    }
}

/// With the key that credentials are sealed under: what opens none of those there are is another.
async fn sealer(settings: &Settings, pool: &AnyPool) -> anyhow::Result<Sealer> {
    let sealer = match &settings.secrets_key {
        Some(file) => Sealer::open_file(file, false)?,
        None => Sealer::open_file(&settings.data.join("secrets.key"), true)?,
    };
    check_key(pool, &sealer).await?;
    Ok(sealer)
}

/// What this host is called among those of its database, from its first start on.
fn host_id(data: &Path) -> anyhow::Result<String> {
    let file = data.join("host.id");
    match fs::read_to_string(&file) {
        Ok(id) => Ok(id.trim().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let id = Uuid::now_v7().to_string();
            owner_only::create(&file, &format!("{id}\n"))?;
            Ok(id)
        }
        Err(error) => Err(error).with_context(|| file.display().to_string()),
    }
}

/// Makes the data folder, or checks that it is its owner's alone, and takes it for this process.
pub(crate) fn claim(data: &Path) -> anyhow::Result<File> {
    let make = || -> anyhow::Result<File> {
        owner_only::folder(data)?;
        if data.join(UNFINISHED).exists() {
            bail!(
                "a restore into it is under way, or was cut off: then empty it, and restore again"
            );
        }
        let lock = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(data.join(LOCK))?;
        // A client that looks whether a host is running holds it for a moment.
        for wait in [10, 50, 200, 0] {
            match lock.try_lock() {
                Ok(()) => return Ok(lock),
                Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(wait)),
                Err(TryLockError::Error(error)) => return Err(error.into()),
            }
        }
        bail!("another host is running on it")
    };
    make().with_context(|| format!("the data folder {}", data.display()))
}

/// Whether a host runs on a data folder: it has the lock for as long.
pub fn is_in_use(data: &Path) -> io::Result<bool> {
    let lock = match File::open(data.join(LOCK)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        lock => lock?,
    };
    match lock.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
