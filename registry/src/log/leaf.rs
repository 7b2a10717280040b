//! One entry of the log: a change, by whom, and when the marketplace admitted it.

use std::collections::BTreeSet;

use dsse::Envelope;
use serde::{Deserialize, Serialize};

use crate::canonical::{self, CanonicalError};
use crate::change::{Change, ChangeError, ChangeRequest, SignedChange, meant_for};

/// The most bytes of a leaf: its length has 16 bits in an entry bundle.
pub(crate) const MAX_LEAF_BYTES: usize = u16::MAX as usize;

/// An entry as it is hashed: canonical JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaf {
    /// Unix seconds at which the marketplace admitted it; never less than the leaf's before.
    pub time: u64,
    /// Who did what.
    #[serde(flatten)]
    pub act: Act,
}

/// A change, on whose word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Act {
    /// On its signers' word: an envelope around a [`ChangeRequest`].
    Signed(Envelope),
    /// On the marketplace's own word, which its checkpoints carry: a revocation, a recovery.
    Marketplace(ChangeRequest),
}

/// Why bytes are not a leaf of this log.
#[derive(Debug, thiserror::Error)]
pub enum LeafError {
    /// Not the canonical JSON of one.
    #[error("the leaf {0}")]
    Form(#[from] CanonicalError),
    /// Larger than an entry bundle can hold.
    #[error("the leaf has {0} bytes; at most {MAX_LEAF_BYTES} are allowed")]
    TooLarge(usize),
    /// The change in it is not signed as it says.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

impl Leaf {
    /// The bytes that are hashed.
    pub fn to_bytes(&self) -> Result<Vec<u8>, LeafError> {
        let bytes = canonical::write(self).map_err(CanonicalError::from)?;
        if bytes.len() > MAX_LEAF_BYTES {
            return Err(LeafError::TooLarge(bytes.len()));
        }
        Ok(bytes)
    }

    /// Reads one; nothing in it is verified yet.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LeafError> {
        if bytes.len() > MAX_LEAF_BYTES {
            return Err(LeafError::TooLarge(bytes.len()));
        }
        Ok(canonical::read(bytes)?)
    }

    /// The change in it and who signed; nobody where it is the marketplace's own.
    pub fn open(&self, log: &str) -> Result<SignedChange, LeafError> {
        match &self.act {
            Act::Signed(envelope) => Ok(SignedChange::open(envelope, log)?),
            Act::Marketplace(request) => {
                meant_for(&request.log, log)?;
                Ok(SignedChange {
                    request: request.clone(),
                    signers: BTreeSet::new(),
                })
            }
        }
    }

    /// Whether the marketplace itself did it.
    pub fn is_marketplace(&self) -> bool {
        matches!(self.act, Act::Marketplace(_))
    }
}

impl Change {
    /// Whether a marketplace may do it on its own word.
    pub(crate) fn is_for_marketplace(&self) -> bool {
        matches!(
            self,
            Self::Revoke { .. } | Self::Recover { .. } | Self::Recovered { .. }
        )
    }
}
