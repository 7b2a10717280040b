//! What capsules keep from call to call, in the database, so that every host of it sees the same.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use moka::future::Cache;
use soma_capability::KvCapability;
use soma_runtime::{Change, Changed, Kv, KvError, KvStore, Write};
use sqlx::AnyPool;
use tokio::sync::{Mutex, Semaphore};

use crate::catalog::Installed;
use crate::db::stores::{self, Owner};

/// Connections that all stores together may hold: others are for who calls, and what is installed.
const CONNECTIONS: usize = 8;
/// No UTF-8 text has this byte: it comes after every key.
const LAST: u8 = 0xff;
/// How long it is remembered whose turn it is at a store that nobody asks for one.
const IDLE: Duration = Duration::from_secs(60);

/// All stores.
pub(crate) struct Stores(Arc<Shared>);

struct Shared {
    pool: AnyPool,
    places: Semaphore,
    /// Who changes a store waits here, and not with a connection in its hand.
    turns: Cache<Owner, Arc<Mutex<()>>>,
}

/// One store, for one call.
struct Stored {
    owner: Owner,
    quota: u64,
    shared: Arc<Shared>,
}

impl Stores {
    pub(crate) fn new(pool: AnyPool) -> Self {
        Self(Arc::new(Shared {
            pool,
            places: Semaphore::new(CONNECTIONS),
            turns: Cache::builder().time_to_idle(IDLE).build(),
        }))
    }

    /// The store of a tenant's capsule.
    pub(crate) fn of(&self, tenant: &str, installed: &Installed, quota: KvCapability) -> Kv {
        Kv::new(Arc::new(Stored {
            owner: owner(tenant, installed),
            quota: quota.quota_bytes(),
            shared: self.0.clone(),
        }))
    }
}

/// Whose store the one of a capsule is.
pub(crate) fn owner(tenant: &str, installed: &Installed) -> Owner {
    Owner {
        tenant: tenant.to_owned(),
        capsule: installed.row.name.clone(),
        log: installed.row.log().map(str::to_owned),
    }
}

#[async_trait]
impl KvStore for Stored {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        let _place = self.shared.places.acquire().await.map_err(unavailable)?;
        let value = stores::get(&self.shared.pool, &self.owner, key).await;
        value.map_err(unavailable)
    }

    async fn change(&self, key: &str, change: Change) -> Result<Changed, KvError> {
        let turn = async { Arc::default() };
        let turn = self.shared.turns.get_with(self.owner.clone(), turn).await;
        let _turn = turn.lock().await;
        let _place = self.shared.places.acquire().await.map_err(unavailable)?;
        let mut transaction = self.shared.pool.begin().await.map_err(unavailable)?;
        let store = stores::lock(&mut transaction, &self.owner).await;
        let store = store.map_err(gone)?;
        let before = store.get(&mut transaction, key).await;
        let before = before.map_err(unavailable)?;
        let (changed, write) =
            change.within(self.quota, store.used_bytes, key, before.as_deref())?;
        if let Some(Write { value, used_bytes }) = write {
            let put = store.put(&mut transaction, key, value.as_deref(), used_bytes);
            put.await.map_err(unavailable)?;
        }
        transaction.commit().await.map_err(unavailable)?;
        Ok(changed)
    }

    async fn keys(
        &self,
        prefix: &str,
        after: Option<&str>,
        most: usize,
    ) -> Result<Vec<String>, KvError> {
        let from = match after {
            // Nothing comes between a key and the same with a zero after it.
            Some(after) if after >= prefix => [after.as_bytes(), &[0]].concat(),
            _ => prefix.as_bytes().to_vec(),
        };
        let mut before = prefix.as_bytes().to_vec();
        match before.last_mut() {
            Some(last) => *last += 1,
            None => before.push(LAST),
        }
        let _place = self.shared.places.acquire().await.map_err(unavailable)?;
        let keys = stores::keys(&self.shared.pool, &self.owner, &from, &before, most).await;
        let keys = keys.map_err(unavailable)?.into_iter();
        keys.map(|key| String::from_utf8(key).map_err(unavailable))
            .collect()
    }
}

fn gone(error: sqlx::Error) -> KvError {
    match error.as_database_error() {
        Some(database) if database.is_foreign_key_violation() => {
            KvError::Unavailable("the capsule has been uninstalled".to_owned())
        }
        _ => unavailable(error),
    }
}

/// What went wrong is the operator's to know.
fn unavailable(error: impl std::error::Error) -> KvError {
    tracing::error!(%error, "a capsule's store");
    KvError::Unavailable("the host cannot reach the store".to_owned())
}
