//! Problems as clients see them (RFC 9457). docs/problems.md describes each kind.

use std::borrow::Cow;

use axum::body::Body;
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;
use soma_runtime::{Failure, ToolError, Usage};
use uuid::Uuid;

use crate::budget::Exhausted;
use crate::usage;

/// What `type` begins with; the kind's code follows. It names the problem, and is stable; the
/// page it might lead to is docs/problems.md.
pub const TYPE_PREFIX: &str = "urn:soma:problem:";
/// The media type of problems.
pub(crate) const PROBLEM: &str = "application/problem+json";

/// One line a kind: its name here, its status, its code, its title.
macro_rules! kinds {
    ($($kind:ident $status:ident $code:literal $title:literal;)+) => {
        /// Every kind of problem.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind {
            $(#[doc = $title] $kind,)+
        }

        impl Kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind,)+];

            /// The last part of its `type`.
            pub fn code(self) -> &'static str {
                match self { $(Self::$kind => $code,)+ }
            }

            /// The HTTP status it comes with.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$kind => StatusCode::$status,)+ }
            }

            /// What it is, in words that are the same every time.
            pub fn title(self) -> &'static str {
                match self { $(Self::$kind => $title,)+ }
            }
        }
    };
}

kinds! {
    BadRequest BAD_REQUEST "bad-request" "The request is malformed";
    InvalidJson BAD_REQUEST "invalid-json" "The body is not one JSON text";
    Unauthorized UNAUTHORIZED "unauthorized" "A valid API key is needed";
    Forbidden FORBIDDEN "forbidden" "The API key does not allow this";
    TenantSuspended FORBIDDEN "tenant-suspended" "The tenant is suspended";
    UnloggedFile FORBIDDEN "unlogged-file" "No log has this file";
    UntrustedPublisher FORBIDDEN "untrusted-publisher" "The trust policy does not list the publisher";
    VersionTooYoung FORBIDDEN "version-too-young" "The version has not been in the log long enough";
    Unwitnessed FORBIDDEN "unwitnessed" "Too few witnesses have seen the log";
    ForeignOrigin FORBIDDEN "foreign-origin" "Pages of this origin may not send requests";
    NoSuchPath NOT_FOUND "no-such-path" "There is nothing at this path";
    UnknownCapsule NOT_FOUND "unknown-capsule" "No such capsule is installed";
    UnknownPackage NOT_FOUND "unknown-package" "No marketplace has such a version";
    UnknownUpdate NOT_FOUND "unknown-update" "No such update is kept of the capsule";
    UnknownGrant NOT_FOUND "unknown-grant" "Nothing is granted to the capsule";
    UnknownBudget NOT_FOUND "unknown-budget" "There is no such budget";
    UnknownSecret NOT_FOUND "unknown-secret" "There is no such credential";
    UnknownPin NOT_FOUND "unknown-pin" "The namespace is not pinned";
    UnknownTool NOT_FOUND "unknown-tool" "The capsule has no such tool";
    UnknownTenant NOT_FOUND "unknown-tenant" "There is no such tenant";
    UnknownKey NOT_FOUND "unknown-key" "There is no such key";
    UnknownInvocation NOT_FOUND "unknown-invocation" "No such call is on record";
    MethodNotAllowed METHOD_NOT_ALLOWED "method-not-allowed" "The path does not take this method";
    BodyTimeout REQUEST_TIMEOUT "body-timeout" "The body did not arrive in time";
    Conflict CONFLICT "conflict" "The request does not fit what is there";
    IdempotencyInProgress CONFLICT "idempotency-in-progress" "The call is under way";
    OutcomeNotKept CONFLICT "outcome-not-kept" "The answer of the call is not kept";
    NamespacePinned CONFLICT "namespace-pinned" "The namespace comes from a log here, and this does not";
    Revoked GONE "revoked" "The version was revoked";
    TooLarge PAYLOAD_TOO_LARGE "too-large" "The body is too large";
    UnsupportedMediaType UNSUPPORTED_MEDIA_TYPE "unsupported-media-type" "The body has the wrong media type";
    Misdirected MISDIRECTED_REQUEST "misdirected" "This host does not go by that name";
    InvalidInput UNPROCESSABLE_ENTITY "invalid-input" "The input does not fit the tool's schema";
    InvalidCapsule UNPROCESSABLE_ENTITY "invalid-capsule" "The file is not a capsule that this host can run";
    UnprovenFile UNPROCESSABLE_ENTITY "unproven-file" "The file is not proven to be in a log";
    IdempotencyMismatch UNPROCESSABLE_ENTITY "idempotency-mismatch" "The idempotency key is another call's";
    BudgetExhausted PAYMENT_REQUIRED "budget-exhausted" "A budget has not enough left";
    BudgetRefilling TOO_MANY_REQUESTS "budget-refilling" "A budget has not enough left until it refills";
    RateLimited TOO_MANY_REQUESTS "rate-limited" "There are too many calls for now";
    MarketplaceFailed BAD_GATEWAY "marketplace-failed" "The marketplace does not answer as it should";
    Unproven BAD_GATEWAY "unproven" "What the marketplace sent is not proven";
    LogDistrusted BAD_GATEWAY "log-distrusted" "The log is not believed any more";
    LogSilent SERVICE_UNAVAILABLE "log-silent" "Nothing was heard of the log for too long";
    Overloaded SERVICE_UNAVAILABLE "overloaded" "The host has all the calls it can take";
    AuditUnwritable SERVICE_UNAVAILABLE "audit-unwritable" "Nothing can be recorded";
    NotReady SERVICE_UNAVAILABLE "not-ready" "The host is not ready";
    OutcomeUnknown INTERNAL_SERVER_ERROR "outcome-unknown" "How the call ended is not recorded";
    Internal INTERNAL_SERVER_ERROR "internal" "The host failed";
    ToolInvalidInput UNPROCESSABLE_ENTITY "tool-invalid-input" "The tool cannot use the input";
    ToolNotFound UNPROCESSABLE_ENTITY "tool-not-found" "The tool did not find what the input names";
    ToolUnauthorized FAILED_DEPENDENCY "tool-unauthorized" "The tool's upstream did not accept its credential";
    ToolDenied FAILED_DEPENDENCY "tool-denied" "The tool was not allowed to do it";
    ToolRateLimited TOO_MANY_REQUESTS "tool-rate-limited" "The tool's upstream takes no more requests for now";
    ToolUpstream BAD_GATEWAY "tool-upstream" "The tool's upstream failed";
    ToolFailed FAILED_DEPENDENCY "tool-failed" "The tool failed";
    OutOfFuel FAILED_DEPENDENCY "out-of-fuel" "The call ran out of fuel";
    OutOfTokens FAILED_DEPENDENCY "out-of-tokens" "The call ran out of tokens";
    OutOfTime GATEWAY_TIMEOUT "out-of-time" "The call ran out of time";
    OutOfMemory FAILED_DEPENDENCY "out-of-memory" "The call ran out of memory";
    OutOfTables FAILED_DEPENDENCY "out-of-tables" "The call ran out of table elements";
    OutOfHandles FAILED_DEPENDENCY "out-of-handles" "The call ran out of resource handles";
    OutOfHostCalls FAILED_DEPENDENCY "out-of-host-calls" "The call ran out of host calls";
    OutOfStack FAILED_DEPENDENCY "out-of-stack" "The call ran out of stack";
    CopyTooLarge FAILED_DEPENDENCY "copy-too-large" "The call passed too much data in one host call";
    OutputTooLarge FAILED_DEPENDENCY "output-too-large" "The answer is too large";
    InvalidOutput FAILED_DEPENDENCY "invalid-output" "The tool's structured answer is not JSON";
    Trap FAILED_DEPENDENCY "trap" "The capsule trapped";
}

impl Kind {
    /// The kind of problem that a failed call is.
    pub(crate) fn of(failure: &Failure) -> Self {
        match failure {
            Failure::Tool(error) => match error {
                ToolError::InvalidInput(_) => Self::ToolInvalidInput,
                ToolError::NotFound(_) => Self::ToolNotFound,
                ToolError::Unauthorized(_) => Self::ToolUnauthorized,
                ToolError::Denied(_) => Self::ToolDenied,
                ToolError::RateLimited { .. } => Self::ToolRateLimited,
                ToolError::Upstream { .. } => Self::ToolUpstream,
                ToolError::Failed(_) => Self::ToolFailed,
            },
            Failure::OutOfFuel => Self::OutOfFuel,
            Failure::OutOfTokens { .. } => Self::OutOfTokens,
            Failure::OutOfTime => Self::OutOfTime,
            Failure::OutOfMemory => Self::OutOfMemory,
            Failure::OutOfTables => Self::OutOfTables,
            Failure::OutOfHandles => Self::OutOfHandles,
            Failure::OutOfHostCalls => Self::OutOfHostCalls,
            Failure::OutOfStack => Self::OutOfStack,
            Failure::CopyTooLarge => Self::CopyTooLarge,
            Failure::InputTooLarge { .. } => Self::TooLarge,
            Failure::OutputTooLarge { .. } => Self::OutputTooLarge,
            Failure::InvalidOutput(_) => Self::InvalidOutput,
            Failure::Trap(_) => Self::Trap,
            Failure::NoInstance => Self::Overloaded,
            Failure::Host(_) => Self::Internal,
        }
    }
}

/// What an error answer says, besides its kind. Absent members are left out.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Details {
    /// This occurrence, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<Cow<'static, str>>,
    /// Where in the body, as a JSON pointer (RFC 6901): of the first of `errors`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pointer: Option<String>,
    /// All that is wrong with the input.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) errors: Vec<InputError>,
    /// How long to wait before trying again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after_ms: Option<u64>,
    /// The budget that has not enough left.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(crate) budget: Option<Box<Exhausted>>,
    /// The status that the tool's upstream answered with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) upstream_status: Option<u16>,
    /// What the call used before it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) usage: Option<Usage>,
}

impl Details {
    /// What is said of a failed call.
    pub(crate) fn of(failure: &Failure) -> Self {
        let mut details = Self::default();
        match failure {
            Failure::Tool(error) => {
                details.detail = Some(error.message().to_owned().into());
                match error {
                    ToolError::RateLimited { retry_after_ms, .. } => {
                        details.retry_after_ms = *retry_after_ms;
                    }
                    ToolError::Upstream { status, .. } => details.upstream_status = *status,
                    _ => {}
                }
            }
            Failure::NoInstance => {
                details.detail = Some(failure.to_string().into());
                details.retry_after_ms = Some(1000);
            }
            _ => details.detail = Some(failure.to_string().into()),
        }
        details
    }
}

/// One thing that is wrong with an input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InputError {
    /// Where in the input, as a JSON pointer (RFC 6901).
    pub pointer: String,
    /// What the schema says about it.
    pub detail: String,
}

/// One problem.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) kind: Kind,
    pub(crate) details: Details,
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    #[serde(flatten)]
    details: &'a Details,
    invocation: Uuid,
}

impl Problem {
    /// The body of the answer, [`PROBLEM`].
    pub(crate) fn body(&self, invocation: Uuid) -> Vec<u8> {
        let Self { kind, details } = self;
        let document = Document {
            r#type: format!("{TYPE_PREFIX}{}", kind.code()),
            title: kind.title(),
            status: kind.status().as_u16(),
            details,
            invocation,
        };
        // Strings, numbers and lists of them: there is nothing in it that could fail.
        serde_json::to_vec(&document).unwrap_or_default()
    }

    /// The answer.
    pub(crate) fn render(&self, invocation: Uuid) -> Response<Body> {
        let Self { kind, details } = self;
        let mut response = Response::new(Body::from(self.body(invocation)));
        *response.status_mut() = kind.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
        if *kind == Kind::Unauthorized {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(usage) = &details.usage {
            usage::say(usage, headers);
        }
        if let Some(millis) = details.retry_after_ms {
            headers.insert(RETRY_AFTER, HeaderValue::from(millis.div_ceil(1000)));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// docs/problems.md has one row a kind: `| code | status | …`.
    #[test]
    fn every_kind_is_documented() {
        let documented: Vec<(&str, &str)> = include_str!("../../docs/problems.md")
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
            .filter_map(|(code, rest)| Some((code, rest.split_once(" |")?.0)))
            .filter(|(_, status)| status.parse::<u16>().is_ok())
            .collect();
        let kinds: Vec<(&str, String)> = Kind::ALL
            .iter()
            .map(|kind| (kind.code(), kind.status().as_u16().to_string()))
            .collect();
        let kinds: Vec<(&str, &str)> = kinds.iter().map(|(c, s)| (*c, s.as_str())).collect();
        assert_eq!(documented, kinds);
    }

    #[test]
    fn a_status_of_a_call_is_never_one_of_the_doors_own() {
        let of_calls = Kind::ALL
            .iter()
            .skip_while(|kind| **kind != Kind::ToolInvalidInput);
        for kind in of_calls {
            assert!(
                ![400, 401, 403, 404, 500, 503].contains(&kind.status().as_u16()),
                "{kind:?}"
            );
        }
    }
}
