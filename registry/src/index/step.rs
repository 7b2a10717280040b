//! One leaf on its way into what follows from a log, wherever that is kept: in memory or in a
//! database.

use semver::Version;
use soma_capability::{CapsuleName, Name};

use super::namespace::Namespace;
use super::release::Release;
use super::rules::Applied;
use super::{IndexError, Position};
use crate::change::SignedChange;
use crate::log::Leaf;

/// A leaf that was read and whose signatures fit: says what has to be looked up before it can be
/// applied.
#[derive(Clone, Debug)]
pub struct Step {
    signed: SignedChange,
    position: Position,
}

impl Step {
    /// Reads the leaf `index` of this log, where the one before it is dated `after`.
    pub fn read(index: u64, bytes: &[u8], log: &str, after: u64) -> Result<Self, IndexError> {
        let refuse = |error| IndexError::Leaf { index, error };
        let leaf = Leaf::from_bytes(bytes).map_err(refuse)?;
        let signed = leaf.open(log).map_err(refuse)?;
        if leaf.time < after {
            return Err(IndexError::Time { index });
        }
        let position = Position {
            index,
            time: leaf.time,
            marketplace: leaf.is_marketplace(),
        };
        Ok(Self { signed, position })
    }

    /// The namespace that it concerns.
    pub fn namespace(&self) -> Name {
        self.signed.request.change.namespace()
    }

    /// The version that it concerns, where it concerns one: [`Release::is_concerned`] says which of
    /// those that are there it is judged by.
    pub fn release(&self) -> Option<(&CapsuleName, &Version)> {
        self.signed.request.change.release()
    }

    /// Its time, in Unix seconds.
    pub fn time(&self) -> u64 {
        self.position.time
    }

    /// What it makes of the two that it concerns.
    pub fn apply(
        &self,
        namespace: Option<&Namespace>,
        release: Option<&Release>,
    ) -> Result<Applied, IndexError> {
        let index = self.position.index;
        Namespace::apply(namespace, release, &self.signed, self.position)
            .map_err(|refusal| IndexError::Refused { index, refusal })
    }
}
