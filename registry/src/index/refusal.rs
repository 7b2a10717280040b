//! Why a change is not admitted, in the words that its author reads.

use semver::Version;
use soma_capability::{CapsuleName, Name};

use crate::key::PublicKey;
use crate::text::TextError;

/// The most owners of a namespace, and keys of an owner, those that hold no more among them.
pub(super) const MAX_OWNERS: usize = 32;

/// Why a change is not admitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nobody created it.
    #[error("there is no namespace `{0}`")]
    NoNamespace(Name),
    /// Somebody did already.
    #[error("the namespace `{0}` has owners already")]
    NamespaceTaken(Name),
    /// No signer is an owner.
    #[error("none of the keys that signed is one of an owner of `{0}`")]
    NotOwner(Name),
    /// The signer's key was revoked.
    #[error("the key {key} was revoked by leaf {leaf}")]
    KeyRevoked {
        /// The key.
        key: PublicKey,
        /// The leaf.
        leaf: u64,
    },
    /// The signer's key expired.
    #[error("the key {0} has expired")]
    KeyExpired(PublicKey),
    /// The one who gains by the change did not sign.
    #[error("the new key {0} must sign too")]
    NotSignedByNew(PublicKey),
    /// A key that an owner has or had already.
    #[error("the key {0} belongs, or belonged, to an owner already")]
    KeyKnown(PublicKey),
    /// No owner of that name.
    #[error("`{0}` is not an owner")]
    UnknownOwner(Name),
    /// No such key of that owner that holds.
    #[error("`{account}` has no key {key} that holds")]
    UnknownKey {
        /// The owner.
        account: Name,
        /// The key.
        key: PublicKey,
    },
    /// A key of the owner whom it is about did not sign.
    #[error("one of the keys of `{0}` must sign too: no owner gives another one a key")]
    NotSignedByOwner(Name),
    /// A key that could never sign.
    #[error("the new key {0} would have expired already")]
    BornExpired(PublicKey),
    /// An owner of that name is there.
    #[error("`{0}` is an owner already")]
    OwnerKnown(Name),
    /// Nobody could ever change anything again.
    #[error("this is the last key that holds without an end: add another one first")]
    LastKey,
    /// Too many owners, or keys.
    #[error("at most {MAX_OWNERS} owners, and {MAX_OWNERS} keys an owner, old ones included")]
    TooMany,
    /// The version is there.
    #[error("{0} {1} is published already, and a version never changes")]
    VersionTaken(CapsuleName, Version),
    /// The version is not there.
    #[error("there is no {0} {1}")]
    UnknownVersion(CapsuleName, Version),
    /// It is so already, or can never be again.
    #[error("{0} {1} is {2} already")]
    Standing(CapsuleName, Version, &'static str),
    /// A text that may not be shown.
    #[error("the reason {0}")]
    Reason(TextError),
    /// No reason.
    #[error("a revocation needs a reason")]
    NoReason,
    /// The same change again.
    #[error("this very change was made already, or a newer one was: sign it anew")]
    Replayed,
    /// An id that is of no time, or of one that has not come.
    #[error(
        "the change's id must be a UUID of version 7, and of no time to come: is the clock right?"
    )]
    Undated,
    /// A recovery that is not under way.
    #[error("no recovery of `{0}` is under way")]
    NoRecovery(Name),
    /// A recovery before its time.
    #[error("the recovery of `{account}` can end at Unix second {until}, not before")]
    TooSoon {
        /// The owner.
        account: Name,
        /// When.
        until: u64,
    },
    /// A change that needs signatures, on the marketplace's word; or the other way round.
    #[error("this change needs {0}")]
    WrongWord(&'static str),
}
