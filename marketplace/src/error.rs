//! What can go wrong between a request and its answer, and which RFC 9457 problem the client is
//! told. docs/marketplace-api.md describes each kind.

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde_json::json;
use soma_registry::log::{CheckpointError, LeafError, ProofError, WitnessRefusal};
use soma_registry::{BundleError, ChangeError, PackageError, Refusal, StatementError, TooSlow};
use soma_runtime::DescribeError;

/// What `type` begins with; the kind's code follows.
const TYPE_PREFIX: &str = "urn:soma:problem:";

/// Why a request has no answer but a problem.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A path, query, header or document that is malformed.
    #[error("{0}")]
    BadRequest(String),
    /// No token, or one that opens nothing.
    #[error("{0}")]
    Unauthorized(&'static str),
    /// A token of other scopes or namespaces.
    #[error("this token {0}")]
    Scope(String),
    /// An account that may not do this.
    #[error("{0}")]
    Forbidden(String),
    /// No route, or nothing of that name.
    #[error("there is no {0}")]
    NotFound(String),
    /// A route, but not for this method.
    #[error("the `Allow` header says which methods the path takes")]
    MethodNotAllowed,
    /// Another body is needed.
    #[error("send the body as `{0}`, and say so in `Content-Type`")]
    UnsupportedMediaType(&'static str),
    /// The body is compressed.
    #[error("send the body as it is, without a `Content-Encoding`")]
    Encoded,
    /// More bytes than allowed.
    #[error("{what} has more than {limit} bytes, the bound in force")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Bytes allowed.
        limit: usize,
    },
    /// The body took too long.
    #[error("the body did not arrive within {0} s")]
    BodyTimeout(u64),
    /// The body comes too slowly.
    #[error(transparent)]
    TooSlow(#[from] TooSlow),
    /// It is so already.
    #[error("{0}")]
    Conflict(String),
    /// Somebody has the name, or one that looks like it.
    #[error("{0}")]
    NameTaken(String),
    /// A signature that does not fit, or is about something else.
    #[error(transparent)]
    Signature(#[from] ChangeError),
    /// The same, of a statement.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// The rules do not allow the change.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Not a capsule file.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// Its tools are not what it says, or it does not say.
    #[error(transparent)]
    Describe(DescribeError),
    /// Its tools are not what it says.
    #[error("`describe` answers other tools than the file shows: build it again and sign that")]
    Lies,
    /// A witness does not cosign.
    #[error(transparent)]
    Witness(WitnessRefusal),
    /// All that can be done at once is being done.
    #[error("all places for {0} are taken: try again")]
    Overloaded(&'static str),
    /// Too many requests from there.
    #[error("too many requests: at most {0} a minute")]
    RateLimited(u32),
    /// Starting, stopping, or without its database.
    #[error("{0}")]
    NotReady(&'static str),
    /// The database failed.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// The store of capsule files failed.
    #[error("blobs: {0}")]
    Blobs(#[from] object_store::Error),
    /// The log cannot be written or signed.
    #[error("log: {0}")]
    Log(String),
    /// What a witness has seen cannot be kept.
    #[error("witness: {0}")]
    Seen(std::io::Error),
    /// The system gives no random bytes.
    #[error("no random bytes: {0}")]
    Random(#[from] getrandom::Error),
    /// The metrics cannot be written out.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

impl Error {
    /// Status, code and title of the problem that the client is told.
    fn kind(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::BadRequest(_) => (
                StatusCode::BAD_REQUEST,
                "bad-request",
                "The request is malformed",
            ),
            Self::Unauthorized(_) => (
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "A valid token is needed",
            ),
            Self::Scope(_) => (
                StatusCode::FORBIDDEN,
                "insufficient-scope",
                "The token does not allow this",
            ),
            Self::Forbidden(_) => (
                StatusCode::FORBIDDEN,
                "forbidden",
                "The account may not do this",
            ),
            Self::NotFound(_) => (
                StatusCode::NOT_FOUND,
                "not-found",
                "There is nothing of that name",
            ),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "The path does not take this method",
            ),
            Self::UnsupportedMediaType(_) | Self::Encoded => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "The body has the wrong media type",
            ),
            Self::TooLarge { .. } | Self::Package(PackageError::TooLarge(_)) => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-large",
                "The body is too large",
            ),
            Self::BodyTimeout(_) | Self::TooSlow(_) => (
                StatusCode::REQUEST_TIMEOUT,
                "body-timeout",
                "The body did not arrive in time",
            ),
            Self::Conflict(_) => CONFLICT,
            Self::NameTaken(_) => (StatusCode::CONFLICT, "name-taken", "The name is taken"),
            Self::Signature(_) | Self::Statement(_) => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid-signature",
                "What was signed does not fit",
            ),
            Self::Refused(Refusal::VersionTaken(..)) => (
                StatusCode::CONFLICT,
                "version-taken",
                "The version is published already",
            ),
            Self::Refused(refusal) => refused(refusal),
            Self::Package(_) => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid-capsule",
                "The file is not a capsule",
            ),
            Self::Describe(error) if is_ours(error) => INTERNAL,
            Self::Describe(_) | Self::Lies => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid-tools",
                "The capsule's tools are not what it says",
            ),
            Self::Witness(refusal) => unwitnessed(refusal),
            Self::RateLimited(_) => (
                StatusCode::TOO_MANY_REQUESTS,
                "rate-limited",
                "Too many requests",
            ),
            Self::Overloaded(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "overloaded",
                "The marketplace has all it can take",
            ),
            Self::NotReady(_) => NOT_READY,
            Self::Database(error) if is_away(error) => NOT_READY,
            Self::Database(_)
            | Self::Blobs(_)
            | Self::Log(_)
            | Self::Seen(_)
            | Self::Random(_)
            | Self::Metrics(_) => INTERNAL,
        }
    }
}

const INTERNAL: (StatusCode, &str, &str) = (
    StatusCode::INTERNAL_SERVER_ERROR,
    "internal",
    "The marketplace failed",
);
const CONFLICT: (StatusCode, &str, &str) = (
    StatusCode::CONFLICT,
    "conflict",
    "The change does not fit what is there",
);
const NOT_READY: (StatusCode, &str, &str) = (
    StatusCode::SERVICE_UNAVAILABLE,
    "not-ready",
    "The marketplace is not ready",
);

/// What is missing is not found, what is there already conflicts, and the rest is not allowed.
fn refused(refusal: &Refusal) -> (StatusCode, &'static str, &'static str) {
    match refusal {
        Refusal::NoNamespace(_)
        | Refusal::UnknownOwner(_)
        | Refusal::UnknownKey { .. }
        | Refusal::UnknownVersion(..)
        | Refusal::NoRecovery(_) => (
            StatusCode::NOT_FOUND,
            "not-found",
            "There is nothing of that name",
        ),
        Refusal::NamespaceTaken(_) => (StatusCode::CONFLICT, "name-taken", "The name is taken"),
        Refusal::Reason(_) | Refusal::NoReason | Refusal::Undated | Refusal::BornExpired(_) => (
            StatusCode::BAD_REQUEST,
            "bad-request",
            "The request is malformed",
        ),
        Refusal::KeyKnown(_)
        | Refusal::OwnerKnown(_)
        | Refusal::Standing(..)
        | Refusal::Replayed
        | Refusal::LastKey
        | Refusal::TooMany
        | Refusal::TooSoon { .. } => CONFLICT,
        _ => (
            StatusCode::FORBIDDEN,
            "not-allowed",
            "The keys that signed may not make this change",
        ),
    }
}

/// The statuses are the specification's. <https://c2sp.org/tlog-witness>
fn unwitnessed(refusal: &WitnessRefusal) -> (StatusCode, &'static str, &'static str) {
    match refusal {
        WitnessRefusal::Backwards { .. }
        | WitnessRefusal::Checkpoint(CheckpointError::Malformed) => (
            StatusCode::BAD_REQUEST,
            "bad-request",
            "The request is malformed",
        ),
        WitnessRefusal::Behind { .. } | WitnessRefusal::Forked { .. } => (
            StatusCode::CONFLICT,
            "conflict",
            "The checkpoint does not fit what was cosigned",
        ),
        WitnessRefusal::Proof(_) => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid-proof",
            "The log is not proven to continue",
        ),
        WitnessRefusal::Checkpoint(_) => (
            StatusCode::FORBIDDEN,
            "not-allowed",
            "The log's key did not sign this",
        ),
    }
}

/// Whether the marketplace failed rather than the component.
fn is_ours(error: &DescribeError) -> bool {
    matches!(error, DescribeError::Engine(_))
}

/// Whether the database does not answer, rather than answer with an error.
pub(crate) fn no_invitation() -> Error {
    Error::Forbidden(
        "there is no such invitation, or it was withdrawn: ask an owner for another".to_owned(),
    )
}

fn is_away(error: &sqlx::Error) -> bool {
    matches!(
        error,
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_)
    )
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, code, title) = self.kind();
        let mut problem = json!({
            "type": format!("{TYPE_PREFIX}{code}"),
            "title": title,
            "status": status.as_u16(),
        });
        // Of its own failures, and its database's words, nothing but that it failed.
        if status.is_server_error() && !matches!(self, Self::Overloaded(_) | Self::NotReady(_)) {
            tracing::error!(error = %self, "a request failed");
        } else {
            tracing::info!(problem = code, detail = %self, "refused");
            problem["detail"] = self.to_string().into();
        }
        let mut response = (status, problem.to_string()).into_response();
        let headers = response.headers_mut();
        let json = HeaderValue::from_static("application/problem+json");
        headers.insert(CONTENT_TYPE, json);
        match status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}

impl From<DescribeError> for Error {
    fn from(error: DescribeError) -> Self {
        Self::Describe(error)
    }
}

impl From<LeafError> for Error {
    fn from(error: LeafError) -> Self {
        match error {
            LeafError::Change(error) => Self::Signature(error),
            error => Self::Log(error.to_string()),
        }
    }
}

impl From<CheckpointError> for Error {
    fn from(error: CheckpointError) -> Self {
        Self::Log(error.to_string())
    }
}

impl From<ProofError> for Error {
    fn from(error: ProofError) -> Self {
        Self::Log(error.to_string())
    }
}

impl From<BundleError> for Error {
    fn from(error: BundleError) -> Self {
        Self::Log(error.to_string())
    }
}
