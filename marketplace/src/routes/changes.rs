//! `POST /v1/changes`: every change but a publication.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use soma_registry::api::{Logged, TokenScope, shape};
use soma_registry::{Change, Envelope, SignedChange};

use crate::app::AppState;
use crate::auth::Caller;
use crate::body::Document;
use crate::error::Error;
use crate::publish::is_reserved;
use crate::sequencer::lookalike;

/// Logs a change other than a publication.
#[utoipa::path(
    post,
    path = "/v1/changes",
    operation_id = "submitChange",
    tag = "Changes",
    request_body(
        content = shape::Envelope,
        description = "Of a `ChangeRequest`, as `application/vnd.soma.change.v1+json`, \
                       with all the signatures it needs."
    ),
    responses((status = 201, description = "It is in the log.", body = Logged), Error),
    security(("token" = [])),
)]
pub(crate) async fn submit(
    State(app): State<AppState>,
    caller: Caller,
    Document(envelope): Document<Envelope>,
) -> Result<(StatusCode, Json<Logged>), Error> {
    let signed = SignedChange::open(&envelope, app.log.origin())?;
    let change = &signed.request.change;
    let namespace = change.namespace();
    let scope = match change {
        Change::Publish { .. } => {
            return Err(Error::BadRequest(
                "a publication comes with its file: send it to /v1/publish".to_owned(),
            ));
        }
        Change::Create { .. } => TokenScope::PublishNew,
        Change::Yank { .. } | Change::Unyank { .. } | Change::Revoke { .. } => TokenScope::Yank,
        _ => TokenScope::Owners,
    };
    caller.require(scope, &namespace)?;
    if let Change::Create { .. } = change {
        if is_reserved(&app, &namespace) && !caller.is_operator(&app).await? {
            return Err(Error::NameTaken(format!("`{namespace}` is reserved")));
        }
        let mut connection = app.pool.acquire().await?;
        if let Some(other) = lookalike(&mut connection, &namespace).await? {
            return Err(Error::NameTaken(format!(
                "`{namespace}` looks like the namespace `{other}`: choose another"
            )));
        }
    }
    // Before the turn to append, which many may wait for.
    app.log.rehearse(&signed, &caller.account).await?;
    let appended = app.log.append(envelope, &caller.account, None).await?;
    let leaf = appended.leaf;
    Ok((StatusCode::CREATED, Json(Logged { leaf })))
}
