//! What proves that a call was made, and how it ended.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use uuid::Uuid;

use crate::app::AppState;
use crate::auth::Caller;
use crate::error::Error;
use crate::key::Scope;
use crate::path::NamePath;
use crate::receipt::Receipt;

/// Whoever may only call gets those of the own key's calls; an administrator, those of all.
pub(crate) async fn get(
    State(app): State<AppState>,
    caller: Caller,
    NamePath(id): NamePath,
) -> Result<Json<Receipt>, Error> {
    let of = match caller.require(Scope::Admin) {
        Ok(()) => None,
        Err(_) => {
            caller.require(Scope::Invoke)?;
            Some(&caller)
        }
    };
    let id = Uuid::try_parse(&id).map_err(|_| Error::UnknownInvocation)?;
    let longest = Duration::from_millis(app.live().settings.maximum_limits.time_ms);
    Ok(Json(app.audit.receipt(id, longest, of).await?))
}
