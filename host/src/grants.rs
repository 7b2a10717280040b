//! What capsules are granted, and the network that follows from it: made once for each grant, so
//! that its connections are its own and end with it.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use rustc_hash::FxBuildHasher;
use soma_capability::{CapsuleName, Digest};
use soma_runtime::{Network, NetworkError};
use sqlx::AnyPool;

use crate::believed::Believed;
use crate::catalog::Installed;
use crate::db::grants::{self, Granted};
use crate::error::Error;

/// A network that nothing was called through for so long is let go, with its connections.
const IDLE: Duration = Duration::from_secs(5 * 60);
const REMEMBERED: u64 = 10_000;

/// All grants, most of the time without the database.
pub(crate) struct Grants {
    pool: AnyPool,
    granted: Believed<(String, CapsuleName), Option<Arc<Granted>>>,
}

/// Networks that were made, each of one capsule file under one grant.
pub(crate) struct Networks {
    /// Every capsule's, which nothing was granted to.
    open: Network,
    made: Cache<(String, Digest, String), Network, FxBuildHasher>,
}

impl Grants {
    pub(crate) fn new(pool: AnyPool) -> Self {
        let granted = Believed::new();
        Self { pool, granted }
    }

    /// What holds now for this installation.
    pub(crate) async fn of(
        &self,
        tenant: &str,
        installed: &Installed,
    ) -> Result<Option<Arc<Granted>>, Error> {
        let key = (tenant.to_owned(), installed.row.name.clone());
        let look_up = || async {
            let found = grants::get(&self.pool, tenant, &key.1).await?;
            Ok(found.map(Arc::new))
        };
        let granted = self.granted.get(&key, look_up).await?;
        Ok(granted.filter(|granted| granted.holds(installed.row.log())))
    }

    /// Forgets all of them, because one has changed.
    pub(crate) fn forget(&self) {
        self.granted.forget();
    }
}

impl Networks {
    pub(crate) fn new(open: Network) -> Self {
        Self {
            open,
            made: Cache::builder()
                .max_capacity(REMEMBERED)
                .time_to_idle(IDLE)
                // Of names that this program made.
                .build_with_hasher(FxBuildHasher),
        }
    }

    /// What a capsule reaches that nothing was granted to.
    pub(crate) fn open(&self) -> Network {
        self.open.clone()
    }

    /// Upstreams that are left alone at this moment, by whichever network.
    pub(crate) fn upstreams_down(&self) -> usize {
        let made = self
            .made
            .iter()
            .map(|(_, network)| network.upstreams_down());
        self.open.upstreams_down() + made.sum::<usize>()
    }

    /// The one of a tenant's capsule file under a grant and its credentials, of this revision.
    pub(crate) async fn of(
        &self,
        tenant: &str,
        digest: Digest,
        revision: String,
        make: impl FnOnce() -> Result<Network, NetworkError>,
    ) -> Result<Network, Error> {
        let key = (tenant.to_owned(), digest, revision);
        let made = self.made.try_get_with(key, async { make() }).await;
        made.map_err(|error| Error::Client(error.to_string()))
    }
}
