//! Proof that a leaf is in the log. <https://c2sp.org/tlog-proof>

use serde::{Deserialize, Serialize};
use tlog_tiles::{HashReader, check_record, prove_record, record_hash};

use super::checkpoint::Checkpoint;
use super::hash::TreeHash;

/// The hashes that lead from a leaf to a checkpoint's root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inclusion {
    /// The leaf's index.
    pub index: u64,
    /// From the leaf's sibling up.
    pub path: Vec<TreeHash>,
}

/// Why a proof proves nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// It does not lead from the leaf to the root.
    #[error("leaf {index} is not proven to be in the log of {size} leaves")]
    NotIncluded {
        /// The leaf's index.
        index: u64,
        /// The checkpoint's size.
        size: u64,
    },
    /// The tree to prove from lacks hashes.
    #[error("there is no proof for leaf {index} in a log of {size} leaves")]
    Unavailable {
        /// The leaf's index.
        index: u64,
        /// The size.
        size: u64,
    },
}

impl Inclusion {
    /// Proves the leaf `index` in the tree of `size` leaves that `hashes` holds.
    pub fn prove(index: u64, size: u64, hashes: &impl HashReader) -> Result<Self, ProofError> {
        let path = prove_record(size, index, hashes)
            .map_err(|_| ProofError::Unavailable { index, size })?;
        let path = path.into_iter().map(TreeHash::from).collect();
        Ok(Self { index, path })
    }

    /// Checks that these bytes are that leaf.
    pub fn check(&self, leaf: &[u8], checkpoint: &Checkpoint) -> Result<(), ProofError> {
        let (index, size) = (self.index, checkpoint.size());
        let refusal = ProofError::NotIncluded { index, size };
        // The library panics on more hashes than a tree can have levels.
        if self.path.len() > 64 || index >= size {
            return Err(refusal);
        }
        let path = self.path.iter().map(|hash| (*hash).into()).collect();
        let (root, hash) = (checkpoint.root().into(), record_hash(leaf));
        check_record(&path, size, root, index, hash).map_err(|_| refusal)
    }

    /// The proof in C2SP's text, which other software reads.
    pub fn to_text(&self, checkpoint: &Checkpoint) -> String {
        let path: String = self.path.iter().map(|hash| format!("{hash}\n")).collect();
        let note = checkpoint.to_bytes();
        let note = String::from_utf8_lossy(&note);
        format!(
            "c2sp.org/tlog-proof@v1\nindex {}\n{path}\n{note}",
            self.index
        )
    }
}
