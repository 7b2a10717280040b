//! The log as C2SP's tlog-tiles serves it: a checkpoint, and resources that never change.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use soma_registry::log::{Resource, write_bundle};

use super::packages::FOR_EVER;
use crate::app::AppState;
use crate::db::log;
use crate::error::Error;

/// The newest checkpoint.
#[utoipa::path(
    get,
    path = "/log/checkpoint",
    operation_id = "getCheckpoint",
    tag = "Log",
    responses(
        (
            status = 200,
            description = "A signed note, as C2SP has them.",
            body = String,
            content_type = "text/plain"
        ),
        Error
    ),
)]
pub(crate) async fn checkpoint(State(app): State<AppState>) -> Result<Response, Error> {
    let checkpoint = app.log.checkpoint().await?;
    let headers = [
        (CONTENT_TYPE, "text/plain; charset=utf-8"),
        (CACHE_CONTROL, "no-cache"),
    ];
    Ok((headers, checkpoint.to_bytes()).into_response())
}

/// A tile of hashes, or an entry bundle (`entries/…`).
#[utoipa::path(
    get,
    path = "/log/tile/{path}",
    operation_id = "getTile",
    tag = "Log",
    params(("path" = String, Path, description = "As C2SP's tlog-tiles has them.")),
    responses(
        (
            status = 200,
            description = "It never changes.",
            body = Vec<u8>,
            content_type = "application/octet-stream"
        ),
        Error
    ),
)]
pub(crate) async fn resource(
    State(app): State<AppState>,
    Path(path): Path<String>,
) -> Result<Response, Error> {
    let missing = || Error::NotFound("such tile".to_owned());
    let resource: Resource = format!("tile/{path}").parse().map_err(|_| missing())?;
    // A tile of leaves that no checkpoint has could still change its mind.
    if !resource.is_within(app.log.checkpoint().await?.size()) {
        return Err(missing());
    }
    let bytes = match resource.level {
        None => entries(&app, &resource).await?,
        Some(_) => hashes(&app, &resource).await?.ok_or_else(missing)?,
    };
    let headers = [
        (CONTENT_TYPE, "application/octet-stream"),
        (CACHE_CONTROL, FOR_EVER),
    ];
    Ok((headers, bytes).into_response())
}

async fn entries(app: &AppState, resource: &Resource) -> Result<Vec<u8>, Error> {
    let from = resource.first();
    let leaves = log::leaves(&app.pool, from, from + u64::from(resource.width)).await?;
    Ok(write_bundle(leaves.iter().map(String::as_bytes)))
}

async fn hashes(app: &AppState, resource: &Resource) -> Result<Option<Vec<u8>>, Error> {
    let wanted = resource.hashes();
    let mut connection = app.pool.acquire().await?;
    let found = log::hashes(&mut connection, &wanted).await?;
    let bytes = wanted
        .iter()
        .map(|index| found.get(index).map(|hash| *hash.as_bytes()));
    let bytes: Option<Vec<[u8; 32]>> = bytes.collect();
    Ok(bytes.map(|hashes| hashes.concat()))
}
