//! What a client is told of an error: which problem it is, and in which words.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::IntoResponse;
use http::{Response, StatusCode};

use super::Error;
use crate::answers::Unrepeated;
use crate::db::is_orphan;
use crate::input::InvalidInput;
use crate::problem::{Details, Kind, Problem};

impl Error {
    /// The kind of problem that the client is told.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::BadRequest(_) => Kind::BadRequest,
            Self::Unauthorized(_) => Kind::Unauthorized,
            Self::Forbidden(_) => Kind::Forbidden,
            Self::TenantSuspended(_) => Kind::TenantSuspended,
            Self::Misdirected(_) => Kind::Misdirected,
            Self::ForeignOrigin(_) => Kind::ForeignOrigin,
            Self::NoSuchPath => Kind::NoSuchPath,
            Self::UnknownCapsule(_) => Kind::UnknownCapsule,
            Self::UnknownTool { .. } => Kind::UnknownTool,
            Self::UnknownTenant(_) => Kind::UnknownTenant,
            Self::UnknownKey(_) => Kind::UnknownKey,
            Self::UnknownInvocation => Kind::UnknownInvocation,
            Self::UnknownUpdate(..) => Kind::UnknownUpdate,
            Self::UnknownGrant(_) => Kind::UnknownGrant,
            Self::UnknownBudget(_) => Kind::UnknownBudget,
            Self::UnknownSecret(_) => Kind::UnknownSecret,
            Self::UnknownPin(_) => Kind::UnknownPin,
            Self::Distrust(error) => error.kind(),
            Self::MethodNotAllowed => Kind::MethodNotAllowed,
            Self::BodyTimeout(_) | Self::TooSlow(_) => Kind::BodyTimeout,
            Self::Conflict(_) => Kind::Conflict,
            Self::TooLarge { .. } | Self::Input(InvalidInput::TooMany) => Kind::TooLarge,
            Self::UnsupportedMediaType { .. } => Kind::UnsupportedMediaType,
            Self::Input(InvalidInput::Json(_)) => Kind::InvalidJson,
            Self::Input(InvalidInput::Schema { .. }) => Kind::InvalidInput,
            Self::Package(_) | Self::InvalidCapsule(_) => Kind::InvalidCapsule,
            Self::Budget(exhausted) if exhausted.refills_at.is_some() => Kind::BudgetRefilling,
            Self::Budget(_) => Kind::BudgetExhausted,
            Self::RateLimited { .. } => Kind::RateLimited,
            Self::Overloaded(_) => Kind::Overloaded,
            Self::NotReady(_) | Self::NotCurrent(_) => Kind::NotReady,
            Self::Call { failure, .. } => Kind::of(failure),
            Self::Shared(error) => error.kind(),
            Self::Database(error) if is_away(error) => Kind::NotReady,
            Self::Database(error) if is_orphan(error) => Kind::Conflict,
            Self::AuditUnwritable => Kind::AuditUnwritable,
            Self::OutcomeUnknown => Kind::OutcomeUnknown,
            Self::Unrepeated(error) => error.kind(),
            Self::Database(_)
            | Self::Audit(_)
            | Self::Storage(_)
            | Self::Load(_)
            | Self::Client(_)
            | Self::Secret(_)
            | Self::Random(_)
            | Self::Metrics(_)
            | Self::Panicked(_) => Kind::Internal,
        }
    }

    /// The HTTP status that the client is told.
    pub(crate) fn status(&self) -> StatusCode {
        self.kind().status()
    }

    /// What the client is told. Of the host's own failures, nothing but that it failed.
    pub(crate) fn problem(&self) -> Problem {
        Problem {
            kind: self.kind(),
            details: self.details(),
        }
    }

    fn details(&self) -> Details {
        let detail = Some(self.to_string().into());
        match self {
            Self::Call { failure, usage } if self.kind() != Kind::Internal => Details {
                usage: Some(**usage),
                ..Details::of(failure)
            },
            _ if self.kind() == Kind::Internal => Details::default(),
            // An internal failure that the client has to act upon.
            Self::OutcomeUnknown => Details {
                detail,
                ..Details::default()
            },
            Self::Overloaded(_)
            | Self::NotReady(_)
            | Self::NotCurrent(_)
            | Self::AuditUnwritable
            | Self::Unrepeated(Unrepeated::InProgress(_)) => Details {
                detail,
                retry_after_ms: Some(1000),
                ..Details::default()
            },
            Self::RateLimited { retry_after, .. } => Details {
                detail,
                retry_after_ms: Some(whole_millis(*retry_after)),
                ..Details::default()
            },
            Self::Budget(exhausted) => Details {
                detail,
                retry_after_ms: exhausted.retry_after_ms(),
                budget: Some(exhausted.clone()),
                ..Details::default()
            },
            Self::Input(InvalidInput::Schema { errors, .. }) => Details {
                detail,
                pointer: errors.first().map(|error| error.pointer.clone()),
                errors: errors.clone(),
                ..Details::default()
            },
            Self::Shared(error) => error.details(),
            Self::Database(error) if is_orphan(error) => Details {
                detail: Some("the tenant, or the capsule, was deleted meanwhile".into()),
                ..Details::default()
            },
            // Not in the database's words, which may say where it is.
            Self::Database(_) => Details {
                detail: Some("its database does not answer".into()),
                retry_after_ms: Some(1000),
                ..Details::default()
            },
            _ => Details {
                detail,
                ..Details::default()
            },
        }
    }
}

impl IntoResponse for Error {
    /// The status, and the error beside it: `edge` writes the problem, which needs the
    /// invocation's id.
    fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

/// Not so few that it would be too early.
fn whole_millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// Whether the database does not answer, rather than answer with an error.
fn is_away(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) => true,
        // Of a look-up that several calls waited for, as `budget::known` gives it.
        sqlx::Error::AnyDriverError(shared) => {
            let shared = shared.downcast_ref::<Arc<sqlx::Error>>();
            shared.is_some_and(|error| is_away(error))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_does_not_answer_is_waited_for() {
        let shared = Arc::new(sqlx::Error::PoolTimedOut);
        for error in [
            sqlx::Error::PoolTimedOut,
            sqlx::Error::AnyDriverError(Box::new(shared)),
        ] {
            let problem = Error::from(error).problem();
            assert_eq!(problem.kind, Kind::NotReady);
            assert_eq!(problem.details.retry_after_ms, Some(1000));
        }
        let broken = Error::from(sqlx::Error::RowNotFound).problem();
        assert_eq!(broken.kind, Kind::Internal);
        assert!(broken.details.detail.is_none());
    }
}
