//! What a package is and how it is trusted: the capsule file (a component whose custom section
//! `soma:capsule` holds its [`Manifest`] and its tools, read and checked as a [`Package`]), what
//! its author signs about it ([`Statement`]), the [`Change`]s that a transparency [`log`] records,
//! the [`Index`] that follows from them, and the [`client`] of a marketplace that has them. [`oci`] is how it
//! is all kept in any OCI registry.

pub mod api;
mod bundle;
mod canonical;
mod change;
pub mod client;
mod follower;
mod index;
mod key;
pub mod log;
mod manifest;
mod marketplaces;
pub mod oci;
pub mod owner_only;
mod pace;
mod package;
mod scan;
mod schema;
mod signed;
mod spec;
mod statement;
mod tools;

use soma_capability::text;

pub use bundle::{
    BUNDLE_TYPE, Bundle, BundleError, Check, Logged, MAX_BUNDLE_BYTES, Proven, ProvenLeaf,
};
pub use canonical::CanonicalError;
pub use change::{
    CHANGE_TYPE, Change, ChangeError, ChangeRequest, MAX_CHANGE_BYTES, Owner, OwnerKey,
    SignedChange,
};
pub use dsse::Envelope;
pub use follower::{FollowError, Follower};
pub use index::{
    Applied, Index, IndexError, KeyStanding, Namespace, Position, RECOVERY_WAIT, Recovery, Refusal,
    Release, Revocation, Standing, Step,
};
pub use key::{KeyError, PublicKey, SecretKey};
pub use manifest::{Location, MAX_README_BYTES, Manifest, ManifestError};
pub use marketplaces::{MARKETPLACES_FILE, Marketplaces, MarketplacesError, PinnedMarketplace};
pub use pace::{Pace, TooSlow};
pub use package::{
    MAX_FILE_BYTES, MAX_SECTION_BYTES, Package, PackageError, SECTION, check_component,
};
pub use scan::ScanError;
pub use schema::{MAX_COST, MAX_PATTERNS, Schema, SchemaError};
pub use signed::EnvelopeError;
pub use soma_capability::text::{CharacterKind, TextError};
pub use spec::{PackageSpec, SpecError};
pub use statement::{
    MAX_STATEMENT_BYTES, PREDICATE_TYPE, Predicate, STATEMENT_TYPE, Statement, StatementError,
};
pub use tools::{MAX_TOOLS, SchemaKind, ToolsError};
