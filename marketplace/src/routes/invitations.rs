//! Offers to become an owner. The offer is the change itself, signed by an owner; who accepts
//! signs it too.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use soma_registry::api::{Invitation, TokenScope, shape};
use soma_registry::{Change, Envelope, Refusal, SignedChange};
use uuid::Uuid;

use crate::app::{App, AppState};
use crate::auth::Caller;
use crate::authority;
use crate::body::Document;
use crate::db::{invitations, is_duplicate, namespaces, now};
use crate::error::Error;
use crate::path::IdPath;

/// Of one account so many may be open.
const MOST: i64 = 100;

/// The account's open invitations, those that it sent first: the first 200.
#[utoipa::path(
    get,
    path = "/v1/invitations",
    operation_id = "listInvitations",
    tag = "Changes",
    responses((status = 200, description = "Both.", body = Vec<Invitation>), Error),
    security(("token" = [])),
)]
pub(crate) async fn list(
    State(app): State<AppState>,
    caller: Caller,
) -> Result<Json<Vec<Invitation>>, Error> {
    caller.require_scope(TokenScope::Owners)?;
    let all = invitations::of(&app.pool, &caller.account).await?;
    let all = all
        .into_iter()
        .filter(|(namespace, _)| caller.reaches(namespace));
    Ok(Json(all.map(|(_, invitation)| invitation).collect()))
}

/// One of them, however many others there are.
#[utoipa::path(
    get,
    path = "/v1/invitations/{id}",
    operation_id = "getInvitation",
    tag = "Changes",
    params(IdPath),
    responses((status = 200, description = "It is open.", body = Invitation), Error),
    security(("token" = [])),
)]
pub(crate) async fn get(
    State(app): State<AppState>,
    caller: Caller,
    IdPath(id): IdPath,
) -> Result<Json<Invitation>, Error> {
    caller.require_scope(TokenScope::Owners)?;
    let found = invitations::get(&app.pool, &id).await?;
    let found = found
        .filter(|open| caller.reaches(&open.namespace) && open.accounts.contains(&caller.account));
    let open = found.ok_or_else(|| Error::NotFound(format!("invitation `{id}`")))?;
    let change = open.change;
    Ok(Json(Invitation { id, change }))
}

/// Offers to make somebody an owner.
#[utoipa::path(
    post,
    path = "/v1/invitations",
    operation_id = "createInvitation",
    tag = "Changes",
    request_body(
        content = shape::Envelope,
        description = "Of an `add-owner` that lacks the other's signature alone."
    ),
    responses((status = 201, description = "The offer.", body = Invitation), Error),
    security(("token" = [])),
)]
pub(crate) async fn create(
    State(app): State<AppState>,
    caller: Caller,
    Document(change): Document<Envelope>,
) -> Result<(StatusCode, Json<Invitation>), Error> {
    let signed = SignedChange::open(&change, app.log.origin())?;
    let Change::AddOwner { namespace, owner } = &signed.request.change else {
        return Err(Error::BadRequest(
            "an invitation is an `add-owner`".to_owned(),
        ));
    };
    caller.require(TokenScope::Owners, namespace)?;
    // All that is missing is the other's signature, or it is no offer.
    match app.log.rehearse(&signed, &caller.account).await {
        Err(Error::Refused(Refusal::NotSignedByNew(_))) => {}
        Err(error) => return Err(error),
        Ok(_) => {
            return Err(Error::BadRequest(
                "the other has signed already: an invitation is signed by an owner alone"
                    .to_owned(),
            ));
        }
    }
    require_owner(&app, &caller, &signed).await?;
    if let Some(open) = invitations::open(&app.pool, namespace, &owner.account).await? {
        return Err(Error::Conflict(format!(
            "`{}` is invited to `{namespace}` already: take that back first (`soma owner decline {open}`)",
            owner.account
        )));
    }
    // Of the sender: whoever is invited has no say in how often.
    if invitations::sent(&app.pool, &caller.account).await? >= MOST {
        return Err(Error::Forbidden(format!(
            "`{}` has {MOST} open invitations already: take some back (`soma owner invitations`)",
            caller.account
        )));
    }
    let id = Uuid::now_v7().to_string();
    let change_id = signed.request.id;
    if invitations::was_offered(&app.pool, namespace, change_id).await? {
        return Err(made_already());
    }
    let account = &owner.account;
    let offer = invitations::Offer {
        id: &id,
        namespace,
        inviter: &caller.account,
        account,
        change: &change,
        change_id,
    };
    // Looked for above, and perhaps made since.
    invitations::insert(&app.pool, &offer)
        .await
        .map_err(|error| match is_duplicate(&error) {
            true => made_already(),
            false => error.into(),
        })?;
    Ok((StatusCode::CREATED, Json(Invitation { id, change })))
}

/// By the one who is invited, by its sender, or by an owner. What was signed for it is accepted no more.
#[utoipa::path(
    delete,
    path = "/v1/invitations/{id}",
    operation_id = "withdrawInvitation",
    tag = "Changes",
    params(IdPath),
    responses((status = 204, description = "It is gone."), Error),
    security(("token" = [])),
)]
pub(crate) async fn withdraw(
    State(app): State<AppState>,
    caller: Caller,
    IdPath(id): IdPath,
) -> Result<StatusCode, Error> {
    let unknown = || Error::NotFound(format!("invitation `{id}`"));
    let invitations::Open {
        namespace,
        accounts,
        ..
    } = invitations::get(&app.pool, &id)
        .await?
        .ok_or_else(unknown)?;
    caller.require_scope(TokenScope::Owners)?;
    if !caller.reaches(&namespace) {
        return Err(unknown());
    }
    if !accounts.contains(&caller.account) {
        let mut connection = app.pool.acquire().await?;
        let owners = namespaces::get(&mut connection, &namespace).await?;
        let is_owner = owners.is_some_and(|state| state.is_owner(&caller.account));
        if !is_owner {
            return Err(unknown());
        }
    }
    if !invitations::withdraw(&app.pool, &id).await? {
        return Err(unknown());
    }
    Ok(StatusCode::NO_CONTENT)
}

fn made_already() -> Error {
    Error::Conflict("this very offer was made already: sign another".to_owned())
}

/// Whoever offers it is an owner, and signed it.
async fn require_owner(app: &App, caller: &Caller, signed: &SignedChange) -> Result<(), Error> {
    let namespace = signed.request.change.namespace();
    let mut connection = app.pool.acquire().await?;
    let owners = namespaces::get(&mut connection, &namespace).await?;
    let owners = owners.unwrap_or_default();
    authority::require_signer(&owners, &caller.account, signed, now())
}
