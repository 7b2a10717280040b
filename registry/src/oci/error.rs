//! Why an artifact could not be moved to or from a registry.

use reqwest::StatusCode;
use soma_capability::Digest;

use super::reference::{Reference, ReferenceError};

/// What a registry said or sent, or what was asked of it, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The tag to be given is none.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// A pull has to say what it wants.
    #[error("which capsule of {0}? Add `:TAG` or `@sha256:…`; `latest` is not assumed")]
    Unselected(Reference),
    /// The digest of what is pushed follows from it.
    #[error("{0} names a digest; a push gives a tag: write `:TAG`, or nothing for the version")]
    PushToDigest(Reference),
    /// One of our own documents could not be written.
    #[error("an OCI document cannot be written: {0}")]
    Document(#[from] serde_json::Error),
    /// No HTTP client, such as where the machine's certificates cannot be read.
    #[error("no HTTP client: {0}")]
    Client(#[source] reqwest::Error),
    /// No answer, or not all of one.
    #[error("the registry {host} cannot be reached, or broke off: {}", innermost(.source))]
    Unreachable {
        /// With its port.
        host: String,
        /// What happened.
        source: reqwest::Error,
    },
    /// Credentials are missing, wrong, or not enough.
    #[error("the registry {host} refuses access: {problem}")]
    Unauthorized {
        /// With its port.
        host: String,
        /// What it wants or said.
        problem: String,
    },
    /// The registry does not have it.
    #[error("{what}: there is none")]
    NotFound {
        /// What was asked for, and where.
        what: String,
    },
    /// Any other answer than the expected one.
    #[error("{what}: the registry answered {status}{message}")]
    Refused {
        /// What was asked for, and where.
        what: String,
        /// Of the answer.
        status: StatusCode,
        /// In the registry's words: empty, or `: ` and what it said.
        message: String,
    },
    /// More than is read.
    #[error("{what}: larger than the {bound} bytes that are allowed")]
    TooLarge {
        /// What was asked for, and where.
        what: String,
        /// In bytes.
        bound: usize,
    },
    /// The content is not what its name says.
    #[error(
        "{what}: the digest is wrong, the content was changed: expected {expected}, found {found}"
    )]
    DigestMismatch {
        /// What was asked for, and where.
        what: String,
        /// As the reference or a manifest says.
        expected: Digest,
        /// Of what came.
        found: Digest,
    },
    /// A good artifact of another kind.
    #[error("{what}: this is not a capsule: {problem}")]
    NotACapsule {
        /// What was asked for, and where.
        what: String,
        /// What it is.
        problem: String,
    },
    /// Not what the specification says.
    #[error("{what}: the registry's answer makes no sense: {problem}")]
    Malformed {
        /// What was asked for, and where.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// What is at the end of the chain, such as `connection refused`: the rest says that a request was
/// sent.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
