//! The right edge of a log's tree: all that is needed to append to it, and to check that a longer
//! log continues a shorter one.

use std::collections::BTreeMap;

use super::hash::TreeHash;
use serde::{Deserialize, Serialize};
use tlog_tiles::{
    EMPTY_HASH, Error, Hash, HashReader, record_hash, stored_hash_index,
    stored_hashes_for_record_hash, sub_tree_index, tree_hash,
};

/// The hashes of the complete subtrees that a tree of `size` leaves is made of: at most 64.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Edge", try_from = "Edge")]
pub struct Frontier {
    size: u64,
    /// By stored hash index, as `tlog_tiles` numbers them.
    hashes: BTreeMap<u64, TreeHash>,
}

/// A frontier as it is kept: size, and hashes from the left.
#[derive(Serialize, Deserialize)]
struct Edge {
    size: u64,
    hashes: Vec<TreeHash>,
}

/// A kept frontier with more or fewer hashes than a tree of its size has.
#[derive(Debug, thiserror::Error)]
#[error("a log's edge of size {size} has {wanted} hashes, not {found}")]
pub struct FrontierError {
    size: u64,
    wanted: usize,
    found: usize,
}

impl Frontier {
    /// How many leaves there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root hash.
    pub fn root(&self) -> TreeHash {
        // All that a tree of this size asks for is here, by construction.
        tree_hash(self.size, self).unwrap_or(EMPTY_HASH).into()
    }

    /// How many hashes `push` has given for all the leaves so far.
    pub fn stored(&self) -> u64 {
        stored_hash_index(0, self.size)
    }

    /// The hashes of those subtrees, with their stored indexes.
    pub fn edge(&self) -> impl Iterator<Item = (u64, TreeHash)> + '_ {
        self.hashes.iter().map(|(index, hash)| (*index, *hash))
    }

    /// Appends a leaf. Gives the hashes that are new in the tree, with their stored indexes.
    pub fn push(&mut self, leaf: &[u8]) -> Vec<(u64, TreeHash)> {
        let first = stored_hash_index(0, self.size);
        let new =
            stored_hashes_for_record_hash(self.size, record_hash(leaf), self).unwrap_or_default();
        let new: Vec<(u64, TreeHash)> =
            (first..).zip(new.into_iter().map(TreeHash::from)).collect();
        self.size += 1;
        // Each hash above the leaf's is of one subtree more that is a part of a larger one now.
        for _ in 1..new.len() {
            self.hashes.pop_last();
        }
        self.hashes.extend(new.last().copied());
        new
    }
}

impl HashReader for Frontier {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
        let find = |index| self.hashes.get(index).map(|hash| (*hash).into());
        let found: Option<Vec<Hash>> = indexes.iter().map(find).collect();
        found.ok_or(Error::InvalidProof)
    }
}

impl From<Frontier> for Edge {
    fn from(frontier: Frontier) -> Self {
        let order = sub_tree_index(0, frontier.size, Vec::new());
        let hash = |index| frontier.hashes.get(index).copied();
        Self {
            size: frontier.size,
            hashes: order.iter().filter_map(hash).collect(),
        }
    }
}

impl TryFrom<Edge> for Frontier {
    type Error = FrontierError;

    fn try_from(edge: Edge) -> Result<Self, FrontierError> {
        let order = sub_tree_index(0, edge.size, Vec::new());
        if order.len() != edge.hashes.len() {
            return Err(FrontierError {
                size: edge.size,
                wanted: order.len(),
                found: edge.hashes.len(),
            });
        }
        let hashes = order.into_iter().zip(edge.hashes);
        Ok(Self {
            size: edge.size,
            hashes: hashes.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use tlog_tiles::node_hash;

    use super::*;

    /// RFC 6962, section 2.1, word for word.
    fn merkle_tree_hash(leaves: &[Vec<u8>]) -> Hash {
        match leaves.len() {
            0 => EMPTY_HASH,
            1 => record_hash(&leaves[0]),
            n => {
                let k = n.next_power_of_two() / 2;
                node_hash(
                    merkle_tree_hash(&leaves[..k]),
                    merkle_tree_hash(&leaves[k..]),
                )
            }
        }
    }

    #[test]
    fn has_the_root_that_the_rfc_gives() {
        let mut frontier = Frontier::default();
        let mut leaves = Vec::new();
        let mut stored = 0;
        for n in 0_u32..300 {
            assert_eq!(
                frontier.root(),
                merkle_tree_hash(&leaves).into(),
                "{n} leaves"
            );
            let leaf = n.to_be_bytes().to_vec();
            for (index, _) in frontier.push(&leaf) {
                assert_eq!(index, stored);
                stored += 1;
            }
            assert_eq!(frontier.stored(), stored);
            assert!(frontier.edge().all(|(index, _)| index < stored));
            leaves.push(leaf);
            let kept = serde_json::to_string(&frontier).unwrap();
            frontier = serde_json::from_str(&kept).unwrap();
        }
        assert_eq!(frontier.size(), 300);
        let short = r#"{"size":3,"hashes":[]}"#;
        assert!(serde_json::from_str::<Frontier>(short).is_err());
    }
}
