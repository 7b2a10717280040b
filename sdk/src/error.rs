//! Why a tool did not give an answer.
//!
//! ```
//! use soma_sdk::Error;
//!
//! // `?` turns any other error into `failed`, with all its causes in the message.
//! fn parse(text: &str) -> Result<u32, Error> {
//!     Ok(text.trim().parse()?)
//! }
//! assert_eq!(parse(" 7 "), Ok(7));
//! ```
//!
//! ```
//! # use soma_sdk::Error;
//! // Say what the caller can act on, where you know it.
//! fn parse(text: &str) -> Result<u32, Error> {
//!     text.parse()
//!         .map_err(|why| Error::invalid_input(format!("`count` is not a number: {why}")))
//! }
//! assert_eq!(
//!     parse("x").unwrap_err().to_string(),
//!     "invalid input: `count` is not a number: invalid digit found in string"
//! );
//! ```

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use crate::bindings::exports::soma::capsule::tools;
use crate::{http, kv, toolbox};

/// Why a tool did not give an answer. Every message is shown to the caller, who may be a model:
/// say what was wrong and what to do instead.
///
/// Like `anyhow::Error` it is made from any [`std::error::Error`] by `?`, and so is none itself.
/// An [`http::Error`], [`kv::Error`] or [`toolbox::Error`] becomes the variant that fits it, anything
/// else [`Error::Failed`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The input has the right shape but not a usable value.
    InvalidInput(String),
    /// What the input names does not exist.
    NotFound(String),
    /// The upstream did not accept the credential.
    Unauthorized(String),
    /// The host or the upstream does not allow it.
    Denied(String),
    /// Too many requests for now.
    RateLimited {
        /// What is limited.
        message: String,
        /// How long to wait before trying again, where it is known.
        retry_after: Option<Duration>,
    },
    /// A service the tool depends on failed.
    Upstream {
        /// What it was asked and how it failed.
        message: String,
        /// The HTTP status it answered with; none where it did not answer.
        status: Option<u16>,
    },
    /// Anything else.
    Failed(String),
}

impl Error {
    /// The input has the right shape but not a usable value.
    pub fn invalid_input(message: impl Into<String>) -> Self {
        Self::InvalidInput(message.into())
    }

    /// What the input names does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::NotFound(message.into())
    }

    /// The upstream did not accept the credential.
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::Unauthorized(message.into())
    }

    /// The host or the upstream does not allow it.
    pub fn denied(message: impl Into<String>) -> Self {
        Self::Denied(message.into())
    }

    /// Too many requests; `retry_after` where it is known.
    pub fn rate_limited(message: impl Into<String>, retry_after: Option<Duration>) -> Self {
        Self::RateLimited {
            message: message.into(),
            retry_after,
        }
    }

    /// A service the tool depends on failed; `status` where it answered.
    pub fn upstream(message: impl Into<String>, status: Option<u16>) -> Self {
        Self::Upstream {
            message: message.into(),
            status,
        }
    }

    /// Anything else.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed(message.into())
    }

    /// The message, without the kind that [`Display`](fmt::Display) puts before it.
    pub fn message(&self) -> &str {
        match self {
            Self::InvalidInput(message)
            | Self::NotFound(message)
            | Self::Unauthorized(message)
            | Self::Denied(message)
            | Self::RateLimited { message, .. }
            | Self::Upstream { message, .. }
            | Self::Failed(message) => message,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::InvalidInput(_) => "invalid input",
            Self::NotFound(_) => "not found",
            Self::Unauthorized(_) => "unauthorized",
            Self::Denied(_) => "denied",
            Self::RateLimited { .. } => "rate limited",
            Self::Upstream { .. } => "upstream failed",
            Self::Failed(_) => "failed",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind(), self.message())
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        let message = with_causes(&error);
        let any = &error as &dyn Any;
        if let Some(error) = any.downcast_ref::<http::Error>() {
            return from_http(error, message);
        }
        if let Some(error) = any.downcast_ref::<toolbox::Error>() {
            return from_toolbox(error, message);
        }
        match any.downcast_ref::<kv::Error>() {
            Some(kv::Error::Denied(_)) => Self::Denied(message),
            _ => Self::Failed(message),
        }
    }
}

fn from_http(error: &http::Error, message: String) -> Error {
    match error {
        http::Error::Denied(_) => Error::Denied(message),
        http::Error::Status {
            status,
            retry_after,
            ..
        } => match status {
            401 => Error::Unauthorized(message),
            403 => Error::Denied(message),
            404 | 410 => Error::NotFound(message),
            429 => Error::rate_limited(message, *retry_after),
            _ => Error::upstream(message, Some(*status)),
        },
        // Made by the tool itself: no service has failed.
        http::Error::InvalidRequest(_) => Error::Failed(message),
        _ => Error::upstream(message, None),
    }
}

fn from_toolbox(error: &toolbox::Error, message: String) -> Error {
    match error {
        toolbox::Error::Denied(_) => Error::Denied(message),
        toolbox::Error::Problem {
            code, retry_after, ..
        } => match code.as_str() {
            "tool-not-found" => Error::NotFound(message),
            "tool-unauthorized" => Error::Unauthorized(message),
            "tool-denied" => Error::Denied(message),
            "tool-rate-limited" | "overloaded" => Error::rate_limited(message, *retry_after),
            "tool-upstream" => Error::upstream(message, None),
            _ => Error::Failed(message),
        },
        toolbox::Error::Json(_) => Error::Failed(message),
    }
}

/// The error and its causes, `: ` between them; a cause that the text already ends with (some
/// libraries write it into their own) is not said twice.
fn with_causes(error: &dyn StdError) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !message.ends_with(&text) {
            message = format!("{message}: {text}");
        }
        cause = error.source();
    }
    message
}

impl From<Error> for tools::ToolError {
    fn from(error: Error) -> Self {
        match error {
            Error::InvalidInput(message) => Self::InvalidInput(message),
            Error::NotFound(message) => Self::NotFound(message),
            Error::Unauthorized(message) => Self::Unauthorized(message),
            Error::Denied(message) => Self::Denied(message),
            Error::RateLimited {
                message,
                retry_after,
            } => Self::RateLimited(tools::RateLimit {
                message,
                retry_after_ms: retry_after
                    .map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
            }),
            Error::Upstream { message, status } => {
                Self::Upstream(tools::UpstreamFailure { message, status })
            }
            Error::Failed(message) => Self::Failed(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read the feed")]
    struct Outer(#[source] std::num::ParseIntError);

    #[test]
    fn any_error_becomes_failed_with_its_causes() {
        let inner = "x".parse::<u8>().unwrap_err();
        assert_eq!(
            Error::from(Outer(inner)),
            Error::failed("cannot read the feed: invalid digit found in string")
        );
    }

    #[test]
    fn http_errors_become_what_fits_them() {
        let status = |status| {
            Error::from(http::Error::Status {
                status,
                url: "https://a.test/".into(),
                retry_after: Some(Duration::from_secs(3)),
            })
        };
        assert!(matches!(status(401), Error::Unauthorized(_)));
        assert!(matches!(status(403), Error::Denied(_)));
        assert!(matches!(status(404), Error::NotFound(_)));
        assert!(
            matches!(status(429), Error::RateLimited { retry_after, .. } if retry_after == Some(Duration::from_secs(3)))
        );
        assert!(matches!(status(503), Error::Upstream { status, .. } if status == Some(503)));
        assert!(matches!(
            Error::from(http::Error::Timeout),
            Error::Upstream { status: None, .. }
        ));
        assert!(matches!(
            Error::from(http::Error::Denied("no grant".into())),
            Error::Denied(_)
        ));
    }
}
