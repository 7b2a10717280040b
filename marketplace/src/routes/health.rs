//! Who this is, and whether it is well.

use axum::Json;
use axum::extract::State;
use soma_registry::api::About;

use crate::app::AppState;
use crate::error::Error;

/// Who this is.
#[utoipa::path(
    get,
    path = "/v1",
    operation_id = "about",
    tag = "About",
    responses((status = 200, description = "The marketplace.", body = About), Error),
)]
pub(crate) async fn about(State(app): State<AppState>) -> Json<About> {
    Json(About {
        log: app.log.key().to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// Whether the process runs.
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "health",
    tag = "About",
    responses(
        (status = 200, description = "It does.", body = String, content_type = "text/plain"),
        Error
    ),
)]
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// Ready is: the database answers.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "readiness",
    tag = "About",
    responses(
        (status = 200, description = "It does.", body = String, content_type = "text/plain"),
        Error
    ),
)]
pub(crate) async fn readyz(State(app): State<AppState>) -> Result<&'static str, Error> {
    let answer = sqlx::query("SELECT 1").execute(&app.pool).await;
    answer.map_err(|_| Error::NotReady("the database does not answer"))?;
    Ok("ready\n")
}

/// Prometheus' text format.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "metrics",
    tag = "About",
    responses(
        (status = 200, description = "The metrics.", body = String, content_type = "text/plain"),
        Error
    ),
)]
pub(crate) async fn metrics(State(app): State<AppState>) -> Result<String, Error> {
    Ok(app.metrics.text()?)
}
