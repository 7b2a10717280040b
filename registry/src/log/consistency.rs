//! Proof that a longer log continues a shorter one. RFC 6962, section 2.1.2.

use std::collections::BTreeMap;

use tlog_tiles::{check_tree, prove_tree};

use super::checkpoint::Checkpoint;
use super::hash::TreeHash;
use super::proof::{Found, ProofError, Wanted};

/// The hashes that lead from an older root to a checkpoint's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consistency {
    /// How many leaves the older log has; none needs no proof.
    pub old: u64,
    /// The proof.
    pub path: Vec<TreeHash>,
}

impl Consistency {
    /// The stored indexes of the hashes that a proof from `old` to `size` leaves is made from.
    pub fn wanted(old: u64, size: u64) -> Result<Vec<u64>, ProofError> {
        if old == 0 {
            return Ok(Vec::new());
        }
        let wanted = Wanted::default();
        match prove_tree(size, old, &wanted) {
            Err(_) if old > size => Err(ProofError::Inconsistent { old, size }),
            _ => Ok(wanted.into_indexes()),
        }
    }

    /// Makes the proof from those hashes, by their stored indexes.
    pub fn from_hashes(
        old: u64,
        size: u64,
        hashes: &BTreeMap<u64, TreeHash>,
    ) -> Result<Self, ProofError> {
        if old == 0 {
            return Ok(Self {
                old,
                path: Vec::new(),
            });
        }
        let path = prove_tree(size, old, &Found(hashes))
            .map_err(|_| ProofError::Inconsistent { old, size })?;
        let path = path.into_iter().map(TreeHash::from).collect();
        Ok(Self { old, path })
    }

    /// Checks that the checkpoint's log begins with the `old` leaves whose root is `root`.
    pub fn check(&self, root: TreeHash, checkpoint: &Checkpoint) -> Result<(), ProofError> {
        let (old, size) = (self.old, checkpoint.size());
        let refusal = ProofError::Inconsistent { old, size };
        if old == 0 {
            return self.path.is_empty().then_some(()).ok_or(refusal);
        }
        let path = self.path.iter().map(|hash| (*hash).into()).collect();
        check_tree(&path, size, checkpoint.root().into(), old, root.into()).map_err(|_| refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;
    use crate::log::{Frontier, NoteSecret};

    #[test]
    fn proves_every_shorter_log_and_no_other() {
        let secret = NoteSecret::new("log.test", SecretKey::generate().unwrap()).unwrap();
        let mut frontier = Frontier::default();
        let (mut hashes, mut roots) = (BTreeMap::new(), vec![frontier.root()]);
        for n in 0_u8..40 {
            hashes.extend(frontier.push(&[n]));
            roots.push(frontier.root());
        }
        let checkpoint = Checkpoint::sign(&secret, &frontier).unwrap();
        for (old, root) in (0..).zip(&roots) {
            let wanted = Consistency::wanted(old, 40).unwrap();
            let only: BTreeMap<_, _> = wanted.iter().map(|at| (*at, hashes[at])).collect();
            let proof = Consistency::from_hashes(old, 40, &only).unwrap();
            assert_eq!(proof.check(*root, &checkpoint), Ok(()), "{old}");
            let mut longer = proof.clone();
            longer.path.push(roots[1]);
            assert!(longer.check(*root, &checkpoint).is_err(), "{old}");
            if old > 0 {
                assert!(proof.check(roots[0], &checkpoint).is_err(), "{old}");
                let other = Consistency {
                    old: old - 1,
                    ..proof
                };
                assert!(
                    old == 1 || other.check(*root, &checkpoint).is_err(),
                    "{old}"
                );
            }
        }
        assert!(Consistency::wanted(41, 40).is_err());
        assert!(Consistency::from_hashes(7, 40, &BTreeMap::new()).is_err());
    }
}
