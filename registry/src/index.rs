//! What follows from a log: who owns which namespace, which versions there are, which are
//! revoked. The same rules admit a change at the marketplace, follow it at a host, and audit it.

mod namespace;
mod recovery;
mod refusal;
mod release;
mod rules;
mod step;

use std::collections::BTreeMap;

use semver::Version;
use soma_capability::{CapsuleName, Name};

pub use namespace::{KeyStanding, Namespace};
pub use recovery::{RECOVERY_WAIT, Recovery};
pub use refusal::Refusal;
pub use release::{Release, Revocation, Standing};
pub use rules::Applied;
pub use step::Step;

use crate::log::LeafError;

/// Everything that follows from a log's first leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// By name.
    pub namespaces: BTreeMap<Name, Namespace>,
    /// By name and version.
    pub releases: BTreeMap<CapsuleName, BTreeMap<Version, Release>>,
    time: u64,
    size: u64,
}

/// A leaf that does not follow from those before it.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// Not a leaf, or its signatures do not fit.
    #[error("leaf {index}: {error}")]
    Leaf {
        /// Which.
        index: u64,
        /// What is wrong.
        error: LeafError,
    },
    /// A change that its signers may not make.
    #[error("leaf {index}: {refusal}")]
    Refused {
        /// Which.
        index: u64,
        /// Why.
        refusal: Refusal,
    },
    /// Earlier than the leaf before it.
    #[error("leaf {index} is dated before the leaf before it")]
    Time {
        /// Which.
        index: u64,
    },
}

/// A leaf's place: what a change is judged by besides itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Its index in the log.
    pub index: u64,
    /// Its time, in Unix seconds.
    pub time: u64,
    /// Whether it is the marketplace's own act.
    pub marketplace: bool,
}

impl Index {
    /// How many leaves it follows from.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Takes the next leaf in.
    pub fn push(&mut self, bytes: &[u8], log: &str) -> Result<(), IndexError> {
        self.push_at(self.size, bytes, log)
    }

    /// Takes in a leaf that is the next one about its namespace, whatever lies between.
    pub(crate) fn push_at(
        &mut self,
        index: u64,
        bytes: &[u8],
        log: &str,
    ) -> Result<(), IndexError> {
        let step = Step::read(index, bytes, log, self.time)?;
        let namespace = self.namespaces.get(&step.namespace());
        let release = step.release();
        let release = release.and_then(|(name, version)| {
            // In the order of versions, builds of one follow it.
            let from = Release::without_build(version)..;
            let (_, release) = self.releases.get(name)?.range(from).next()?;
            release.is_concerned(version).then_some(release)
        });
        let applied = step.apply(namespace, release)?;
        self.namespaces.insert(step.namespace(), applied.namespace);
        if let Some(release) = applied.release {
            let versions = self.releases.entry(release.capsule.clone()).or_default();
            versions.insert(release.version.clone(), release);
        }
        self.time = step.time();
        self.size = index + 1;
        Ok(())
    }

    /// A version, where it was published.
    pub fn release(&self, capsule: &CapsuleName, version: &Version) -> Option<&Release> {
        self.releases.get(capsule)?.get(version)
    }
}

#[cfg(test)]
mod tests;
