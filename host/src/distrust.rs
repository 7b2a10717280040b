//! Why something is not installed or not called although the request is right: the host's trust
//! policy, or a log that does not show what it must.

use semver::Version;
use soma_capability::{CapsuleName, Name};
use soma_registry::client::ClientError;
use soma_registry::{BundleError, IndexError, MarketplacesError};

use crate::problem::Kind;

/// One refusal.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Distrust {
    /// A capsule file that no log has, where the policy wants one that has.
    #[error(
        "this host installs only what the log of a marketplace has: install NAMESPACE/NAME, or have \
         the operator set `unlogged = true` under [trust] (--trust-unlogged)"
    )]
    Unlogged,
    /// A publisher that the policy does not list.
    #[error("`publishers` under [trust] does not list `{0}`")]
    Publisher(Name),
    /// A version that has not been there long enough.
    #[error(
        "{capsule} {version} has been in the log for {age} s, and `minimum-age` under [trust] is \
         {minimum} s"
    )]
    TooYoung {
        capsule: CapsuleName,
        version: Version,
        /// Seconds.
        age: u64,
        minimum: u64,
    },
    /// Too few witnesses.
    #[error(
        "the newest checkpoint of `{origin}` is cosigned by {found} of the witnesses that this host \
         knows, and `witnesses-required` under [trust] is {required}"
    )]
    Unwitnessed {
        origin: String,
        found: usize,
        required: usize,
    },
    /// The namespace comes from elsewhere.
    #[error(
        "`{namespace}` is pinned to the log `{origin}`, from which it was first installed here: \
         where it has moved, an administrator can unpin it (`soma pin remove {namespace}`)"
    )]
    Pinned {
        namespace: Name,
        /// The log it is pinned to.
        origin: String,
    },
    /// The namespace comes from a log, and a file alone from none.
    #[error(
        "`{namespace}` is pinned to the log `{origin}`, and a file says nothing of a log: install it \
         by its name, or with what proves it"
    )]
    File {
        namespace: Name,
        /// The log it is pinned to.
        origin: String,
    },
    /// The namespace has owners who do not follow from those that were pinned.
    #[error(
        "the owners of `{0}` in the log do not continue those whom this host pinned: somebody else \
         has the name now; an administrator can unpin it (`soma pin remove {0}`)"
    )]
    OtherOwners(Name),
    /// The version must not run any more.
    #[error("{capsule} {version} was revoked by {by}: {reason}")]
    Revoked {
        capsule: CapsuleName,
        version: Version,
        by: &'static str,
        reason: String,
    },
    /// No such marketplace, version or package.
    #[error("{0}")]
    Unknown(String),
    /// Several marketplaces have it.
    #[error("{0} is in several marketplaces: name one with `marketplace` ({1})")]
    Ambiguous(CapsuleName, String),
    /// What came is older than what was seen.
    #[error(
        "the marketplace showed its log `{origin}` as it was earlier: {signed} leaves, and {seen} were \
         seen already; a cache on the way may hold on to what is old"
    )]
    Stale {
        origin: String,
        /// Leaves seen.
        seen: u64,
        /// Leaves in the checkpoint that came.
        signed: u64,
    },
    /// The log contradicted itself.
    #[error(
        "the log `{origin}` is not believed any more: {why}; an operator who knows the reason can \
         remove the marketplace and add it again"
    )]
    Forked { origin: String, why: String },
    /// The log has a leaf that does not follow from those before.
    #[error("the log `{origin}` breaks its own rules, and is not followed beyond that: {error}")]
    Leaf { origin: String, error: IndexError },
    /// Nothing new was heard of the log for too long.
    #[error(
        "nothing was heard of the log `{origin}` for {seconds} s, and `maximum-silence` under \
         [trust] is {maximum} s"
    )]
    Silent {
        origin: String,
        seconds: u64,
        maximum: u64,
    },
    /// The log does not say when it signed.
    #[error("the newest checkpoint of `{0}` does not say when it was signed")]
    Undated(String),
    /// The marketplace cannot be asked, or what it sends is no answer.
    #[error(transparent)]
    Marketplace(#[from] ClientError),
    /// The list of marketplaces cannot be read.
    #[error("the host's own list of marketplaces is refused: {0}")]
    List(#[from] MarketplacesError),
    /// The file that came is not the version that was to come.
    #[error("the capsule file is not the one that the log has: {0}")]
    Unproven(#[from] BundleError),
    /// The bundle proves something else than what the log is known to say.
    #[error("the capsule file is not the one that the log has: the {0} differs")]
    Differs(&'static str),
    /// The marketplace's file is no capsule.
    #[error("what the marketplace sent is no capsule: {0}")]
    NoCapsule(#[from] soma_registry::PackageError),
    /// The same of what a client brought: nobody else is to blame.
    #[error(transparent)]
    Brought(Box<Distrust>),
}

impl Distrust {
    /// The kind of problem that the client is told.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Unlogged => Kind::UnloggedFile,
            Self::Publisher(_) => Kind::UntrustedPublisher,
            Self::TooYoung { .. } => Kind::VersionTooYoung,
            Self::Unwitnessed { .. } => Kind::Unwitnessed,
            Self::Pinned { .. } | Self::File { .. } | Self::OtherOwners(_) => Kind::NamespacePinned,
            Self::Revoked { .. } => Kind::Revoked,
            Self::Unknown(_) => Kind::UnknownPackage,
            Self::Ambiguous(..) => Kind::Conflict,
            Self::Forked { .. } | Self::Leaf { .. } => Kind::LogDistrusted,
            Self::Silent { .. } | Self::Undated(_) => Kind::LogSilent,
            Self::Marketplace(error) if error.is_alarm() => Kind::Unproven,
            Self::List(_) | Self::Marketplace(_) | Self::Stale { .. } => Kind::MarketplaceFailed,
            Self::Unproven(_) | Self::Differs(_) | Self::NoCapsule(_) => Kind::Unproven,
            Self::Brought(_) => Kind::UnprovenFile,
        }
    }
}
