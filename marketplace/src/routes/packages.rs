//! Capsules and their versions.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method};
use soma_capability::{CapsuleName, Digest};
use soma_registry::api::{Hits, PackageInfo, ReleaseInfo};
use soma_registry::{BUNDLE_TYPE, Release};

use crate::app::{App, AppState};
use crate::db::{packages, releases, search};
use crate::error::Error;
use crate::path::{PackagePath, ReleasePath};
use crate::rate::Sender;

/// What a version's digest names never changes.
pub(crate) const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// How long a search, or another long read, may wait for its turn.
const TURN: Duration = Duration::from_secs(5);

/// Finds capsules.
#[utoipa::path(
    get,
    path = "/v1/packages",
    operation_id = "search",
    tag = "Capsules",
    params(search::Wanted),
    responses((status = 200, description = "One page, best first.", body = Hits), Error),
)]
pub(crate) async fn search(
    State(app): State<AppState>,
    Sender(from): Sender,
    query: Result<Query<search::Wanted>, QueryRejection>,
) -> Result<Json<Hits>, Error> {
    let Query(wanted) = query.map_err(|error| Error::BadRequest(error.body_text()))?;
    let words = wanted.check()?;
    // Whoever searches without end leaves the database to others.
    let turn = app.searches.wait(from, TURN).await;
    let _turn = turn.ok_or(Error::Overloaded("searches"))?;
    Ok(Json(search::find(&app.pool, &wanted, &words).await?))
}

/// A capsule with all its versions.
#[utoipa::path(
    get,
    path = "/v1/packages/{namespace}/{name}",
    operation_id = "getPackage",
    tag = "Capsules",
    params(PackagePath),
    responses((status = 200, description = "The capsule.", body = PackageInfo), Error),
)]
pub(crate) async fn get(
    State(app): State<AppState>,
    Sender(from): Sender,
    PackagePath(capsule): PackagePath,
) -> Result<Json<PackageInfo>, Error> {
    let turn = app.long_reads.wait(from, TURN).await;
    let _turn = turn.ok_or(Error::Overloaded("reads"))?;
    let mut connection = app.pool.acquire().await?;
    let downloads = packages::downloads(&mut connection, &capsule).await?;
    let downloads = downloads.ok_or_else(|| Error::NotFound(format!("capsule `{capsule}`")))?;
    let versions = releases::of(&mut connection, &capsule).await?;
    Ok(Json(PackageInfo {
        capsule,
        downloads,
        versions,
    }))
}

/// One version.
#[utoipa::path(
    get,
    path = "/v1/packages/{namespace}/{name}/{version}",
    operation_id = "getRelease",
    tag = "Capsules",
    params(ReleasePath),
    responses((status = 200, description = "The version.", body = ReleaseInfo), Error),
)]
pub(crate) async fn release(
    State(app): State<AppState>,
    path: ReleasePath,
) -> Result<Json<ReleaseInfo>, Error> {
    let info = releases::info(&app.pool, &path.capsule, &path.version).await?;
    Ok(Json(info.ok_or_else(|| unknown(&path))?))
}

/// A version's file.
#[utoipa::path(
    get,
    path = "/v1/packages/{namespace}/{name}/{version}/capsule",
    operation_id = "getCapsule",
    tag = "Capsules",
    params(ReleasePath),
    responses(
        (
            status = 200,
            description = "The component.",
            body = Vec<u8>,
            content_type = "application/wasm"
        ),
        Error
    ),
)]
pub(crate) async fn capsule(
    State(app): State<AppState>,
    method: Method,
    sender: Sender,
    path: ReleasePath,
) -> Result<Response, Error> {
    let release = find(&app, &path).await?;
    let file = app.blobs.open_file(&release.digest).await?;
    // Whoever asks for the head alone has no file.
    if method == Method::GET {
        count(&app, sender, &path.capsule, release.digest).await;
    }
    Ok(file_of(file, FOR_EVER))
}

/// Counts a download. A file is worth more than its count, where that cannot be kept.
pub(super) async fn count(app: &App, Sender(sender): Sender, capsule: &CapsuleName, file: Digest) {
    app.metrics.downloads.inc();
    if !app.downloads.is_first(sender, file) {
        return;
    }
    if let Err(error) = packages::count_download(&app.pool, capsule).await {
        tracing::warn!(%capsule, %error, "a download is not counted");
    }
}

/// A capsule file, and how long it may be kept on its way.
pub(super) fn file_of((size, file): (u64, Body), caching: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/wasm")),
        (CACHE_CONTROL, HeaderValue::from_static(caching)),
        (CONTENT_LENGTH, size.into()),
    ];
    (headers, file).into_response()
}

/// A version's signature and proofs.
#[utoipa::path(
    get,
    path = "/v1/packages/{namespace}/{name}/{version}/bundle",
    operation_id = "getBundle",
    tag = "Capsules",
    params(ReleasePath),
    responses(
        (
            status = 200,
            description = "The bundle.",
            body = Object,
            content_type = "application/vnd.soma.bundle.v1+json"
        ),
        Error
    ),
)]
pub(crate) async fn bundle(
    State(app): State<AppState>,
    Sender(from): Sender,
    path: ReleasePath,
) -> Result<Response, Error> {
    let turn = app.long_reads.wait(from, TURN).await;
    let _turn = turn.ok_or(Error::Overloaded("reads"))?;
    let release = find(&app, &path).await?;
    let statement = releases::statement(&app.pool, &path.capsule, &path.version).await?;
    let statement = statement.ok_or_else(|| unknown(&path))?;
    let bundle = app.log.bundle(&release, statement).await?;
    let headers = [(CONTENT_TYPE, BUNDLE_TYPE), (CACHE_CONTROL, "no-cache")];
    Ok((headers, bundle.to_bytes()?).into_response())
}

async fn find(app: &AppState, path: &ReleasePath) -> Result<Release, Error> {
    let mut connection = app.pool.acquire().await?;
    let release = releases::get(&mut connection, &path.capsule, &path.version).await?;
    release.ok_or_else(|| unknown(path))
}

fn unknown(path: &ReleasePath) -> Error {
    Error::NotFound(format!("version {} of `{}`", path.version, path.capsule))
}
