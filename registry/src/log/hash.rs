//! A node of the log's tree.

use std::fmt;

use serde::{Deserialize, Serialize};
use tlog_tiles::record_hash;

/// A sha256 hash of RFC 6962's tree, written in base64 as C2SP's texts do.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct TreeHash([u8; 32]);

/// A text that is no hash.
#[derive(Debug, thiserror::Error)]
#[error("not a hash: 32 bytes in base64")]
pub struct TreeHashError;

impl TreeHash {
    /// The hash of a leaf of these bytes.
    pub fn of_leaf(leaf: &[u8]) -> Self {
        record_hash(leaf).into()
    }

    /// Takes 32 bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<tlog_tiles::Hash> for TreeHash {
    fn from(hash: tlog_tiles::Hash) -> Self {
        Self(hash.0)
    }
}

impl From<TreeHash> for tlog_tiles::Hash {
    fn from(hash: TreeHash) -> Self {
        Self(hash.0)
    }
}

impl From<TreeHash> for String {
    fn from(hash: TreeHash) -> Self {
        hash.to_string()
    }
}

impl TryFrom<String> for TreeHash {
    type Error = TreeHashError;

    fn try_from(text: String) -> Result<Self, TreeHashError> {
        let hash = tlog_tiles::Hash::parse_hash(&text).map_err(|_| TreeHashError)?;
        Ok(hash.into())
    }
}

impl fmt::Display for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        tlog_tiles::Hash(self.0).fmt(f)
    }
}

impl fmt::Debug for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
