//! OCI registries, as whoever runs the command.

use reqwest::StatusCode;
use soma_registry::oci::{Credentials, CredentialsError, Reference, Registry, RegistryError};

use crate::failure::{Exit, Failure};

/// The registry of this reference, with what the user has logged in with there.
pub(crate) fn registry(reference: &Reference) -> Result<Registry, Failure> {
    let credentials = Credentials::of_user(&reference.host());
    Ok(Registry::new(credentials.map_err(|error| {
        let failure = Failure::new(Exit::NotAllowed, &error);
        match error {
            CredentialsError::Unreadable { .. } => failure,
            _ => failure.hint("log in again with the program that wrote it"),
        }
    })?))
}

/// Whether this is meant to be a reference; what is wrong with it is said when it is read.
pub(crate) fn is_reference(text: &str) -> bool {
    text.starts_with(Reference::SCHEME)
}

/// Reads a reference.
pub(crate) fn reference(text: &str) -> Result<Reference, Failure> {
    text.parse()
        .map_err(|error| Failure::usage(format_args!("`{text}`: {error}")))
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        let exit = match &error {
            RegistryError::Unreachable { .. } => Exit::Unreachable,
            RegistryError::Unauthorized { .. } => Exit::NotAllowed,
            RegistryError::Refused { status, .. } if *status == StatusCode::FORBIDDEN => {
                Exit::NotAllowed
            }
            RegistryError::NotFound { .. } => Exit::NotFound,
            RegistryError::Reference(_)
            | RegistryError::Unselected(_)
            | RegistryError::PushToDigest(_) => Exit::Usage,
            _ => Exit::Failed,
        };
        let failure = Self::new(exit, &error);
        match error {
            RegistryError::Unauthorized { host, .. } => failure.hint(format_args!(
                "`docker login {host}`, or `oras`, `podman` or `skopeo login`, leaves what is used \
                 here"
            )),
            _ => failure,
        }
    }
}
