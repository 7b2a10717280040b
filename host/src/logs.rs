//! The logs of the marketplaces that this host knows: where they are, and what calls must know of
//! them without asking the database.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use soma_capability::Digest;
use soma_registry::client::Marketplace;
use soma_registry::{MARKETPLACES_FILE, Marketplaces, MarketplacesError};
use sqlx::AnyPool;
use tokio::sync::Mutex;

use crate::db;
use crate::db::capsules::Installation;
use crate::db::logs::Followed;
use crate::db::releases::{self, Revoked};
use crate::distrust::Distrust;
use crate::error::Error;
use crate::metrics::Metrics;
use crate::trust::{Trust, WhenUnreachable};

/// What is known of the logs.
pub(crate) struct Logs {
    pub(crate) pool: AnyPool,
    pub(crate) metrics: Arc<Metrics>,
    file: PathBuf,
    seen: std::sync::Mutex<Option<Stamp>>,
    sources: ArcSwap<Vec<Arc<Source>>>,
    known: ArcSwap<Known>,
}

/// What tells one state of a file from another.
type Stamp = (SystemTime, u64, u64);

/// One marketplace.
pub(crate) struct Source {
    pub(crate) client: Marketplace,
    /// Held during a look at its log.
    pub(crate) turn: Mutex<Turn>,
    /// Whether all that its log said at some moment since the start is taken in.
    is_current: AtomicBool,
}

/// When the log was last looked at, well or in vain.
#[derive(Default)]
pub(crate) struct Turn(pub(crate) Option<Instant>);

/// What a call needs to know, looked at without a lock.
#[derive(Default)]
struct Known {
    revoked: HashMap<Digest, Vec<Revoked>>,
    /// By log and digest.
    yanked: HashSet<(String, Digest)>,
    logs: HashMap<String, Stand>,
}

/// How one log stands.
#[derive(Clone, Debug)]
struct Stand {
    origin: String,
    size: u64,
    /// Unix seconds up to which it is known to have had nothing newer.
    fresh: Option<u64>,
    /// Unix seconds at which it was last looked at, well.
    seen: u64,
    distrusted: bool,
}

/// How long a look at a log may take.
const LOOK: Duration = Duration::from_secs(5);

impl Logs {
    /// Reads which marketplaces there are, and what is kept of their logs.
    pub(crate) async fn open(
        pool: AnyPool,
        data: &std::path::Path,
        metrics: Arc<Metrics>,
        trust: &Trust,
    ) -> anyhow::Result<Self> {
        let logs = Self {
            pool,
            metrics,
            file: data.join(MARKETPLACES_FILE),
            seen: std::sync::Mutex::default(),
            sources: ArcSwap::default(),
            known: ArcSwap::default(),
        };
        logs.reload()?;
        logs.refresh(trust).await?;
        Ok(logs)
    }

    /// The marketplaces of this moment.
    pub(crate) fn sources(&self) -> Arc<Vec<Arc<Source>>> {
        self.sources.load_full()
    }

    /// Reads the file again where it has changed. Gives the logs of the marketplaces that are gone;
    /// none where nothing has changed. A file with a mistake is refused once and changes nothing.
    pub(crate) fn reload(&self) -> Result<Option<Vec<String>>, MarketplacesError> {
        // Held until the new list is there: whoever comes meanwhile must not take the old one.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = self.stamp();
        if *seen == stamp {
            return Ok(None);
        }
        *seen = stamp;
        let new = self.read()?;
        let log = |source: &Arc<Source>| source.log();
        let kept: BTreeSet<String> = new.iter().map(log).collect();
        let old = self.sources.swap(Arc::new(new));
        let gone = old.iter().map(log);
        Ok(Some(gone.filter(|log| !kept.contains(log)).collect()))
    }

    /// The origins of the logs that were not looked at, well, since the start.
    pub(crate) fn not_current(&self) -> Vec<String> {
        let sources = self.sources();
        let behind = sources.iter().filter(|it| !it.is_current.load(SeqCst));
        behind.map(|it| it.client.origin().to_owned()).collect()
    }

    fn stamp(&self) -> Option<Stamp> {
        let about = fs::metadata(&self.file).ok()?;
        Some((about.modified().ok()?, about.len(), about.ino()))
    }

    /// A marketplace that stays stays the same object, so that looks at one log wait for each other.
    fn read(&self) -> Result<Vec<Arc<Source>>, MarketplacesError> {
        let before = self.sources();
        let mut sources: Vec<Arc<Source>> = Vec::new();
        for known in Marketplaces::read(&self.file)?.iter() {
            let is_same = |other: &&Arc<Source>| {
                *other.client.key() == known.key && *other.client.url() == known.url
            };
            sources.push(match before.iter().find(is_same) {
                Some(same) => same.clone(),
                None => Arc::new(Source {
                    client: known.client()?,
                    turn: Mutex::default(),
                    is_current: AtomicBool::default(),
                }),
            });
        }
        Ok(sources)
    }

    /// Takes what the database has now into what calls look at.
    pub(crate) async fn refresh(&self, trust: &Trust) -> Result<(), Error> {
        let mut known = Known::default();
        for revoked in releases::revoked(&self.pool).await? {
            known
                .revoked
                .entry(revoked.digest)
                .or_default()
                .push(revoked);
        }
        known.yanked = releases::yanked(&self.pool).await?;
        for followed in db::logs::list(&self.pool).await? {
            let stand = Stand {
                origin: followed.key.origin().to_owned(),
                size: followed.frontier.size(),
                fresh: fresh(&followed, trust),
                seen: followed.verified,
                distrusted: followed.distrusted.is_some(),
            };
            known.logs.insert(followed.key.to_string(), stand);
        }
        self.known.store(Arc::new(known));
        Ok(())
    }

    /// Seconds since an installed version's log was last looked at, where that is longer than it
    /// should be: what is newer than it is not known then. None where all is well.
    pub(crate) fn unseen(&self, row: &Installation, trust: &Trust) -> Option<u64> {
        let known = self.known.load();
        let stand = known.logs.get(&row.logged.as_ref()?.log)?;
        let unseen = now().saturating_sub(stand.seen);
        let expected = trust.revocation_interval + LOOK;
        (unseen > expected.as_secs()).then_some(unseen)
    }

    /// Whether an installed version's log is not believed any more.
    pub(crate) fn is_distrusted(&self, row: &Installation) -> bool {
        let known = self.known.load();
        let stand = row.logged.as_ref().and_then(|it| known.logs.get(&it.log));
        stand.is_some_and(|stand| stand.distrusted)
    }

    /// Puts into the metrics how the followed logs stand.
    pub(crate) fn measure(&self) {
        let known = self.known.load();
        for source in self.sources().iter() {
            if let Some(stand) = known.logs.get(&source.log()) {
                let silence = now().saturating_sub(stand.fresh.unwrap_or(0));
                let logs = &self.metrics.logs;
                logs.stands(&stand.origin, stand.size, silence, stand.distrusted);
            }
        }
    }

    /// Why an installed version must not run any more.
    pub(crate) fn revocation(&self, row: &Installation) -> Option<Revoked> {
        let known = self.known.load();
        let entries = known.revoked.get(&row.digest)?;
        let concerns = |revoked: &&Revoked| {
            // Another log's word on a version that comes from this one counts for nothing.
            let logged = row.logged.as_ref();
            revoked.capsule == row.name && logged.is_none_or(|logged| logged.log == revoked.log)
        };
        entries.iter().find(concerns).cloned()
    }

    /// Whether an installed version was yanked.
    pub(crate) fn is_yanked(&self, row: &Installation) -> bool {
        let known = self.known.load();
        let logged = row.logged.as_ref();
        logged.is_some_and(|logged| known.yanked.contains(&(logged.log.clone(), row.digest)))
    }

    /// Goes on where an installed version may run. Without the database: every call comes here.
    pub(crate) fn admit(&self, row: &Installation, trust: &Trust) -> Result<(), Error> {
        if let Some(revoked) = self.revocation(row) {
            return Err(revoked.into());
        }
        let Some(logged) = &row.logged else {
            return Ok(());
        };
        if trust.when_unreachable == WhenUnreachable::Serve {
            return Ok(());
        }
        let known = self.known.load();
        let fresh = known.logs.get(&logged.log).and_then(|stand| stand.fresh);
        if trust.is_silent(fresh, now()) {
            return Err(silent(logged.origin(), fresh, trust).into());
        }
        Ok(())
    }
}

impl Source {
    /// The log's key, by which everything that is kept of it is named.
    pub(crate) fn log(&self) -> String {
        self.client.key().to_string()
    }

    /// It was followed to its newest checkpoint, which says nothing where it is an old one.
    pub(crate) fn looked(&self, followed: &Followed, trust: &Trust) {
        if !trust.is_silent(fresh(followed, trust), now()) {
            self.is_current.store(true, SeqCst);
        }
    }

    /// Whether its log was not looked at for this long, and nobody is about to.
    pub(crate) fn is_due(&self, interval: Duration) -> bool {
        let turn = self.turn.try_lock();
        turn.is_ok_and(|turn| turn.0.is_none_or(|last| last.elapsed() >= interval))
    }
}

/// Unix seconds up to which a followed log is known to have had nothing newer.
pub(crate) fn fresh(followed: &Followed, trust: &Trust) -> Option<u64> {
    let checkpoint = followed.checkpoint.as_ref()?;
    trust.fresh_until(checkpoint, followed.verified)
}

/// What to say of a silent log.
pub(crate) fn silent(origin: &str, fresh: Option<u64>, trust: &Trust) -> Distrust {
    match fresh {
        None => Distrust::Undated(origin.to_owned()),
        Some(fresh) => Distrust::Silent {
            origin: origin.to_owned(),
            seconds: now().saturating_sub(fresh),
            maximum: trust.maximum_silence,
        },
    }
}

/// Unix seconds.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

impl From<Revoked> for Error {
    fn from(revoked: Revoked) -> Self {
        let by_marketplace = revoked.revocation.marketplace;
        Distrust::Revoked {
            capsule: revoked.capsule,
            version: revoked.version,
            by: if by_marketplace {
                "the marketplace"
            } else {
                "its publisher"
            },
            reason: revoked.revocation.reason,
        }
        .into()
    }
}
