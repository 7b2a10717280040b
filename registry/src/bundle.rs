//! The proof that travels with a capsule: what its author signed, and where the log says so.

use dsse::Envelope;
use serde::{Deserialize, Serialize};

use crate::index::{Index, IndexError, Release};
use crate::log::{Checkpoint, CheckpointError, Inclusion, LogKey, ProofError};
use crate::package::Package;
use crate::statement::{Statement, StatementError};

/// The media type of a bundle.
pub const BUNDLE_TYPE: &str = "application/vnd.soma.bundle.v1+json";
/// The largest bundle that is read.
pub const MAX_BUNDLE_BYTES: usize = 8 << 20;

/// Signature and proofs of one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// The author's statement about the file.
    pub statement: Envelope,
    /// Where a log says so; none where it was never published in a marketplace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logged: Option<Logged>,
}

/// The leaves that a version follows from, each proven to be in one log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logged {
    /// A signed checkpoint of the log.
    pub checkpoint: String,
    /// The leaves about the namespace's owners and keys, in their order, and last the one that
    /// publishes the version.
    pub leaves: Vec<ProvenLeaf>,
}

/// A leaf, and its way to the checkpoint's root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvenLeaf {
    /// The leaf's bytes, which are JSON.
    pub leaf: String,
    /// The proof.
    pub inclusion: Inclusion,
}

/// One thing that was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was checked.
    pub what: &'static str,
    /// What was found, in a few words.
    pub found: String,
}

/// What a bundle proves.
#[derive(Clone, Debug)]
pub struct Proven {
    /// The version, as the log has it.
    pub release: Release,
    /// The checkpoint that the proofs lead to.
    pub checkpoint: Checkpoint,
    /// Each check that was made, in order.
    pub checks: Vec<Check>,
}

/// Why a bundle proves nothing about a file.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// Not a bundle.
    #[error("the bundle cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// Signed, and in no log.
    #[error("the bundle has no proof that any log has this version")]
    NotLogged,
    /// The checkpoint is not one of the pinned log.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A leaf is not in that log.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The leaves are not in their order.
    #[error("the bundle's leaves are not in the log's order")]
    Order,
    /// The leaves do not follow from each other.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The leaves say nothing about this file's name and version.
    #[error("the bundle's leaves do not publish {0}")]
    NotPublished(String),
    /// They publish another file under its name and version.
    #[error("the log has another file under {name}: {logged}, and this one is {found}")]
    OtherFile {
        /// Name and version.
        name: String,
        /// The digest in the log.
        logged: String,
        /// The digest of the file.
        found: String,
    },
    /// The author's statement is not about this file, or not the one that was logged.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// A statement that the log does not name.
    #[error("the signed statement is not the one that the log names")]
    OtherStatement,
}

impl Bundle {
    /// Reads one; nothing in it is verified yet.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BundleError> {
        Ok(serde_json::from_slice(bytes)?)
    }

    /// The one form it is stored and sent in.
    pub fn to_bytes(&self) -> Result<Vec<u8>, BundleError> {
        Ok(crate::canonical::write(self)?)
    }

    /// Checks everything that file, bundle and the log's pinned key allow to check without a
    /// network. What it cannot show is that nothing was revoked since the checkpoint.
    pub fn prove(&self, package: &Package, key: &LogKey) -> Result<Proven, BundleError> {
        let mut checks = Vec::new();
        let mut note = |what, found: String| checks.push(Check { what, found });
        let manifest = package.manifest();
        let name = format!("{} {}", manifest.name, manifest.version);
        note("digest", package.digest().to_string());

        let logged = self.logged.as_ref().ok_or(BundleError::NotLogged)?;
        let checkpoint = Checkpoint::read(logged.checkpoint.as_bytes(), key)?;
        note(
            "checkpoint",
            format!("{} leaves, signed by {}", checkpoint.size(), key.origin()),
        );
        let index = logged.index(&checkpoint)?;
        note(
            "inclusion",
            format!("{} leaves, each proven", logged.leaves.len()),
        );
        let release = index
            .release(&manifest.name, &manifest.version)
            .ok_or(BundleError::NotPublished(name.clone()))?;
        if release.digest != package.digest() {
            return Err(BundleError::OtherFile {
                name,
                logged: release.digest.to_string(),
                found: package.digest().to_string(),
            });
        }
        let owner = format!("{} with {}", release.account, release.key);
        note("publisher", owner);
        let statement = Statement::open(&self.statement, release.key, package)?;
        if statement.digest()? != release.statement {
            return Err(BundleError::OtherStatement);
        }
        note("statement", "name, version and tools as signed".to_owned());
        Ok(Proven {
            release: release.clone(),
            checkpoint,
            checks,
        })
    }
}

impl Logged {
    /// What follows from these leaves, each of which must be in the log.
    fn index(&self, checkpoint: &Checkpoint) -> Result<Index, BundleError> {
        let ordered = self
            .leaves
            .is_sorted_by(|a, b| a.inclusion.index < b.inclusion.index);
        if !ordered {
            return Err(BundleError::Order);
        }
        let mut index = Index::default();
        for ProvenLeaf { leaf, inclusion } in &self.leaves {
            inclusion.check(leaf.as_bytes(), checkpoint)?;
            index.push_at(inclusion.index, leaf.as_bytes(), checkpoint.key().origin())?;
        }
        Ok(index)
    }
}
