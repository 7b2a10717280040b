//! What can go wrong between a request and its answer.

mod told;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use soma_capability::{CapsuleName, CredentialName};
use soma_registry::{PackageError, TooSlow};
use soma_runtime::{Failure, LoadError, Usage};
use tokio::task::JoinError;

use crate::answers::Unrepeated;
use crate::audit::Unwritten;
use crate::budget::{Exhausted, Refused};
use crate::distrust::Distrust;
use crate::input::InvalidInput;
use crate::key::is_id;
use crate::rates::Reached;
use crate::restored::NotCurrent;
use crate::secrets::Unsealed;

/// Why a request has no answer but a problem.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A path, query, header or document that is malformed.
    #[error("{0}")]
    BadRequest(String),
    /// No key, or not one that opens anything.
    #[error("{0}")]
    Unauthorized(&'static str),
    /// A key that does not open this.
    #[error("{0}")]
    Forbidden(String),
    /// Its tenant is suspended.
    #[error("the tenant `{0}` is suspended: an administrator can resume it")]
    TenantSuspended(String),
    /// `Host` names somebody else.
    #[error("`{0}` is not a name of this host: where it should be, add it to --allowed-hosts")]
    Misdirected(String),
    /// `Origin` names a page that may not ask.
    #[error("`{0}` may not send requests: where it should, add it to --allowed-origins")]
    ForeignOrigin(String),
    /// No route.
    #[error("see docs/ for the API's paths")]
    NoSuchPath,
    /// The tenant has not installed it.
    #[error("`{0}` is not installed")]
    UnknownCapsule(CapsuleName),
    /// It is installed and has no such tool.
    #[error("`{capsule}` has no tool `{tool}`; it has {has}")]
    UnknownTool {
        /// The capsule.
        capsule: CapsuleName,
        /// What was asked for; a well-formed name.
        tool: String,
        /// The tools it has.
        has: String,
    },
    /// No tenant of that name.
    #[error("there is no tenant `{0}`")]
    UnknownTenant(String),
    /// No key of that id, or a revoked one where a live one is needed.
    #[error("{}", no_key(.0))]
    UnknownKey(String),
    /// No call of that id that the key may see.
    #[error(
        "this host's audit log has no such call that this key may see: it was another host's or \
         another key's, was erased, or is not recorded"
    )]
    UnknownInvocation,
    /// No pin of that namespace.
    #[error("`{0}` is not pinned")]
    UnknownPin(String),
    /// No file of that capsule is set aside for this.
    #[error("`{0}`: {1}")]
    UnknownUpdate(CapsuleName, &'static str),
    /// Nothing is granted to that capsule.
    #[error("nothing is granted to `{0}`")]
    UnknownGrant(CapsuleName),
    /// Nobody's budget.
    #[error("{0}")]
    UnknownBudget(String),
    /// No credential of that name.
    #[error("the credential `{0}` is not set")]
    UnknownSecret(CredentialName),
    /// The trust policy, or a log that does not show what it must.
    #[error(transparent)]
    Distrust(#[from] Box<Distrust>),
    /// A route, but not for this method.
    #[error("the `Allow` header says which methods the path takes")]
    MethodNotAllowed,
    /// The body took too long.
    #[error("the body did not arrive within {0} s")]
    BodyTimeout(u64),
    /// The body comes too slowly.
    #[error(transparent)]
    TooSlow(#[from] TooSlow),
    /// Something is there already, or must not go.
    #[error("{0}")]
    Conflict(String),
    /// More bytes than allowed.
    #[error("the body has more than {limit} bytes, the bound in force")]
    TooLarge {
        /// Bytes allowed.
        limit: u64,
    },
    /// `Content-Type` is missing or other than needed.
    #[error("send the body as `{expected}`, and say so in `Content-Type`")]
    UnsupportedMediaType {
        /// The media type to send.
        expected: &'static str,
    },
    /// The tool's input is not JSON, or not what the schema wants.
    #[error(transparent)]
    Input(#[from] InvalidInput),
    /// Not a capsule file.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// A capsule file that does not fit this host.
    #[error("{0}")]
    InvalidCapsule(String),
    /// Some budget has not enough left; nothing ran.
    #[error(transparent)]
    Budget(#[from] Box<Exhausted>),
    /// There are too many calls; nothing ran.
    #[error("{what} is reached")]
    RateLimited {
        /// The bound.
        what: Reached,
        /// When there may be one again.
        retry_after: Duration,
    },
    /// No place, not even to wait: of these there are as many as there may be.
    #[error("all places for {0} are taken")]
    Overloaded(&'static str),
    /// Starting, stopping, or without its database.
    #[error("{0}")]
    NotReady(&'static str),
    /// Restored, and not told yet what was revoked since the backup.
    #[error(transparent)]
    NotCurrent(#[from] NotCurrent),
    /// The call ended without an answer.
    #[error("{failure}")]
    Call {
        /// Why.
        failure: Failure,
        /// What it used until then.
        usage: Box<Usage>,
    },
    /// Nothing that happens can be recorded.
    #[error(
        "what happens here cannot be recorded at the moment, so nothing does: its disk may be full"
    )]
    AuditUnwritable,
    /// A call with effects on the outside came to its end, and that could not be recorded.
    #[error(
        "the call sent something, and how it ended could not be recorded: whether it did what it \
         should have must be looked at where it sent to; do not simply call again"
    )]
    OutcomeUnknown,
    /// A call that was sent before, and has no answer to be given again.
    #[error(transparent)]
    Unrepeated(#[from] Unrepeated),
    /// A line of the audit log is not on disk.
    #[error(transparent)]
    Audit(#[from] Unwritten),
    /// The database failed.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// The data folder failed.
    #[error("data folder: {0}")]
    Storage(#[from] std::io::Error),
    /// An installed capsule cannot be loaded.
    #[error("an installed capsule cannot be loaded: {0}")]
    Load(#[from] Arc<LoadError>),
    /// A failed look-up that several requests waited for.
    #[error("{0}")]
    Shared(Arc<Error>),
    /// A credential that is kept and cannot be used.
    #[error(transparent)]
    Secret(#[from] Unsealed),
    /// No HTTP client for a capsule.
    #[error("{0}")]
    Client(String),
    /// The system gives no random bytes.
    #[error("no random bytes: {0}")]
    Random(#[from] getrandom::Error),
    /// The metrics cannot be written out.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// A bug: some task panicked.
    #[error("a task panicked: {0}")]
    Panicked(String),
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Exhausted(exhausted) => Self::Budget(exhausted),
            Refused::TooManySessions => Self::Conflict(refused.to_string()),
            Refused::Database(error) => Self::Database(error),
        }
    }
}

impl From<Distrust> for Error {
    fn from(error: Distrust) -> Self {
        Self::Distrust(Box::new(error))
    }
}

impl From<QueryRejection> for Error {
    fn from(rejection: QueryRejection) -> Self {
        Self::BadRequest(rejection.body_text())
    }
}

impl From<JoinError> for Error {
    fn from(panic: JoinError) -> Self {
        Self::Panicked(panic.to_string())
    }
}

/// What is no id is not repeated: it may be a whole key.
fn no_key(id: &str) -> String {
    if is_id(id) {
        format!("there is no key `{id}` that is not revoked")
    } else {
        "there is no such key: its id is the 16 hex digits after `soma_`".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_unknown_is_repeated_only_where_it_is_an_id() {
        let said = |id: &str| Error::UnknownKey(id.to_owned()).to_string();
        let id = "3f9a0c1d2e4b5a69";
        assert!(said(id).contains(id));
        let whole = format!("soma_{id}_{}", "ab".repeat(32));
        assert!(!said(&whole).contains("abab"), "{}", said(&whole));
    }
}
