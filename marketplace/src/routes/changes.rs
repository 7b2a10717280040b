//! `POST /v1/changes`: every change but a publication.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use soma_registry::api::{Logged, TokenScope, shape};
use soma_registry::log::Act;
use soma_registry::{Change, Envelope, SignedChange};

use crate::app::AppState;
use crate::auth::Caller;
use crate::body::Document;
use crate::db::invitations;
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
    if let Change::AddOwner { owner, .. } = change {
        let (id, account) = (signed.request.id, &owner.account);
        if invitations::is_withdrawn(&app.pool, &namespace, account, id).await? {
            return Err(Error::Forbidden(
                "the invitation was withdrawn: ask an owner for another".to_owned(),
            ));
        }
    }
    if let Change::Create { owner, .. } = change {
        if owner.account != caller.account {
            return Err(Error::Forbidden(format!(
                "you are logged in as `{}`, and the owner is to be `{}`",
                caller.account, owner.account
            )));
        }
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
    // What the signatures are worth is said first.
    app.log.rehearse(&signed).await?;
    match change {
        // Whoever joins sends it, or an owner.
        Change::AddOwner { owner, .. } if owner.account == caller.account => {}
        // By those who are not owners any more, or not yet.
        Change::Create { .. }
        | Change::Recover { .. }
        | Change::Object { .. }
        | Change::Recovered { .. } => {}
        _ => caller.require_owner(&app, &namespace).await?,
    }
    let appended = app.log.append(Act::Signed(envelope), None).await?;
    let leaf = appended.leaf;
    Ok((StatusCode::CREATED, Json(Logged { leaf })))
}
