//! What is about to be installed: a file that was read, and where it comes from.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use soma_capability::{Digest, Name};
use soma_registry::{Package, PublicKey};
use sqlx::{AnyConnection, AnyPool};

use super::changes::succeed;
use super::{Described, Installed, Shelf};
use crate::audit::Event;
use crate::consent::Reason;
use crate::db::aside::{self, Aside, Standing};
use crate::db::capsules::{self, Installation, Logged, origin};
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
    /// Unix seconds.
    pub(crate) published: u64,
}

/// What an installation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Change {
    /// The name was free.
    Created,
    /// It serves in the place of another file.
    Replaced,
    /// Another file serves until an administrator approves this one.
    Held,
    /// This very file had it.
    Unchanged,
}

/// An installation that is done.
pub(crate) struct Done {
    pub(crate) installed: Arc<Installed>,
    pub(crate) change: Change,
    /// Why it is held.
    pub(crate) reasons: Vec<Reason>,
    /// What compiling took, where the code was not there already.
    pub(crate) compiled: Duration,
}

impl Done {
    /// As it is recorded, with the tenant where it is not that of who did it.
    pub(crate) fn event(&self, of: Option<String>) -> Event {
        let Installed { row, about } = &*self.installed;
        Event::Install {
            capsule: row.name.clone(),
            of,
            version: about.manifest.version.clone(),
            digest: row.digest,
            change: self.change,
            reasons: self.reasons.clone(),
        }
    }
}

/// A file that comes, and what becomes of it.
pub(super) struct Arriving {
    pub(super) about: Arc<Described>,
    pub(super) row: Installation,
    pub(super) proof: Option<Proof>,
    pub(super) change: Change,
    pub(super) reasons: Vec<Reason>,
    /// The file that goes in exchange.
    pub(super) instead: Option<Digest>,
}

impl Arriving {
    /// Writes the rows, and pins the namespace to the log it came from. A file that no log has is
    /// refused where the namespace is pinned, and so is what another log has.
    pub(super) async fn keep(
        &self,
        pool: &AnyPool,
        tenant: &str,
        shelf: Option<&Shelf>,
    ) -> Result<(), Error> {
        let namespace = self.row.name.publisher();
        let mut transaction = pool.begin().await?;
        // Written before anything is read: SQLite does not let a reader become the writer while
        // others write.
        self.place(&mut transaction, tenant, shelf).await?;
        let pinned = match &self.proof {
            Some(Proof { logged, keys, .. }) => {
                pins::put(&mut transaction, &namespace, &logged.log, keys).await?
            }
            None => pins::get(&mut transaction, &namespace).await?.is_none(),
        };
        if !pinned {
            let pin = pins::get(&mut transaction, &namespace).await?;
            let log = pin.map_or_else(String::new, |pin| pin.log);
            return Err(match self.proof {
                Some(_) => elsewhere(namespace, &log),
                None => Distrust::File {
                    namespace,
                    origin: origin(&log).to_owned(),
                },
            }
            .into());
        }
        Ok(transaction.commit().await?)
    }

    async fn place(
        &self,
        connection: &mut AnyConnection,
        tenant: &str,
        shelf: Option<&Shelf>,
    ) -> sqlx::Result<()> {
        let new = Aside {
            standing: Standing::Held,
            row: self.row.clone(),
            version: self.about.manifest.version.clone(),
            reasons: self.reasons.clone(),
        };
        match (self.change, shelf) {
            (Change::Held, _) => aside::put(connection, tenant, &new).await,
            (Change::Replaced, Some(shelf)) => {
                succeed(connection, tenant, &new, &shelf.serving).await?;
                // What is still held is newer.
                match &shelf.held {
                    Some(held) if held.version <= new.version => {
                        aside::delete(connection, tenant, &new.row.name, Standing::Held).await
                    }
                    _ => Ok(()),
                }
            }
            _ => capsules::put(connection, tenant, &new.row, &new.version).await,
        }
    }
}

/// What to say of a namespace that is pinned to another log.
pub(crate) fn elsewhere(namespace: Name, log: &str) -> Distrust {
    Distrust::Pinned {
        namespace,
        origin: origin(log).to_owned(),
    }
}
