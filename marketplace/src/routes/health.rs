//! Who this is, and whether it is well.

use axum::Json;
use axum::extract::State;
use soma_registry::api::About;

use crate::app::AppState;
use crate::error::Error;

pub(crate) async fn about(State(app): State<AppState>) -> Json<About> {
    Json(About {
        log: app.log.key().to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// Ready is: the database answers.
pub(crate) async fn readyz(State(app): State<AppState>) -> Result<&'static str, Error> {
    let answer = sqlx::query("SELECT 1").execute(&app.pool).await;
    answer.map_err(|_| Error::NotReady("the database does not answer"))?;
    Ok("ready\n")
}

pub(crate) async fn metrics(State(app): State<AppState>) -> Result<String, Error> {
    Ok(app.metrics.text()?)
}
