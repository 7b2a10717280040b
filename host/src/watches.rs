//! Capsules whose requests are recorded for a while, for the smallest grant to be made of them.
//! Nothing is allowed by it that was not. A call of any other capsule looks at an empty map.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use arc_swap::ArcSwap;
use soma_capability::CapsuleName;
use soma_runtime::Learned;
use sqlx::AnyPool;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::app::AppState;
use crate::catalog::Installed;
use crate::db::is_orphan;
use crate::db::watches::{self, Watch};
use crate::error::Error;

/// How often what was seen is kept, and looked what other hosts of the database have begun or ended.
const ROUND: Duration = Duration::from_secs(1);

/// All that are on.
pub(crate) struct Watches {
    pool: AnyPool,
    on: ArcSwap<HashMap<(String, CapsuleName), Arc<Watched>>>,
    turn: Mutex<()>,
}

/// One that is on, as this host sees it.
pub(crate) struct Watched {
    watch: Watch,
    /// What this host's calls sent, and were denied.
    pub(crate) learned: Learned,
    /// Tells it from one of the same watch that this host had before.
    pub(crate) revision: String,
    is_known_full: AtomicBool,
}

impl Watched {
    fn new(watch: Watch) -> Self {
        Self {
            is_known_full: AtomicBool::new(watch.is_full),
            watch,
            learned: Learned::at_most(watches::MOST),
            revision: Uuid::now_v7().to_string(),
        }
    }

    /// The same, as it is in the database now.
    fn renewed(&self, watch: Watch) -> Self {
        Self {
            is_known_full: AtomicBool::new(watch.is_full),
            watch,
            learned: self.learned.clone(),
            revision: self.revision.clone(),
        }
    }

    async fn keep(&self, pool: &AnyPool) -> Result<(), Error> {
        let news = self.learned.news();
        let is_full = self.learned.is_full();
        if news.is_empty() && (!is_full || self.is_known_full.load(Relaxed)) {
            return Ok(());
        }
        match watches::keep(pool, &self.watch.id, &news, is_full).await {
            // It was begun anew, or its capsule is gone: nobody asks for this any more.
            Err(error) if is_orphan(&error) => {}
            kept => kept?,
        }
        self.learned.kept(news.len());
        self.is_known_full.fetch_or(is_full, Relaxed);
        Ok(())
    }
}

impl Watches {
    pub(crate) fn new(pool: AnyPool) -> Self {
        Self {
            pool,
            on: ArcSwap::default(),
            turn: Mutex::default(),
        }
    }

    /// The one of this installation, where it is on.
    pub(crate) fn of(&self, tenant: &str, installed: &Installed) -> Option<Arc<Watched>> {
        let on = self.on.load();
        if on.is_empty() {
            return None;
        }
        let watched = on.get(&(tenant.to_owned(), installed.row.name.clone()))?;
        let holds = watched.watch.is_on() && watched.watch.is_of(installed.row.log());
        holds.then(|| watched.clone())
    }

    /// Keeps what was seen, and looks which are on.
    pub(crate) async fn settle(&self) -> Result<(), Error> {
        let _turn = self.turn.lock().await;
        let before = self.on.load_full();
        for watched in before.values() {
            watched.keep(&self.pool).await?;
        }
        let on = watches::on(&self.pool).await?;
        if on.is_empty() && before.is_empty() {
            return Ok(());
        }
        let known = |watch: Watch| {
            let key = (watch.tenant.clone(), watch.capsule.clone());
            let known = before.get(&key).filter(|it| it.watch.id == watch.id);
            let watched = match known {
                Some(known) => known.renewed(watch),
                None => Watched::new(watch),
            };
            (key, Arc::new(watched))
        };
        self.on.store(Arc::new(on.into_iter().map(known).collect()));
        Ok(())
    }
}

/// Settles over and over until it is dropped.
pub(crate) async fn run(app: AppState) {
    let mut is_away = false;
    loop {
        tokio::time::sleep(ROUND).await;
        let settled = app.watches.settle().await;
        if let Err(error) = &settled
            && !is_away
        {
            tracing::error!(%error, "what capsules send could not be kept; it is tried again");
        }
        is_away = settled.is_err();
    }
}
