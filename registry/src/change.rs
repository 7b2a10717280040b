//! What can change in a marketplace: who may publish, what is there, what is current. Each
//! [`Change`] is signed for one log and becomes one leaf of it.

use std::collections::BTreeSet;

use dsse::Envelope;
use semver::Version;
use serde::{Deserialize, Serialize};
use soma_capability::{CapsuleName, Digest, Name};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::key::{PublicKey, SecretKey};
use crate::signed::{self, EnvelopeError};

/// DSSE's payload type of a signed change.
pub const CHANGE_TYPE: &str = "application/vnd.soma.change.v1+json";
/// The most bytes of a change's payload. A leaf of a C2SP log holds at most 65,535.
pub const MAX_CHANGE_BYTES: usize = 16 << 10;

/// One change. What each needs is in [`Namespace::apply`](crate::Namespace::apply).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Change {
    /// A namespace begins, with its first owner. Signed by that owner's key.
    Create {
        /// The namespace.
        namespace: Name,
        /// Its first owner.
        owner: Owner,
    },
    /// A version of a capsule is there, for ever.
    Publish {
        /// Its name.
        capsule: CapsuleName,
        /// Its version.
        version: Version,
        /// The sha256 of the capsule file.
        digest: Digest,
        /// The sha256 of the payload of the [`Statement`](crate::Statement) signed about it.
        statement: Digest,
    },
    /// A version should not be chosen any more; who has it keeps it.
    Yank {
        /// The capsule.
        capsule: CapsuleName,
        /// The version.
        version: Version,
    },
    /// A yanked version may be chosen again.
    Unyank {
        /// The capsule.
        capsule: CapsuleName,
        /// The version.
        version: Version,
    },
    /// A version must not run any more, anywhere. There is no way back.
    Revoke {
        /// The capsule.
        capsule: CapsuleName,
        /// The version.
        version: Version,
        /// Why, for those who had it installed: 1–512 characters.
        reason: String,
    },
    /// Somebody joins. Signed by an owner and by the new owner's key.
    AddOwner {
        /// The namespace.
        namespace: Name,
        /// Who joins.
        owner: Owner,
    },
    /// Somebody leaves or is removed.
    RemoveOwner {
        /// The namespace.
        namespace: Name,
        /// Who leaves.
        account: Name,
    },
    /// An owner has one more key. Signed by an owner and by that key.
    AddKey {
        /// The namespace.
        namespace: Name,
        /// The owner and the new key.
        owner: Owner,
    },
    /// A key holds no more. With `successor`, which must sign too, the key is replaced.
    RevokeKey {
        /// The namespace.
        namespace: Name,
        /// Whose key it is.
        account: Name,
        /// The key.
        key: PublicKey,
        /// What takes its place.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        successor: Option<OwnerKey>,
    },
    /// An owner is said to have lost all keys; seven days of waiting begin. Made by the
    /// marketplace.
    Recover {
        /// The namespace, the owner, and the key that is to be the owner's.
        namespace: Name,
        /// Who lost the keys, and the new key.
        owner: Owner,
    },
    /// An owner objects, and the recovery is off.
    Object {
        /// The namespace.
        namespace: Name,
        /// Whose recovery.
        account: Name,
    },
    /// The wait is over: the new key takes the place of the lost ones. Made by the marketplace.
    Recovered {
        /// The namespace.
        namespace: Name,
        /// Who has a key again.
        account: Name,
    },
}

/// An account, with a key of its.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owner {
    /// The account's name.
    pub account: Name,
    /// A key of the account.
    pub key: OwnerKey,
}

/// A key, and how long it may sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnerKey {
    /// The key.
    #[schema(value_type = String)]
    pub public: PublicKey,
    /// Unix seconds from which on it signs nothing; none is never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
}

/// What is signed: a change, for one log, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeRequest {
    /// The origin of the log it is meant for, so that it is worth nothing in another.
    pub log: String,
    /// Its own id, so that it is worth nothing a second time.
    pub id: Uuid,
    /// The change.
    pub change: Change,
}

/// A change whose signatures fit it, and who signed.
#[derive(Clone, Debug)]
pub struct SignedChange {
    /// What was signed.
    pub request: ChangeRequest,
    /// The keys that signed; what they may do is not judged yet.
    pub signers: BTreeSet<PublicKey>,
}

/// Why an envelope holds no change for this log.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// Nothing that was signed.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// Signed for another log.
    #[error("signed for the log `{signed}`; this is `{this}`")]
    Log {
        /// The log in the payload.
        signed: String,
        /// The log at hand.
        this: String,
    },
}

impl Change {
    /// The namespace that it concerns.
    pub fn namespace(&self) -> Name {
        match self {
            Self::Publish { capsule, .. }
            | Self::Yank { capsule, .. }
            | Self::Unyank { capsule, .. }
            | Self::Revoke { capsule, .. } => capsule.publisher(),
            Self::Create { namespace, .. }
            | Self::AddOwner { namespace, .. }
            | Self::RemoveOwner { namespace, .. }
            | Self::AddKey { namespace, .. }
            | Self::RevokeKey { namespace, .. }
            | Self::Recover { namespace, .. }
            | Self::Object { namespace, .. }
            | Self::Recovered { namespace, .. } => namespace.clone(),
        }
    }

    /// The version that it concerns, where it concerns one.
    pub fn release(&self) -> Option<(&CapsuleName, &Version)> {
        match self {
            Self::Publish {
                capsule, version, ..
            }
            | Self::Yank { capsule, version }
            | Self::Unyank { capsule, version }
            | Self::Revoke {
                capsule, version, ..
            } => Some((capsule, version)),
            _ => None,
        }
    }
}

impl ChangeRequest {
    /// A request for this change in the log of this origin.
    pub fn new(log: impl Into<String>, change: Change) -> Self {
        Self {
            log: log.into(),
            id: Uuid::now_v7(),
            change,
        }
    }

    /// Signs it with every one of these keys.
    pub fn sign(&self, keys: &[&SecretKey]) -> Result<Envelope, ChangeError> {
        Ok(signed::sign(CHANGE_TYPE, self, keys)?)
    }
}

impl SignedChange {
    /// Checks every signature under the key that its `keyid` names: what was signed, and by whom.
    pub fn open(envelope: &Envelope, log: &str) -> Result<Self, ChangeError> {
        let (request, signers): (ChangeRequest, _) =
            signed::open(envelope, CHANGE_TYPE, MAX_CHANGE_BYTES)?;
        meant_for(&request.log, log)?;
        Ok(Self { request, signers })
    }

    /// Adds one more signature to what others signed: how an invitation is accepted.
    pub fn countersign(
        envelope: &Envelope,
        log: &str,
        key: &SecretKey,
    ) -> Result<Envelope, ChangeError> {
        let Self { request, signers } = Self::open(envelope, log)?;
        let mut more = envelope.clone();
        if !signers.contains(&key.public()) {
            more.signatures.extend(request.sign(&[key])?.signatures);
        }
        Ok(more)
    }
}

/// Refuses what was signed for another log.
pub(crate) fn meant_for(signed: &str, this: &str) -> Result<(), ChangeError> {
    if signed == this {
        return Ok(());
    }
    Err(ChangeError::Log {
        signed: signed.escape_debug().take(256).collect(),
        this: this.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> ChangeRequest {
        let change = Change::Yank {
            capsule: "soma/jq".parse().unwrap(),
            version: Version::new(1, 0, 0),
        };
        ChangeRequest::new("log.test", change)
    }

    fn refusal(envelope: &Envelope) -> String {
        SignedChange::open(envelope, "log.test")
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn what_is_signed_is_what_is_opened() {
        let (a, b) = (
            SecretKey::generate().unwrap(),
            SecretKey::generate().unwrap(),
        );
        let envelope = request().sign(&[&a, &b]).unwrap();
        let opened = SignedChange::open(&envelope, "log.test").unwrap();
        assert_eq!(opened.request.change, request().change);
        assert_eq!(opened.signers, BTreeSet::from([a.public(), b.public()]));
    }

    #[test]
    fn refuses_what_was_not_signed() {
        let (a, b) = (
            SecretKey::generate().unwrap(),
            SecretKey::generate().unwrap(),
        );
        let good = request().sign(&[&a]).unwrap();
        assert!(
            SignedChange::open(&good, "other.test")
                .unwrap_err()
                .to_string()
                .contains("signed for the log `log.test`")
        );

        let mut other_key = good.clone();
        other_key.signatures[0].keyid = Some(b.public().to_string());
        let mut no_key = good.clone();
        no_key.signatures[0].keyid = None;
        let mut none = good.clone();
        none.signatures.clear();
        let mut many = good.clone();
        many.signatures = vec![good.signatures[0].clone(); 5];
        let mut moved = good.clone();
        moved.payload = request().sign(&[&a]).unwrap().payload;
        let mut retyped = good.clone();
        retyped.payload_type = "application/vnd.in-toto+json".into();
        let mut half = good.clone();
        half.signatures.push(moved.signatures[0].clone());
        half.signatures[1].sig = request().sign(&[&a]).unwrap().signatures[0].sig.clone();
        let other = signed::sign(CHANGE_TYPE, &1, &[&a]).unwrap();
        let large = " ".repeat(2 * MAX_CHANGE_BYTES);
        let large = signed::sign(CHANGE_TYPE, &large, &[&a]).unwrap();
        for (envelope, part) in [
            (other_key, "does not fit"),
            (no_key, "names no public key"),
            (none, "has 0 signatures"),
            (many, "has 5 signatures"),
            (moved, "does not fit"),
            (retyped, "payload type is"),
            (half, "does not fit"),
            (other, "cannot be read"),
            (large, "over 16384"),
        ] {
            let message = refusal(&envelope);
            assert!(message.contains(part), "{message}");
        }
    }
}
