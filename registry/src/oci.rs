//! A capsule as an OCI artifact: the CNCF's [layout] for WebAssembly, so that any registry keeps it
//! and any OCI client fetches it.
//!
//! [`Artifact`] derives the manifest and the config from a [`Package`](crate::Package), always the
//! same bytes; the capsule file is the one layer. A [`Referrer`] attaches the bundle of signature
//! and proofs. [`Registry`] moves both to and from a registry, named by a [`Reference`].
//!
//! [layout]: https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/

mod annotations;
mod artifact;
mod blob;
mod body;
mod challenge;
mod config;
mod credentials;
mod error;
mod manifest;
mod pull;
mod push;
mod reference;
mod referrer;
mod registry;
mod session;

pub use artifact::Artifact;
pub use blob::{Blob, Descriptor};
pub use credentials::{Credentials, CredentialsError};
pub use error::RegistryError;
pub use pull::Pulled;
pub use push::Pushed;
pub(crate) use reference::is_loopback;
pub use reference::{Reference, ReferenceError, Selector};
pub use referrer::{Referrer, fallback_tag, index};
pub use registry::Registry;

/// The media type of a manifest.
pub const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of an index, which lists manifests.
pub const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
/// The media type of a WebAssembly artifact's config.
pub const CONFIG_TYPE: &str = "application/vnd.wasm.config.v0+json";
/// The media type of the one layer, the capsule file.
pub const LAYER_TYPE: &str = "application/wasm";
pub use crate::bundle::BUNDLE_TYPE;
/// The media type of a config that says nothing: `{}`.
pub const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
/// The largest manifest, index or bundle: 4 MiB, as registries allow.
pub const MAX_DOCUMENT_BYTES: usize = 4 << 20;
/// The most bundles of one capsule that are looked at: anybody who may push could have attached one,
/// and it takes one that verifies.
pub const MAX_BUNDLES: usize = 8;
