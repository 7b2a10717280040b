//! One version of a capsule, as the log has it.

use semver::{BuildMetadata, Version};
use serde::{Deserialize, Serialize};
use soma_capability::{CapsuleName, Digest, Name};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::key::PublicKey;

/// A published version. Digest, statement and key never change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Release {
    /// The capsule.
    pub capsule: CapsuleName,
    /// The version.
    #[schema(value_type = String)]
    pub version: Version,
    /// The sha256 of its file.
    pub digest: Digest,
    /// The sha256 of what its author signed about it.
    pub statement: Digest,
    /// The owner who published it.
    pub account: Name,
    /// The key that signed.
    #[schema(value_type = String)]
    pub key: PublicKey,
    /// The leaf that says so.
    pub leaf: u64,
    /// Unix seconds of that leaf.
    pub published: u64,
    /// Whether it may be chosen, and run.
    pub standing: Standing,
    /// The id of the newest change that could be made again if it was sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub newest: Option<Uuid>,
}

/// Whether a version may be chosen, and run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It may.
    Current,
    /// It may run and not be chosen anew.
    Yanked,
    /// It must do neither.
    Revoked(Revocation),
}

/// Why and when a version was revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Revocation {
    /// In the words of who did it.
    pub reason: String,
    /// Unix seconds.
    pub time: u64,
    /// Whether the marketplace did it, and not an owner.
    pub marketplace: bool,
}

impl Release {
    /// The version that all builds of this one are.
    pub fn without_build(version: &Version) -> Version {
        Version {
            build: BuildMetadata::EMPTY,
            ..version.clone()
        }
    }

    /// Whether a change of this version is judged by this release: the version is the same, or
    /// differs in its build metadata alone.
    pub fn is_concerned(&self, version: &Version) -> bool {
        self.version.cmp_precedence(version).is_eq()
    }

    /// Whether they are the same version, published by the same leaf: what became of it later, a
    /// bundle does not know.
    pub fn is_same(&self, other: &Self) -> bool {
        let other = Self {
            standing: self.standing.clone(),
            newest: self.newest,
            ..other.clone()
        };
        *self == other
    }
}

impl Standing {
    /// Whether a version of this standing may be chosen.
    pub fn is_current(&self) -> bool {
        *self == Self::Current
    }

    /// The revocation, where it is one.
    pub fn revocation(&self) -> Option<&Revocation> {
        match self {
            Self::Revoked(revocation) => Some(revocation),
            Self::Current | Self::Yanked => None,
        }
    }
}
