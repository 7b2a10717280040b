//! The installed capsules, each tenant's own: from a name to something that can be called.
//! Installing verifies and compiles; it runs nothing.

mod blobs;
mod changes;
mod described;
mod fresh;
mod shelf;

use std::io;
use std::path::Path;
use std::sync::Arc;

use moka::future::Cache;
use soma_capability::{CapsuleName, Digest};
use soma_registry::Package;
use soma_runtime::{Capsule, CompileError, LoadError, Loader};
use sqlx::AnyPool;
use tokio::sync::{RwLock, RwLockReadGuard, Semaphore};

use self::blobs::Blobs;
pub(crate) use self::blobs::{file_of, hex_of};
pub(crate) use self::described::{Described, ReadyTool};
use self::fresh::Arriving;
pub(crate) use self::fresh::{Change, Done, Fresh, Proof, elsewhere};
pub(crate) use self::shelf::{Shelf, Word};
use crate::admission::cores;
use crate::believed::Believed;
use crate::db::aside;
use crate::db::capsules::{self, Installation};
use crate::error::Error;
use crate::metrics::Metrics;

/// Manifests, schemas and code held in memory.
const IN_MEMORY: u64 = 256;

/// What is installed, by whom, and how to run it.
pub(crate) struct Catalog {
    pool: AnyPool,
    blobs: Blobs,
    pub(crate) loader: Loader,
    metrics: Arc<Metrics>,
    installed: Believed<(String, CapsuleName), Option<Arc<Installed>>>,
    described: Cache<Digest, Arc<Described>>,
    /// Held while a file and its row change together, so that no file goes that a row needs, and by
    /// whoever reads a row and then its file.
    changes: RwLock<()>,
    /// Capsules loaded at once, since each may be a compiler: one a core.
    loads: Semaphore,
}

/// What one tenant may have installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quota {
    pub(crate) capsules: u32,
    pub(crate) bytes: u64,
}

/// One capsule as one tenant has it.
pub(crate) struct Installed {
    pub(crate) row: Installation,
    pub(crate) about: Arc<Described>,
}

impl Catalog {
    /// Keeps the files in a folder of the data folder, which is made where it is missing. What was
    /// under way when the last host ended is cleared up.
    pub(crate) async fn open(
        pool: AnyPool,
        data: &Path,
        loader: Loader,
        metrics: Arc<Metrics>,
    ) -> Result<Self, Error> {
        let catalog = Self {
            pool,
            blobs: Blobs::open(data)?,
            loader,
            metrics,
            installed: Believed::new(),
            described: Cache::new(IN_MEMORY),
            changes: RwLock::new(()),
            loads: Semaphore::new(cores()),
        };
        for digest in catalog.blobs.unsettled()? {
            catalog.release(&digest).await?;
        }
        Ok(catalog)
    }

    /// The capsule of this name, for the tenant it belongs to. Most of the time without the
    /// database.
    pub(crate) async fn find(
        &self,
        tenant: &str,
        name: &CapsuleName,
    ) -> Result<Arc<Installed>, Error> {
        let key = (tenant.to_owned(), name.clone());
        let look_up = || self.look_up(tenant, name);
        let found = self.installed.get(&key, look_up).await?;
        found.ok_or_else(|| Error::UnknownCapsule(name.clone()))
    }

    async fn look_up(
        &self,
        tenant: &str,
        name: &CapsuleName,
    ) -> Result<Option<Arc<Installed>>, Error> {
        // A file that is gone was replaced since its row was read: the row to read now is newer.
        for last in [false, true] {
            let Some(row) = capsules::get(&self.pool, tenant, name).await? else {
                return Ok(None);
            };
            match self.describe(&row.digest).await {
                Ok(about) => return Ok(Some(Arc::new(Installed { row, about }))),
                Err(error) if last => return Err(error),
                Err(_) => {}
            }
        }
        Ok(None)
    }

    /// As long as this is held, every file stays that a row names.
    pub(crate) async fn steady(&self) -> RwLockReadGuard<'_, ()> {
        self.changes.read().await
    }

    /// All of a tenant's capsules, by name.
    pub(crate) async fn list(&self, tenant: &str) -> Result<Vec<Installed>, Error> {
        let _steady = self.steady().await;
        let mut all = Vec::new();
        for row in capsules::list(&self.pool, tenant).await? {
            let about = self.describe(&row.digest).await?;
            all.push(Installed { row, about });
        }
        Ok(all)
    }

    /// Code that can be called; from the code cache, or compiled.
    pub(crate) async fn code(&self, about: &Described) -> Result<Arc<Capsule>, Error> {
        let load = || async {
            let file = self.blobs.path(&about.digest);
            let turn = self.loads.acquire().await;
            let _turn = turn.map_err(|_| Error::NotReady("the host is stopping"))?;
            let loaded = self.loader.load(&about.digest, || std::fs::read(file));
            Ok::<_, Error>(loaded.await?)
        };
        Ok(about.code.get_or_try_init(load).await?.clone())
    }

    /// A capsule that nobody has any more is nothing to watch.
    async fn forget_metrics(&self, name: &CapsuleName) -> Result<(), Error> {
        if !capsules::is_installed(&self.pool, name).await? {
            self.metrics.forget(name);
        }
        Ok(())
    }

    /// Removes what belongs to a file that no row names, and settles which that is.
    async fn release(&self, digest: &Digest) -> Result<(), Error> {
        let is_used = capsules::is_used(&self.pool, digest).await?
            || aside::is_used(&self.pool, digest).await?;
        if !is_used {
            self.described.invalidate(digest).await;
            self.loader.forget(digest).await?;
            self.blobs.remove(digest).await?;
        }
        Ok(self.blobs.settle(digest).await?)
    }

    async fn describe(&self, digest: &Digest) -> Result<Arc<Described>, Error> {
        if let Some(about) = self.described.get(digest).await {
            return Ok(about);
        }
        let load = async {
            let file = self.blobs.read(digest).await;
            let file = file.map_err(|error| missing(digest, &error))?;
            let about = self.read(file).await?.about;
            if about.digest == *digest {
                return Ok(Arc::new(about));
            }
            let found = about.digest;
            let expected = *digest;
            Err(Error::Load(Arc::new(LoadError::Changed {
                expected,
                found,
            })))
        };
        let about = self.described.try_get_with(*digest, load).await;
        about.map_err(|error| match &*error {
            // An installed file that is no capsule any more is the host's trouble, not a client's.
            Error::Package(_) | Error::InvalidCapsule(_) => {
                Error::Storage(io::Error::other(format!("{digest}: {error}")))
            }
            _ => Error::Shared(error),
        })
    }

    /// Parses, hashes and compiles schemas away from the threads that serve.
    pub(crate) async fn read(&self, file: Vec<u8>) -> Result<Fresh, Error> {
        let metrics = self.metrics.clone();
        let read = tokio::task::spawn_blocking(move || {
            let package = Package::read(file)?;
            let about = Described::new(&package, &metrics);
            Ok(Fresh { package, about })
        });
        read.await?
    }
}

/// What to say of an installed capsule's file that cannot be read.
fn missing(digest: &Digest, error: &io::Error) -> Error {
    let kind = error.kind();
    let words = if kind == io::ErrorKind::NotFound {
        "it is installed, but its file is not in this host's data folder; files are not shared, so \
         where another host on the same database installed it, install it here too"
            .to_owned()
    } else {
        error.to_string()
    };
    Error::Storage(io::Error::new(kind, format!("{digest}: {words}")))
}

/// Whose trouble a capsule is that does not load when it is installed.
fn refusal(error: Arc<LoadError>) -> Error {
    match &*error {
        LoadError::Compile(CompileError::Child(_)) => Error::Load(error),
        LoadError::Link(_) | LoadError::Compile(_) => Error::InvalidCapsule(error.to_string()),
        _ => Error::Load(error),
    }
}
