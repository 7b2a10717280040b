//! The installed capsules, each tenant's own: from a name to something that can be called.
//! Installing verifies and compiles; it runs nothing.

mod blobs;
mod described;

use std::path::Path;
use std::sync::Arc;

use moka::future::Cache;
use serde::Serialize;
use soma_capability::{CapsuleName, Digest};
use soma_registry::Package;
use soma_runtime::{Capsule, CompileError, LoadError, Loader};
use sqlx::AnyPool;
use tokio::sync::Mutex;

use self::blobs::Blobs;
pub(crate) use self::described::{Described, ReadyTool};
use crate::auth::BELIEVED;
use crate::db::capsules::{self, Installation};
use crate::error::Error;
use crate::metrics::Metrics;

/// Look-ups remembered, unknown names among them.
const LOOKUPS: u64 = 10_000;
/// Manifests, schemas and code held in memory.
const IN_MEMORY: u64 = 256;

/// What is installed, by whom, and how to run it.
pub(crate) struct Catalog {
    pool: AnyPool,
    blobs: Blobs,
    pub(crate) loader: Loader,
    metrics: Arc<Metrics>,
    installed: Cache<(String, CapsuleName), Option<Arc<Installed>>>,
    described: Cache<Digest, Arc<Described>>,
    /// Held while a file and its row change together, so that no file goes that a row needs.
    changes: Mutex<()>,
}

/// One capsule as one tenant has it.
pub(crate) struct Installed {
    pub(crate) row: Installation,
    pub(crate) about: Arc<Described>,
}

/// What an installation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Change {
    /// The name was free.
    Created,
    /// Another file had the name.
    Replaced,
    /// This very file had it.
    Unchanged,
}

impl Catalog {
    /// Keeps the files under `folder`, which is made where it is missing.
    pub(crate) fn open(
        pool: AnyPool,
        folder: &Path,
        loader: Loader,
        metrics: Arc<Metrics>,
    ) -> std::io::Result<Self> {
        Ok(Self {
            pool,
            blobs: Blobs::open(folder)?,
            loader,
            metrics,
            installed: Cache::builder()
                .max_capacity(LOOKUPS)
                .time_to_live(BELIEVED)
                .build(),
            described: Cache::new(IN_MEMORY),
            changes: Mutex::new(()),
        })
    }

    /// The capsule of this name, for the tenant it belongs to. Most of the time without the
    /// database.
    pub(crate) async fn find(
        &self,
        tenant: &str,
        name: &CapsuleName,
    ) -> Result<Arc<Installed>, Error> {
        let key = (tenant.to_owned(), name.clone());
        let found = match self.installed.get(&key).await {
            Some(found) => found,
            None => {
                let look = self.look_up(tenant, name);
                let found = self.installed.try_get_with(key, look).await;
                found.map_err(Error::Shared)?
            }
        };
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

    /// All of a tenant's capsules, by name.
    pub(crate) async fn list(&self, tenant: &str) -> Result<Vec<Installed>, Error> {
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
            self.loader
                .load(&about.digest, || std::fs::read(file))
                .await
        };
        Ok(about.code.get_or_try_init(load).await?.clone())
    }

    /// Installs a capsule file. It is compiled first, so that the first call is warm, and a
    /// component that does not compile, link or fit the pool is refused with the reason.
    pub(crate) async fn install(
        &self,
        tenant: &str,
        file: Vec<u8>,
    ) -> Result<(Arc<Installed>, Change), Error> {
        let (package, about) = self.read(file).await?;
        let digest = about.digest;
        let bytes: Arc<[u8]> = package.into_bytes().into();
        let component = bytes.clone();
        let code = self.loader.load(&digest, move || Ok(component.to_vec()));
        let code = code.await.map_err(refusal)?;
        // Set once, here; nobody else has this description yet.
        let about = Arc::new(Described {
            code: code.into(),
            ..about
        });
        let name = &about.manifest.name;

        let _exclusive = self.changes.lock().await;
        let before = capsules::get(&self.pool, tenant, name).await?;
        self.blobs.write(&digest, bytes.clone()).await?;
        let size = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        let version = &about.manifest.version;
        let change = match &before {
            None => Change::Created,
            Some(before) if before.digest == digest => Change::Unchanged,
            Some(_) => Change::Replaced,
        };
        if change != Change::Unchanged {
            capsules::put(&self.pool, tenant, name, version, &digest, size).await?;
        }
        self.described.insert(digest, about.clone()).await;
        self.forget_name(tenant, name).await;
        if let Some(before) = before {
            self.release(&before.digest).await?;
        }
        Ok((self.find(tenant, name).await?, change))
    }

    /// Uninstalls, and removes the file where nobody else has it installed.
    pub(crate) async fn uninstall(&self, tenant: &str, name: &CapsuleName) -> Result<(), Error> {
        let _exclusive = self.changes.lock().await;
        let gone = capsules::delete(&self.pool, tenant, name).await?;
        let gone = gone.ok_or_else(|| Error::UnknownCapsule(name.clone()))?;
        self.forget_name(tenant, name).await;
        self.release(&gone.digest).await
    }

    /// Deletes a tenant by `delete`, and then the files that only it had installed.
    pub(crate) async fn delete_tenant(
        &self,
        tenant: &str,
        delete: impl Future<Output = sqlx::Result<bool>>,
    ) -> Result<bool, Error> {
        let _exclusive = self.changes.lock().await;
        let rows = capsules::list(&self.pool, tenant).await?;
        let deleted = delete.await?;
        for row in rows {
            self.forget_name(tenant, &row.name).await;
            self.release(&row.digest).await?;
        }
        Ok(deleted)
    }

    async fn forget_name(&self, tenant: &str, name: &CapsuleName) {
        let key = (tenant.to_owned(), name.clone());
        self.installed.invalidate(&key).await;
    }

    async fn release(&self, digest: &Digest) -> Result<(), Error> {
        if capsules::is_used(&self.pool, digest).await? {
            return Ok(());
        }
        self.described.invalidate(digest).await;
        self.loader.forget(digest).await?;
        Ok(self.blobs.remove(digest).await?)
    }

    async fn describe(&self, digest: &Digest) -> Result<Arc<Described>, Error> {
        if let Some(about) = self.described.get(digest).await {
            return Ok(about);
        }
        let load = async {
            let (_, about) = self.read(self.blobs.read(digest).await?).await?;
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
                Error::Storage(std::io::Error::other(format!("{digest}: {error}")))
            }
            _ => Error::Shared(error),
        })
    }

    /// Parses, hashes and compiles schemas away from the threads that serve.
    async fn read(&self, file: Vec<u8>) -> Result<(Package, Described), Error> {
        let metrics = self.metrics.clone();
        let read = tokio::task::spawn_blocking(move || {
            let package = Package::read(file)?;
            let about = Described::new(&package, &metrics);
            Ok((package, about))
        });
        read.await
            .map_err(|panic| Error::Panicked(panic.to_string()))?
    }
}

/// Whose trouble a capsule is that does not load when it is installed.
fn refusal(error: Arc<LoadError>) -> Error {
    match &*error {
        LoadError::Compile(CompileError::Child(_)) => Error::Load(error),
        LoadError::Link(_) | LoadError::Compile(_) => Error::InvalidCapsule(error.to_string()),
        _ => Error::Load(error),
    }
}
