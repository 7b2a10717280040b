//! Capsules in OCI registries: a real one, judged by another client, and ones that misbehave.

mod bad;
mod distribution;
mod fake;
mod real;
mod token;

pub(crate) use distribution::{Distribution, skopeo};

use soma_registry::Package;
use soma_registry::oci::{Reference, Registry, RegistryError};

use crate::harness::pack_guest;

const BUNDLE: &[u8] = br#"{"any": "bundle"}"#;

/// Any capsule.
fn capsule() -> Package {
    pack_guest("table_canary")
}

fn reference(text: &str) -> Reference {
    text.parse().expect("a reference")
}

/// What goes wrong when this is pulled by nobody in particular.
async fn refused(reference: &Reference) -> RegistryError {
    let pulled = Registry::new(None).pull(reference).await;
    pulled.expect_err("this cannot be pulled")
}
