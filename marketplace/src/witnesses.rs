//! The witnesses that cosign this log's checkpoints, so that a host can demand their word.

use std::time::{Duration, Instant};

use futures::future::join_all;
use soma_registry::client::{Witness, WitnessAnswer, WitnessError};
use soma_registry::log::{AddCheckpoint, Checkpoint, Consistency, ProofError};
use sqlx::AnyPool;
use tokio::sync::Mutex;

use crate::db::log;

/// A cosignature says when it was made; it is asked for anew when it is older than this.
const RENEW: Duration = Duration::from_secs(60);
/// A witness that gave none is left alone this long.
const QUIET: Duration = Duration::from_secs(15);

/// All of them.
pub(crate) struct Witnesses(Vec<Asked>);

/// One, and what it said last.
struct Asked {
    witness: Witness,
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    /// The size that it cosigned.
    size: u64,
    /// Its signature lines over that size.
    lines: Vec<u8>,
    /// Not to be asked before, unless the log has grown since it last cosigned.
    until: Option<Instant>,
    failed: bool,
}

#[derive(Debug, thiserror::Error)]
enum Silence {
    #[error(transparent)]
    Witness(#[from] WitnessError),
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Proof(#[from] ProofError),
    #[error("it has cosigned {0} leaves, and this log has {1}: was it restored from an old copy?")]
    Ahead(u64, u64),
    #[error("its answer does not fit its key and the checkpoint")]
    NoCosignature,
}

impl Witnesses {
    pub(crate) fn new(witnesses: Vec<Witness>) -> Self {
        let asked = |witness| Asked {
            witness,
            last: Mutex::default(),
        };
        Self(witnesses.into_iter().map(asked).collect())
    }

    /// Adds the cosignatures of those who give one in time.
    pub(crate) async fn cosign(&self, pool: &AnyPool, checkpoint: &mut Checkpoint) {
        let asked = self.0.iter().map(|asked| asked.lines(pool, checkpoint));
        let lines = join_all(asked).await;
        for (asked, lines) in self.0.iter().zip(lines) {
            checkpoint.admit(asked.witness.key(), &lines);
        }
    }
}

impl Asked {
    /// Its lines for this checkpoint; none where it is silent.
    async fn lines(&self, pool: &AnyPool, checkpoint: &Checkpoint) -> Vec<u8> {
        let mut last = self.last.lock().await;
        let same = last.size == checkpoint.size() && !last.lines.is_empty();
        let wait = last.until.is_some_and(|until| Instant::now() < until);
        if !(wait && (same || last.failed)) {
            let asked = self.ask(pool, checkpoint, last.size).await;
            last.failed = asked.is_err();
            match asked {
                Ok(lines) => {
                    last.size = checkpoint.size();
                    last.lines = lines;
                    last.until = Some(Instant::now() + RENEW);
                }
                Err(error) => {
                    let witness = self.witness.key().name();
                    tracing::warn!(witness, %error, "a witness did not cosign");
                    last.until = Some(Instant::now() + QUIET);
                }
            }
        }
        // An older one stays good for as long as the log has not grown.
        if last.size == checkpoint.size() {
            return last.lines.clone();
        }
        Vec::new()
    }

    /// Asks, and once more where the proof has to begin elsewhere.
    async fn ask(
        &self,
        pool: &AnyPool,
        checkpoint: &Checkpoint,
        known: u64,
    ) -> Result<Vec<u8>, Silence> {
        let mut old = known.min(checkpoint.size());
        for _ in 0..2 {
            let asked = request(pool, checkpoint, old).await?;
            match self.witness.ask(&asked).await? {
                WitnessAnswer::Lines(lines) => {
                    if checkpoint.clone().admit(self.witness.key(), &lines) {
                        return Ok(lines);
                    }
                    return Err(Silence::NoCosignature);
                }
                WitnessAnswer::Knows(size) if size > checkpoint.size() => {
                    return Err(Silence::Ahead(size, checkpoint.size()));
                }
                WitnessAnswer::Knows(size) => old = size,
            }
        }
        Err(Silence::NoCosignature)
    }
}

async fn request(
    pool: &AnyPool,
    checkpoint: &Checkpoint,
    old: u64,
) -> Result<AddCheckpoint, Silence> {
    let size = checkpoint.size();
    let wanted = Consistency::wanted(old, size)?;
    let mut connection = pool.acquire().await?;
    let hashes = log::hashes(&mut connection, &wanted).await?;
    Ok(AddCheckpoint {
        consistency: Consistency::from_hashes(old, size, &hashes)?,
        note: checkpoint.to_bytes(),
    })
}
