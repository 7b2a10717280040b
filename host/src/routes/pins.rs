//! Which namespace comes from which log, for administrators.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde_json::{Value, json};

use crate::app::AppState;
use crate::auth::Caller;
use crate::db::pins;
use crate::error::Error;
use crate::key::Scope;
use crate::path::NamePath;

pub(crate) async fn list(
    State(app): State<AppState>,
    caller: Caller,
) -> Result<Json<Value>, Error> {
    caller.require(Scope::Admin)?;
    let pins = pins::list(&app.pool).await?;
    Ok(Json(json!({ "pins": pins })))
}

pub(crate) async fn remove(
    State(app): State<AppState>,
    caller: Caller,
    NamePath(namespace): NamePath,
) -> Result<StatusCode, Error> {
    caller.require(Scope::Admin)?;
    if !pins::delete(&app.pool, &namespace).await? {
        return Err(Error::UnknownPin(namespace));
    }
    tracing::warn!(
        namespace,
        key = caller.key_id(),
        "unpinned: the next installation decides where it comes from"
    );
    Ok(StatusCode::NO_CONTENT)
}
