//! Proof that a leaf is in the log. <https://c2sp.org/tlog-proof>

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tlog_tiles::{Error, Hash, HashReader, check_record, prove_record};

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
    /// It does not lead from the older root to the newer one.
    #[error("the log of {size} leaves is not proven to continue the one of {old}")]
    Inconsistent {
        /// The older log's size.
        old: u64,
        /// The newer one's.
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
    /// The stored indexes of the hashes that a proof of the leaf `index` is made from, in a log
    /// of `size` leaves.
    pub fn wanted(index: u64, size: u64) -> Result<Vec<u64>, ProofError> {
        let wanted = Wanted::default();
        match prove_record(size, index, &wanted) {
            Err(_) if index >= size => Err(ProofError::Unavailable { index, size }),
            _ => Ok(wanted.into_indexes()),
        }
    }

    /// Proves the leaf `index` from those hashes, by their stored indexes.
    pub fn from_hashes(
        index: u64,
        size: u64,
        hashes: &BTreeMap<u64, TreeHash>,
    ) -> Result<Self, ProofError> {
        let path = prove_record(size, index, &Found(hashes))
            .map_err(|_| ProofError::Unavailable { index, size })?;
        let path = path.into_iter().map(TreeHash::from).collect();
        Ok(Self { index, path })
    }

    /// Checks that these bytes are that leaf.
    pub fn check(&self, leaf: &[u8], checkpoint: &Checkpoint) -> Result<(), ProofError> {
        self.check_hash(TreeHash::of_leaf(leaf), checkpoint)
    }

    /// The same of a leaf's hash in the tree.
    pub fn check_hash(&self, hash: TreeHash, checkpoint: &Checkpoint) -> Result<(), ProofError> {
        let (index, size) = (self.index, checkpoint.size());
        let refusal = ProofError::NotIncluded { index, size };
        // The library panics on more hashes than a tree can have levels.
        if self.path.len() > 64 || index >= size {
            return Err(refusal);
        }
        let path = self.path.iter().map(|hash| (*hash).into()).collect();
        let root = checkpoint.root().into();
        check_record(&path, size, root, index, hash.into()).map_err(|_| refusal)
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

/// Notes what is asked for, and has nothing.
#[derive(Default)]
pub(super) struct Wanted(RefCell<Vec<u64>>);

impl Wanted {
    /// What was asked for.
    pub(super) fn into_indexes(self) -> Vec<u64> {
        self.0.into_inner()
    }
}

impl HashReader for Wanted {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
        self.0.borrow_mut().extend(indexes);
        Err(Error::IndexesNotInTree)
    }
}

/// What was asked for, fetched.
pub(super) struct Found<'a>(pub(super) &'a BTreeMap<u64, TreeHash>);

impl HashReader for Found<'_> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
        let find = |index| self.0.get(index).map(|hash| (*hash).into());
        let found: Option<Vec<Hash>> = indexes.iter().map(find).collect();
        found.ok_or(Error::IndexesNotInTree)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;
    use crate::log::{Frontier, NoteSecret};

    #[test]
    fn proves_each_leaf_and_nothing_else() {
        let secret = NoteSecret::new("log.test", SecretKey::generate().unwrap()).unwrap();
        let mut frontier = Frontier::default();
        let mut hashes = BTreeMap::new();
        let leaves: Vec<Vec<u8>> = (0_u8..23).map(|n| vec![n]).collect();
        for leaf in &leaves {
            hashes.extend(frontier.push(leaf));
        }
        let checkpoint = Checkpoint::sign(&secret, &frontier).unwrap();
        for (index, leaf) in (0..).zip(&leaves) {
            let wanted = Inclusion::wanted(index, 23).unwrap();
            let only: BTreeMap<_, _> = wanted.iter().map(|at| (*at, hashes[at])).collect();
            let proof = Inclusion::from_hashes(index, 23, &only).unwrap();
            proof.check(leaf, &checkpoint).unwrap();
            assert!(proof.check(b"x", &checkpoint).is_err());
            let mut longer = proof.clone();
            longer.path.push(proof.path[0]);
            assert!(longer.check(leaf, &checkpoint).is_err());
            let mut moved = proof.clone();
            moved.index = (index + 1) % 23;
            assert!(moved.check(leaf, &checkpoint).is_err());
            let text = proof.to_text(&checkpoint);
            assert!(text.starts_with(&format!("c2sp.org/tlog-proof@v1\nindex {index}\n")));
        }
        assert!(Inclusion::wanted(23, 23).is_err());
        assert!(Inclusion::from_hashes(0, 23, &BTreeMap::new()).is_err());
    }
}
