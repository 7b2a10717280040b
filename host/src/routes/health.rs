//! What watches the host: liveness, readiness, metrics.

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::CONTENT_TYPE;

use crate::app::AppState;
use crate::error::Error;
use crate::key::Scope;

/// The process answers.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// The host can take calls: its database answers, what happens can be recorded, what was revoked since
/// the backup that it may come from is known, and it is not stopping.
pub(crate) async fn readyz(State(app): State<AppState>) -> Result<&'static str, Error> {
    if app.is_stopping() {
        return Err(Error::NotReady("the host is stopping"));
    }
    app.audit.admit()?;
    app.restored.admit(&app.logs)?;
    let ask = sqlx::query("SELECT 1").execute(&app.pool);
    match tokio::time::timeout(Duration::from_secs(2), ask).await {
        Ok(Ok(_)) => Ok("ready\n"),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the database does not answer");
            Err(Error::NotReady("the database does not answer"))
        }
        Err(_) => Err(Error::NotReady("the database does not answer in time")),
    }
}

/// Open on loopback and where the operator says so; elsewhere for administrators, since it tells
/// which capsules every tenant has.
pub(crate) async fn metrics(
    State(app): State<AppState>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    if !app.settings.open_metrics {
        let caller = app.keyring.identify(&headers).await?;
        caller.require(Scope::Admin)?;
    }
    let text = app.metrics.render(&app).await?;
    let content_type = "text/plain; version=0.0.4; charset=utf-8";
    Ok(([(CONTENT_TYPE, content_type)], text).into_response())
}
