//! Reading the log: its checkpoint, its leaves, and following it from what was seen before.

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::exchange::TRANSFER;
use super::{ClientError, Marketplace};
use crate::follower::Follower;
use crate::log::{Checkpoint, Resource, TILE_WIDTH, read_bundle};

/// Bundles that are fetched at once.
const AT_ONCE: usize = 8;
/// The most bytes of an entry bundle: 256 entries of 65,535 bytes, each after its length.
const MAX_ENTRIES_BYTES: usize = 256 * (2 + 65_535);
const MAX_CHECKPOINT_BYTES: usize = 64 << 10;
/// The most that one look at a log may take of memory: a log that says to be endless is not
/// followed to its end.
const MAX_LEAVES_BYTES: usize = 1 << 30;
/// What a leaf takes besides its bytes.
const LEAF_COST: usize = 32;

impl Marketplace {
    /// The newest checkpoint, signed by the pinned key.
    pub async fn checkpoint(&self) -> Result<Checkpoint, ClientError> {
        let path = ["log", "checkpoint"];
        let note = self.bytes(&path, MAX_CHECKPOINT_BYTES, TRANSFER).await?;
        Ok(Checkpoint::read(&note, self.key())?)
    }

    /// The leaves `from..to`, of a log that has at least `to`. Nothing about them is proven yet:
    /// a [`Follower`] does that.
    pub async fn leaves(&self, from: u64, to: u64) -> Result<Vec<Vec<u8>>, ClientError> {
        let bundles = Resource::entries_from(from, to).filter(|_| from < to);
        let mut bundles = stream::iter(bundles)
            .map(|bundle| self.entries(bundle))
            .buffered(AT_ONCE);
        let mut leaves = Vec::new();
        let mut cost = 0;
        while let Some((bundle, entries)) = bundles.try_next().await? {
            for (index, leaf) in (bundle.first()..).zip(entries) {
                if index < from {
                    continue;
                }
                cost += leaf.len() + LEAF_COST;
                if cost > MAX_LEAVES_BYTES {
                    return Err(ClientError::TooLarge {
                        what: format!("the log {}", self.origin()),
                        limit: MAX_LEAVES_BYTES,
                    });
                }
                leaves.push(leaf);
            }
        }
        Ok(leaves)
    }

    /// Follows the log to its newest checkpoint; gives it and the leaves on the way, all of them
    /// proven to be there, in their order.
    pub async fn follow(
        &self,
        follower: &mut Follower,
    ) -> Result<(Checkpoint, Vec<Vec<u8>>), ClientError> {
        let checkpoint = self.checkpoint().await?;
        let seen = follower.frontier().size();
        follower.behind(&checkpoint)?;
        let leaves = self.leaves(seen, checkpoint.size()).await?;
        follower.follow(&checkpoint, leaves.iter().map(Vec::as_slice))?;
        Ok((checkpoint, leaves))
    }

    /// The entries of one bundle. A partial one may be gone since the log has grown: then its
    /// entries are the first of the full one.
    async fn entries(&self, bundle: Resource) -> Result<(Resource, Vec<Vec<u8>>), ClientError> {
        let is_partial = u64::from(bundle.width) < TILE_WIDTH;
        let entries = match self.fetch_entries(bundle).await {
            Err(error) if is_partial && error.is_not_found() => {
                let full = Resource {
                    width: 256,
                    ..bundle
                };
                let mut entries = self.fetch_entries(full).await?;
                entries.truncate(bundle.width.into());
                entries
            }
            entries => entries?,
        };
        Ok((bundle, entries))
    }

    async fn fetch_entries(&self, bundle: Resource) -> Result<Vec<Vec<u8>>, ClientError> {
        let path = format!("log/{bundle}");
        let segments: Vec<&str> = path.split('/').collect();
        let bytes = self.bytes(&segments, MAX_ENTRIES_BYTES, TRANSFER).await?;
        let malformed = |error: String| ClientError::Malformed {
            what: self.at(&segments).to_string(),
            error,
        };
        let entries = read_bundle(&bytes).map_err(|error| malformed(error.to_string()))?;
        if entries.len() != usize::from(bundle.width) {
            let (found, wanted) = (entries.len(), bundle.width);
            let error = format!("it has {found} entries where {wanted} should be");
            return Err(malformed(error));
        }
        Ok(entries.into_iter().map(<[u8]>::to_vec).collect())
    }
}
