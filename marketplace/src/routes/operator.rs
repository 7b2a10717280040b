//! What an operator of the marketplace does: look at what is held, and act on its own word.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use soma_registry::api::{Logged, OperatorChange, Published, Review};
use soma_registry::{Change, ChangeRequest, Owner, OwnerKey};

use crate::app::AppState;
use crate::auth::Caller;
use crate::body::Document;
use crate::db::reviews;
use crate::error::Error;
use crate::path::IdPath;
use crate::publish;

use super::packages;

/// What is held.
#[utoipa::path(
    get,
    path = "/v1/operator/reviews",
    operation_id = "listReviews",
    tag = "Operators",
    responses((status = 200, description = "Oldest first.", body = Vec<Review>), Error),
    security(("token" = [])),
)]
pub(crate) async fn reviews(
    State(app): State<AppState>,
    caller: Caller,
) -> Result<Json<Vec<Review>>, Error> {
    caller.require_operator(&app).await?;
    Ok(Json(reviews::list(&app.pool).await?))
}

/// The file of what is held.
#[utoipa::path(
    get,
    path = "/v1/operator/reviews/{id}/capsule",
    operation_id = "getReviewCapsule",
    tag = "Operators",
    params(IdPath),
    responses(
        (
            status = 200,
            description = "The component.",
            body = Vec<u8>,
            content_type = "application/wasm"
        ),
        Error
    ),
    security(("token" = [])),
)]
pub(crate) async fn capsule(
    State(app): State<AppState>,
    caller: Caller,
    IdPath(id): IdPath,
) -> Result<Response, Error> {
    caller.require_operator(&app).await?;
    let held = reviews::get(&app.pool, &id).await?;
    let held = held.ok_or_else(|| Error::NotFound(format!("review `{id}`")))?;
    let file = app.blobs.open_file(&held.about.digest).await?;
    Ok(packages::file_of(file, "no-store"))
}

/// Publishes what is held.
#[utoipa::path(
    post,
    path = "/v1/operator/reviews/{id}/approve",
    operation_id = "approveReview",
    tag = "Operators",
    params(IdPath),
    responses((status = 201, description = "It is there.", body = Published), Error),
    security(("token" = [])),
)]
pub(crate) async fn approve(
    State(app): State<AppState>,
    caller: Caller,
    IdPath(id): IdPath,
) -> Result<(StatusCode, Json<Published>), Error> {
    caller.require_operator(&app).await?;
    Ok((
        StatusCode::CREATED,
        Json(publish::approve(&app, &id).await?),
    ))
}

/// Drops what is held.
#[utoipa::path(
    post,
    path = "/v1/operator/reviews/{id}/refuse",
    operation_id = "refuseReview",
    tag = "Operators",
    params(IdPath),
    responses((status = 204, description = "It is gone."), Error),
    security(("token" = [])),
)]
pub(crate) async fn refuse(
    State(app): State<AppState>,
    caller: Caller,
    IdPath(id): IdPath,
) -> Result<StatusCode, Error> {
    caller.require_operator(&app).await?;
    let mut connection = app.pool.acquire().await?;
    if !reviews::delete(&mut connection, &id).await? {
        return Err(Error::NotFound(format!("review `{id}`")));
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Does something on the marketplace's own word.
#[utoipa::path(
    post,
    path = "/v1/operator/changes",
    operation_id = "submitOperatorChange",
    tag = "Operators",
    request_body(content = OperatorChange),
    responses((status = 201, description = "It is in the log.", body = Logged), Error),
    security(("token" = [])),
)]
pub(crate) async fn change(
    State(app): State<AppState>,
    caller: Caller,
    Document(change): Document<OperatorChange>,
) -> Result<(StatusCode, Json<Logged>), Error> {
    caller.require_operator(&app).await?;
    let change = match change {
        OperatorChange::Revoke {
            capsule,
            version,
            reason,
        } => Change::Revoke {
            capsule,
            version,
            reason,
        },
        OperatorChange::Recover {
            namespace,
            account,
            key,
        } => Change::Recover {
            namespace,
            owner: Owner {
                account,
                key: OwnerKey {
                    public: key,
                    expires: None,
                },
            },
        },
        OperatorChange::Recovered { namespace, account } => {
            Change::Recovered { namespace, account }
        }
    };
    let request = ChangeRequest::new(app.log.origin(), change);
    let appended = app.log.append_own(request).await?;
    let leaf = appended.leaf;
    Ok((StatusCode::CREATED, Json(Logged { leaf })))
}
