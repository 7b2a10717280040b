//! Which namespace comes from which log, for administrators.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde_json::{Value, json};

use crate::app::AppState;
use crate::audit::Event;
use crate::auth::Admin;
use crate::db::pins;
use crate::error::Error;
use crate::path::NamePath;

pub(crate) async fn list(State(app): State<AppState>, _: Admin) -> Result<Json<Value>, Error> {
    let pins = pins::list(&app.pool).await?;
    Ok(Json(json!({ "pins": pins })))
}

pub(crate) async fn remove(
    State(app): State<AppState>,
    Admin(caller): Admin,
    NamePath(namespace): NamePath,
) -> Result<StatusCode, Error> {
    if !pins::delete(&app.pool, &namespace).await? {
        return Err(Error::UnknownPin(namespace));
    }
    tracing::warn!(
        namespace,
        key = caller.key_id(),
        "unpinned: the next installation decides where it comes from"
    );
    app.audit.by(&caller, Event::Unpinned { namespace }).await?;
    Ok(StatusCode::NO_CONTENT)
}
