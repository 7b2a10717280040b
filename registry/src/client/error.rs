//! Why a marketplace could not be asked, or what it answered instead.

use reqwest::StatusCode;

use crate::api::Problem;
use crate::change::ChangeError;
use crate::follower::FollowError;
use crate::index::IndexError;
use crate::log::CheckpointError;

/// Why there is no answer of the kind that was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No marketplace may be there.
    #[error("`{url}` cannot be a marketplace: {why}; it is named like https://market.example")]
    Address {
        /// The address.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A token that cannot be sent.
    #[error("the token has characters that no token has; `soma login` gets a new one")]
    Token,
    /// No HTTP client can be made on this machine.
    #[error("no HTTP client: {0}")]
    Http(reqwest::Error),
    /// Nobody answers, or not in time, or not to the end.
    #[error("the marketplace at {url} {what}{cause}")]
    Unreachable {
        /// The marketplace.
        url: String,
        /// What happened.
        what: &'static str,
        /// Why, as far as it is known.
        cause: String,
    },
    /// It refuses, and says why.
    #[error("{}", said(.0))]
    Problem(Box<Problem>),
    /// Something else answers in its place, or sends us elsewhere.
    #[error(
        "{url} answered {status}, but not as a marketplace does: check the address, and whether \
         there is a proxy in between"
    )]
    Status {
        /// What was asked.
        url: String,
        /// The HTTP status.
        status: StatusCode,
    },
    /// More than it may send.
    #[error("{what} is larger than the {limit} bytes that are read of it")]
    TooLarge {
        /// What was asked.
        what: String,
        /// The bound.
        limit: usize,
    },
    /// Not what was asked for.
    #[error("{what} cannot be read: {error}; is it a marketplace of another version?")]
    Malformed {
        /// What was asked.
        what: String,
        /// What is wrong.
        error: String,
    },
    /// Its checkpoint is not one of the pinned log.
    #[error("{0}; do not use this marketplace until you know why")]
    Checkpoint(#[from] CheckpointError),
    /// Its log does not continue what was seen of it.
    #[error("{0}; do not use this marketplace until you know why")]
    Follow(#[from] FollowError),
    /// A leaf of its log does not follow from those before it.
    #[error("the log breaks its own rules: {0}; do not use this marketplace until you know why")]
    Index(#[from] IndexError),
    /// What is to be sent cannot be signed.
    #[error(transparent)]
    Sign(#[from] ChangeError),
}

impl ClientError {
    /// What kind of problem it is, where the marketplace said: the last part of its `type`.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Problem(problem) => Some(problem.code()),
            _ => None,
        }
    }

    /// Whether the marketplace says that there is no such thing.
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::Problem(problem) => problem.status == 404,
            Self::Status { status, .. } => *status == StatusCode::NOT_FOUND,
            _ => false,
        }
    }

    /// Whether the network is to blame, or a marketplace that is down: the same request may
    /// succeed later.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Problem(problem) => problem.status >= 500 || problem.status == 429,
            Self::Status { status, .. } => status.is_server_error(),
            _ => false,
        }
    }

    /// Whether it proves, or may prove, that the log was tampered with.
    pub fn is_alarm(&self) -> bool {
        matches!(self, Self::Checkpoint(_) | Self::Follow(_) | Self::Index(_))
    }
}

impl Problem {
    /// Which kind, in its shortest form: the last part of `type`.
    pub fn code(&self) -> &str {
        self.kind.rsplit(':').next().unwrap_or_default()
    }
}

fn said(problem: &Problem) -> String {
    let Problem { title, detail, .. } = problem;
    match (title.is_empty(), detail.is_empty()) {
        (true, true) => format!("the marketplace answered {}", problem.status),
        (false, true) => title.clone(),
        (true, false) => detail.clone(),
        (false, false) => format!("{title}: {detail}"),
    }
}
