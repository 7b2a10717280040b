//! The client for any registry.

use super::credentials::Credentials;

/// Pushes capsules to registries and pulls them from there. A registry is trusted with nothing:
/// what it sends has a bound, and every digest is checked.
///
/// ```no_run
/// # async fn run() -> Result<(), soma_registry::oci::RegistryError> {
/// use soma_registry::oci::{Reference, Registry};
/// let reference: Reference = "oci://ghcr.io/owner/hello:1.0.0".parse()?;
/// let pulled = Registry::new(None).pull(&reference).await?;
/// println!("{} bytes, {} bundles", pulled.package.len(), pulled.bundles.len());
/// # Ok(())
/// # }
/// ```
///
/// The protocol is small, and is spoken here on `reqwest`. The `oci-client` crate reads manifests
/// without a bound, follows a manifest's foreign URLs, and lets redirects leave TLS.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    pub(super) credentials: Option<Credentials>,
}

impl Registry {
    /// A client with these credentials, which are shown only to a registry that asks for them, or
    /// to the token service that it names.
    pub fn new(credentials: Option<Credentials>) -> Self {
        Self { credentials }
    }
}
