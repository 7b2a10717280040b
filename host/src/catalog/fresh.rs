//! What is about to be installed: a file that was read, and where it comes from.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use soma_capability::Name;
use soma_registry::{Package, PublicKey};
use sqlx::AnyPool;

use super::{Described, Installed};
use crate::db::capsules::{self, Installation, Logged};
use crate::db::pins;
use crate::distrust::Distrust;
use crate::error::Error;

/// A capsule file that was read; nothing is kept of it yet.
pub(crate) struct Fresh {
    pub(crate) package: Package,
    pub(crate) about: Described,
}

/// Where a log says that it is the right file.
pub(crate) struct Proof {
    pub(crate) logged: Logged,
    /// The keys of the namespace's owners, to be pinned.
    pub(crate) keys: Vec<PublicKey>,
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

/// An installation that is done.
pub(crate) struct Done {
    pub(crate) installed: Arc<Installed>,
    pub(crate) change: Change,
    /// What compiling took, where the code was not there already.
    pub(crate) compiled: Duration,
}

/// Writes the row, and pins the namespace to the log it came from. A file that no log has is refused
/// where the namespace is pinned, and so is what another log has.
pub(super) async fn keep(
    pool: &AnyPool,
    tenant: &str,
    row: &Installation,
    version: &semver::Version,
    proof: Option<&Proof>,
) -> Result<(), Error> {
    let namespace = row.name.publisher();
    let mut transaction = pool.begin().await?;
    // Written before anything is read: SQLite does not let a reader become the writer while others
    // write.
    capsules::put(&mut transaction, tenant, row, version).await?;
    let pinned = match proof {
        Some(Proof { logged, keys }) => {
            pins::put(&mut transaction, &namespace, &logged.log, keys).await?
        }
        None => pins::get(&mut transaction, &namespace).await?.is_none(),
    };
    if !pinned {
        let pin = pins::get(&mut transaction, &namespace).await?;
        return Err(elsewhere(namespace, &pin.map_or_else(String::new, |pin| pin.log)).into());
    }
    Ok(transaction.commit().await?)
}

/// What to say of a namespace that is pinned to another log.
pub(crate) fn elsewhere(namespace: Name, log: &str) -> Distrust {
    Distrust::Pinned {
        namespace,
        origin: log.split('+').next().unwrap_or_default().to_owned(),
    }
}
