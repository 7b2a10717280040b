//! `POST /v1/changes`: every change but a publication.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use soma_registry::api::{Logged, TokenScope, shape};
use soma_registry::log::Act;
use soma_registry::{Change, Envelope, Owner, SignedChange};

use crate::app::{App, AppState};
use crate::auth::Caller;
use crate::body::Document;
use crate::db::invitations;
use crate::error::{Error, no_invitation};
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
        Change::AddOwner { owner, .. } => accept(&app, &caller, owner, &signed).await?,
        // By those who are not owners any more, or not yet.
        Change::Create { .. }
        | Change::Recover { .. }
        | Change::Object { .. }
        | Change::Recovered { .. } => {}
        _ => {
            if let Change::AddKey { owner, .. } = change {
                caller.require_account(&owner.account)?;
            }
            let signers = &signed.signers;
            caller.require_signer(&app, &namespace, signers).await?;
        }
    }
    let appended = app.log.append(Act::Signed(envelope), None).await?;
    let leaf = appended.leaf;
    Ok((StatusCode::CREATED, Json(Logged { leaf })))
}

/// Whoever becomes an owner says so, by a login and by a signature, to what an owner offered by both
/// too.
async fn accept(
    app: &App,
    caller: &Caller,
    owner: &Owner,
    signed: &SignedChange,
) -> Result<(), Error> {
    if owner.account != caller.account {
        return Err(Error::Forbidden(format!(
            "you are logged in as `{}`, and the new owner is to be `{}`, who has to accept it",
            caller.account, owner.account
        )));
    }
    let namespace = signed.request.change.namespace();
    let id = signed.request.id;
    match invitations::offered(&app.pool, &namespace, id).await? {
        Some((account, true)) if account == owner.account => Ok(()),
        _ => Err(no_invitation()),
    }
}
