//! One look at one log: from what was seen of it to its newest checkpoint.

use std::time::Instant;

use soma_registry::log::{Checkpoint, Frontier};
use soma_registry::{FollowError, Follower};

use super::batch::Batch;
use crate::db;
use crate::db::logs::Followed;
use crate::distrust::Distrust;
use crate::error::Error;
use crate::logs::{Logs, Source};
use crate::trust::Trust;

/// Leaves taken in at once: four entry bundles.
const AT_ONCE: u64 = 1024;
/// Other hosts on the same database follow the same log.
const TRIES: usize = 5;

/// Follows a log to its newest checkpoint, and gives what is known of it then.
pub(crate) async fn look(logs: &Logs, source: &Source, trust: &Trust) -> Result<Followed, Error> {
    let mut turn = source.turn.lock().await;
    turn.0 = Some(Instant::now());
    let mut looked = Ok(None);
    for _ in 0..TRIES {
        looked = once(logs, source).await;
        if !matches!(looked, Ok(None)) {
            break;
        }
    }
    // What was taken in before something failed is known from now on too.
    logs.refresh(trust).await?;
    let followed = looked?.ok_or(Error::NotReady("other hosts are following the same log"))?;
    source.looked(&followed, trust);
    Ok(followed)
}

/// None where another host has gone on in the meantime.
async fn once(logs: &Logs, source: &Source) -> Result<Option<Followed>, Error> {
    let key = source.client.key();
    let url = source.client.url().as_str();
    // Before the checkpoint is asked for: one that is fetched later is never an older one.
    let kept = db::logs::get(&logs.pool, key, url).await?;
    if let Some(why) = kept.distrusted {
        return Err(forked(source, why).into());
    }
    let checkpoint = source.client.checkpoint().await.map_err(Distrust::from)?;
    let batches = match way(source, &kept.frontier, &checkpoint).await? {
        Ok(batches) => batches,
        // What was sent may have been damaged on its way; not twice in the same way.
        Err(FollowError::Forked { seen, size }) if seen < size => {
            match way(source, &kept.frontier, &checkpoint).await? {
                Ok(batches) => batches,
                Err(error) => return contradicted(logs, source, &checkpoint, &error).await,
            }
        }
        // An older one of the same history proves nothing: a cache may have kept it.
        Err(FollowError::RolledBack { seen, signed })
            if kept
                .checkpoint
                .is_some_and(|kept| checkpoint.time() <= kept.time()) =>
        {
            let origin = source.client.origin().to_owned();
            return Err(Distrust::Stale {
                origin,
                seen,
                signed,
            }
            .into());
        }
        Err(error) => return contradicted(logs, source, &checkpoint, &error).await,
    };
    let mut time = kept.leaf_time;
    for batch in batches {
        let Some(last) = batch.take_in(&logs.pool, source, time).await? else {
            return Ok(None);
        };
        time = last;
    }
    db::logs::verified(&logs.pool, &checkpoint).await?;
    Ok(Some(db::logs::get(&logs.pool, key, url).await?))
}

/// The leaves from what was seen to a checkpoint, in batches, none of which is taken in before the
/// last of them is proven.
async fn way(
    source: &Source,
    seen: &Frontier,
    checkpoint: &Checkpoint,
) -> Result<Result<Vec<Batch>, FollowError>, Error> {
    let missing = match Follower::new(seen.clone()).behind(checkpoint) {
        Ok(missing) => missing,
        Err(error) => return Ok(Err(error)),
    };
    let end = seen.size() + missing;
    let mut batches: Vec<Batch> = Vec::new();
    let mut edge = seen.clone();
    while edge.size() < end {
        // At the borders of entry bundles, which are cheap to fetch again.
        let to = ((edge.size() / AT_ONCE + 1) * AT_ONCE).min(end);
        let batch = Batch::fetch(source, edge, to).await?;
        edge = batch.edge().clone();
        // Of a long way only the edges are held in memory.
        if let Some(before) = batches.last_mut() {
            before.drop_leaves();
        }
        batches.push(batch);
    }
    if edge.root() != checkpoint.root() {
        return Ok(Err(FollowError::Forked {
            seen: seen.size(),
            size: end,
        }));
    }
    Ok(Ok(batches))
}

/// Remembers that a log contradicted itself, with both checkpoints.
async fn contradicted(
    logs: &Logs,
    source: &Source,
    evidence: &Checkpoint,
    error: &FollowError,
) -> Result<Option<Followed>, Error> {
    let why = error.to_string();
    db::logs::distrust(&logs.pool, source.client.key(), &why, evidence).await?;
    Err(forked(source, why).into())
}

fn forked(source: &Source, why: String) -> Distrust {
    Distrust::Forked {
        origin: source.client.origin().to_owned(),
        why,
    }
}
