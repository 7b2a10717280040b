//! Why an exchange failed.

use std::time::Duration;

use crate::bindings::soma::capsule::http as wit;

/// Why an exchange failed. `?` in a tool makes the fitting [`soma_sdk::Error`](crate::Error) of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No grant covers the request; the text says what was missing.
    #[error("the host does not allow this request: {0}")]
    Denied(String),
    /// The request itself is malformed.
    #[error("the request is malformed: {0}")]
    InvalidRequest(String),
    /// The name did not resolve, or nothing answered there.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The peer could not prove who it is.
    #[error("the peer could not prove who it is: {0}")]
    Tls(String),
    /// The exchange took longer than its bound.
    #[error("no answer in time")]
    Timeout,
    /// A body was larger than this many bytes, the bound in force.
    #[error("the body is larger than {0} bytes")]
    TooLarge(u64),
    /// The peer broke HTTP, or the connection ended early.
    #[error("the peer broke HTTP: {0}")]
    Protocol(String),
    /// The status says that it failed; see [`Response::error_for_status`](super::Response::error_for_status).
    #[error("{url} answered with status {status}")]
    Status {
        /// The status, 400–599.
        status: u16,
        /// What was asked for, without user, query and fragment.
        url: String,
        /// How long to wait before trying again, where the answer says so in seconds.
        retry_after: Option<Duration>,
    },
    /// The body is not what was expected.
    #[error("{url} answered with something else than expected: {reason}")]
    Decode {
        /// What was asked for, without user, query and fragment.
        url: String,
        /// Where in the body, and what was expected there.
        reason: String,
    },
}

impl From<wit::Error> for Error {
    fn from(error: wit::Error) -> Self {
        match error {
            wit::Error::Denied(text) => Self::Denied(text),
            wit::Error::InvalidRequest(text) => Self::InvalidRequest(text),
            wit::Error::Connect(text) => Self::Connect(text),
            wit::Error::Tls(text) => Self::Tls(text),
            wit::Error::Timeout => Self::Timeout,
            wit::Error::TooLarge(bound) => Self::TooLarge(bound),
            wit::Error::Protocol(text) => Self::Protocol(text),
        }
    }
}
