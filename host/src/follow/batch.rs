//! Some leaves of a log that follow each other, on their way into the database.

use soma_registry::log::Frontier;
use soma_registry::{IndexError, Step};
use sqlx::{AnyConnection, AnyPool};

use crate::db::{logs, releases};
use crate::distrust::Distrust;
use crate::error::Error;
use crate::logs::Source;

/// The leaves between two edges.
pub(super) struct Batch {
    from: Frontier,
    edge: Frontier,
    /// Where they are still held.
    leaves: Option<Vec<Vec<u8>>>,
}

impl Batch {
    /// The leaves from an edge up to `to`.
    pub(super) async fn fetch(source: &Source, from: Frontier, to: u64) -> Result<Self, Error> {
        let leaves = source.client.leaves(from.size(), to).await;
        let leaves = leaves.map_err(Distrust::from)?;
        let mut edge = from.clone();
        for leaf in &leaves {
            edge.push(leaf);
        }
        if edge.size() != to {
            let sent = leaves.len() as u64;
            let wanted = to - from.size();
            let error = soma_registry::FollowError::Leaves { sent, wanted };
            return Err(Distrust::Marketplace(error.into()).into());
        }
        Ok(Self {
            from,
            edge,
            leaves: Some(leaves),
        })
    }

    /// The edge after the last of them.
    pub(super) fn edge(&self) -> &Frontier {
        &self.edge
    }

    /// They are fetched again when they are needed.
    pub(super) fn drop_leaves(&mut self) {
        self.leaves = None;
    }

    /// Takes the leaves in, all or none. Gives the time of the last; none where another host has
    /// taken them in.
    pub(super) async fn take_in(
        self,
        pool: &AnyPool,
        source: &Source,
        after: u64,
    ) -> Result<Option<u64>, Error> {
        let (key, first) = (source.client.key(), self.from.size());
        let leaves = match self.leaves {
            Some(leaves) => leaves,
            None => {
                let again = Self::fetch(source, self.from, self.edge.size()).await?;
                if again.edge != self.edge {
                    return Err(Error::NotReady("a log sent other leaves the second time"));
                }
                again.leaves.unwrap_or_default()
            }
        };
        let steps = opened(leaves, first, key.origin().to_owned(), after);
        let steps = steps.await?.map_err(|error| broken(source, error))?;
        let mut transaction = pool.begin().await?;
        // First, so that nobody else takes the same leaves in, and SQLite's one writer is this.
        if !logs::advance(&mut transaction, key, first, &self.edge).await? {
            return Ok(None);
        }
        for step in &steps {
            apply(&mut transaction, source, step).await?;
        }
        let last = steps.last().map_or(after, Step::time);
        logs::set_leaf_time(&mut transaction, key, last).await?;
        transaction.commit().await?;
        Ok(Some(last))
    }
}

/// Reads leaves and checks their signatures, away from the threads that serve.
async fn opened(
    leaves: Vec<Vec<u8>>,
    first: u64,
    origin: String,
    after: u64,
) -> Result<Result<Vec<Step>, IndexError>, Error> {
    let open = move || {
        let mut time = after;
        let mut steps = Vec::new();
        for (index, leaf) in (first..).zip(leaves) {
            let step = Step::read(index, &leaf, &origin, time)?;
            time = step.time();
            steps.push(step);
        }
        Ok(steps)
    };
    Ok(tokio::task::spawn_blocking(open).await?)
}

async fn apply(connection: &mut AnyConnection, source: &Source, step: &Step) -> Result<(), Error> {
    let key = source.client.key();
    let name = step.namespace();
    let namespace = releases::namespace(connection, key, &name).await?;
    let release = match step.release() {
        None => None,
        Some((capsule, version)) => releases::concerned(connection, key, capsule, version).await?,
    };
    let applied = step.apply(namespace.as_ref(), release.as_ref());
    let applied = applied.map_err(|error| broken(source, error))?;
    if namespace.as_ref() != Some(&applied.namespace) {
        releases::put_namespace(connection, key, &name, &applied.namespace).await?;
    }
    if let Some(release) = &applied.release {
        releases::put_release(connection, key, release).await?;
    }
    Ok(())
}

fn broken(source: &Source, error: IndexError) -> Error {
    let origin = source.client.origin().to_owned();
    Distrust::Leaf { origin, error }.into()
}
