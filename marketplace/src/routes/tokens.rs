//! Tokens for programs: narrower than a login, and longer.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use soma_registry::api::{Account, NewToken, Token, TokenRequest, TokenScope};

use crate::app::AppState;
use crate::auth::{Caller, issue};
use crate::body::Document;
use crate::db::{accounts, tokens};
use crate::error::Error;
use crate::path::IdPath;

const LONGEST: u64 = 366 * 24 * 60 * 60;
const MOST: usize = 100;

/// Whose token this is, and what it opens.
#[utoipa::path(
    get,
    path = "/v1/account",
    operation_id = "getAccount",
    tag = "Accounts",
    responses((status = 200, description = "The account and the token.", body = Account), Error),
    security(("token" = [])),
)]
pub(crate) async fn account(caller: Caller) -> Json<Account> {
    Json(Account {
        account: caller.account,
        token: caller.token,
    })
}

/// The account's tokens.
#[utoipa::path(
    get,
    path = "/v1/tokens",
    operation_id = "listTokens",
    tag = "Accounts",
    responses((status = 200, description = "Without their texts.", body = Vec<Token>), Error),
    security(("token" = [])),
)]
pub(crate) async fn list(
    State(app): State<AppState>,
    caller: Caller,
) -> Result<Json<Vec<Token>>, Error> {
    caller.require_scope(TokenScope::Tokens)?;
    let all = tokens::of(&app.pool, &caller.account).await?;
    Ok(Json(all.into_iter().map(|token| token.about).collect()))
}

/// Makes a token.
#[utoipa::path(
    post,
    path = "/v1/tokens",
    operation_id = "createToken",
    tag = "Accounts",
    request_body(content = TokenRequest),
    responses(
        (status = 201, description = "The only time that its text is shown.", body = NewToken),
        Error
    ),
    security(("token" = [])),
)]
pub(crate) async fn create(
    State(app): State<AppState>,
    caller: Caller,
    Document(request): Document<TokenRequest>,
) -> Result<(StatusCode, Json<NewToken>), Error> {
    caller.require_scope(TokenScope::Tokens)?;
    check(&request).map_err(|problem| Error::BadRequest(problem.to_owned()))?;
    if tokens::of(&app.pool, &caller.account).await?.len() >= MOST {
        return Err(Error::Forbidden(format!(
            "an account has at most {MOST} tokens: revoke one"
        )));
    }
    let key = accounts::key(&app.pool, &caller.account).await?;
    let key = key.ok_or_else(|| Error::NotFound(format!("account `{}`", caller.account)))?;
    let asking = Some(&caller.token);
    let token = issue(&app, &caller.account, &key, asking, request).await?;
    Ok((StatusCode::CREATED, Json(token)))
}

fn check(request: &TokenRequest) -> Result<(), &'static str> {
    let name = request.name.chars();
    if !(1..=64).contains(&name.clone().count()) || name.clone().any(char::is_control) {
        return Err("a token's name has 1 to 64 characters, and no control characters");
    }
    if request.scopes.is_empty() {
        return Err("a token without scopes opens nothing: name some");
    }
    let mut scopes = request.scopes.iter().enumerate();
    if scopes.any(|(nth, scope)| request.scopes[..nth].contains(scope)) {
        return Err("a token names a scope twice");
    }
    if request.scopes.contains(&TokenScope::Tokens) {
        return Err("only a login has the scope `tokens`");
    }
    if !(1..=LONGEST).contains(&request.lifetime) {
        return Err("a token lives for 1 second to 366 days");
    }
    if request
        .namespaces
        .as_ref()
        .is_some_and(|some| some.is_empty() || some.len() > 100)
    {
        return Err("name 1 to 100 namespaces, or leave `namespaces` out");
    }
    Ok(())
}

/// Revokes a token.
#[utoipa::path(
    delete,
    path = "/v1/tokens/{id}",
    operation_id = "revokeToken",
    tag = "Accounts",
    params(IdPath),
    responses((status = 204, description = "It opens nothing any more."), Error),
    security(("token" = [])),
)]
pub(crate) async fn revoke(
    State(app): State<AppState>,
    caller: Caller,
    IdPath(id): IdPath,
) -> Result<StatusCode, Error> {
    caller.require_scope(TokenScope::Tokens)?;
    if !tokens::delete(&app.pool, &caller.account, &id).await? {
        return Err(Error::NotFound(format!("token `{id}`")));
    }
    Ok(StatusCode::NO_CONTENT)
}
