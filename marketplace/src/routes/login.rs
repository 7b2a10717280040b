//! Logging in: a challenge, signed with the account's key.

use axum::Json;
use axum::extract::State;
use soma_registry::Envelope;
use soma_registry::api::{Challenge, Login, NewToken, TokenRequest, TokenScope, shape};

use crate::app::AppState;
use crate::auth::issue;
use crate::body::Document;
use crate::db::accounts;
use crate::error::Error;

const CHALLENGE_BYTES: usize = 32;
/// Seconds in which a challenge must be signed.
const CHALLENGE_LIFETIME: u64 = 5 * 60;
/// Seconds that a login lasts.
const LOGIN_LIFETIME: u64 = 60 * 60;

/// A text to sign within five minutes.
#[utoipa::path(
    post,
    path = "/v1/login/challenge",
    operation_id = "loginChallenge",
    tag = "Accounts",
    responses((status = 200, description = "The text.", body = Challenge), Error),
)]
pub(crate) async fn challenge(State(app): State<AppState>) -> Result<Json<Challenge>, Error> {
    let mut random = [0; CHALLENGE_BYTES];
    getrandom::fill(&mut random)?;
    let challenge = hex::encode(random);
    accounts::put_challenge(&app.pool, &challenge, CHALLENGE_LIFETIME).await?;
    Ok(Json(Challenge { challenge }))
}

/// Signed by the account's key. Signed by a second one too, that one takes its place.
#[utoipa::path(
    post,
    path = "/v1/login",
    operation_id = "login",
    tag = "Accounts",
    request_body(
        content = shape::Envelope,
        description = "Of a `Login`, as `application/vnd.soma.login.v1+json`."
    ),
    responses(
        (status = 200, description = "A token with every scope, for an hour.", body = NewToken),
        Error
    ),
)]
pub(crate) async fn login(
    State(app): State<AppState>,
    Document(envelope): Document<Envelope>,
) -> Result<Json<NewToken>, Error> {
    let (login, signers) = Login::open(&envelope, app.log.origin())?;
    if !accounts::take_challenge(&app.pool, &login.challenge).await? {
        return Err(Error::Unauthorized(
            "the challenge is unknown, used or too old: ask for another",
        ));
    }
    let Some(first) = signers.first() else {
        return Err(Error::Unauthorized("nobody signed"));
    };
    if signers.len() > 2 {
        return Err(Error::BadRequest(
            "a login has at most two signatures".to_owned(),
        ));
    }
    // A new account has one key; whoever signs with two is there already.
    let key = match signers.len() {
        1 => accounts::enter(&app.pool, &login.account, first).await?,
        _ => accounts::key(&app.pool, &login.account)
            .await?
            .ok_or_else(|| Error::NotFound(format!("account `{}`", login.account)))?,
    };
    if !signers.contains(&key) {
        return Err(Error::Unauthorized(
            "the account is there, and this is not its key",
        ));
    }
    let successor = signers.iter().find(|signer| **signer != key);
    if let Some(successor) = successor {
        let mut tx = app.pool.begin().await?;
        if !accounts::hold(&mut tx, &login.account, &key).await? {
            return Err(Error::Unauthorized("the account has another key now"));
        }
        accounts::set_key(&mut tx, &login.account, successor).await?;
        tx.commit().await?;
    }
    let scopes = vec![
        TokenScope::PublishNew,
        TokenScope::PublishUpdate,
        TokenScope::Yank,
        TokenScope::Owners,
        TokenScope::Tokens,
    ];
    let request = TokenRequest {
        name: "login".to_owned(),
        scopes,
        namespaces: None,
        lifetime: LOGIN_LIFETIME,
    };
    let key = successor.unwrap_or(&key);
    let token = issue(&app, &login.account, key, None, request).await?;
    Ok(Json(token))
}
