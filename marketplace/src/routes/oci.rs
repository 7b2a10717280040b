//! Pulling by the OCI distribution specification, for clients that know nothing of capsules.
//! Publishing is not among it: what is signed and logged goes to `/v1/publish`.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, LINK};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde::Deserialize;
use serde_json::json;
use soma_capability::{CapsuleName, Digest};
use soma_registry::BUNDLE_TYPE;
use soma_registry::oci::{INDEX_TYPE, LAYER_TYPE, MANIFEST_TYPE, fallback_tag, index};

use super::packages::FOR_EVER;
use crate::app::{App, AppState};
use crate::db::oci::{self, Document};
use crate::db::releases;
use crate::error::Error;
use crate::rate::Sender;

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");
/// Tags in one answer, where nothing is said, and at most.
const PAGE: usize = 1000;

/// Why a client gets nothing, in the specification's words.
pub(crate) enum OciError {
    /// What it asked for is malformed, unknown or not allowed.
    Refused(StatusCode, &'static str, String),
    /// Something here failed.
    Failed(Error),
}

type Segments = Result<Path<(String, String, String)>, PathRejection>;

#[derive(Debug, Deserialize)]
pub(crate) struct Page {
    n: Option<usize>,
    last: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Filter {
    #[serde(rename = "artifactType")]
    artifact_type: Option<String>,
}

/// Says that the specification is spoken here, to anybody.
pub(crate) async fn base() -> Response {
    let headers = [(API_VERSION, HeaderValue::from_static("registry/2.0"))];
    (headers, Json(json!({}))).into_response()
}

/// A manifest by its version or its digest, or the index of what is attached to one by its
/// fallback tag.
pub(crate) async fn manifest(
    State(app): State<AppState>,
    segments: Segments,
) -> Result<Response, OciError> {
    let (capsule, reference) = repository(segments)?;
    if let Ok(digest) = reference.parse() {
        let found = oci::get(&app.pool, &capsule, &digest).await?;
        return answer(&app, &capsule, &reference, found).await;
    }
    if let Some(hex) = reference.strip_prefix("sha256-")
        && let Ok(subject) = format!("sha256:{hex}").parse()
    {
        let found = oci::referrers(&app.pool, &capsule, &subject).await?;
        if found.is_empty() {
            return Err(unknown_manifest(&capsule, &fallback_tag(subject)));
        }
        let index = index(&found).map_err(|error| Error::Log(error.to_string()))?;
        return Ok(content(INDEX_TYPE, &index.digest, "no-cache", index.bytes));
    }
    // A tag has no `+`.
    let version = reference.replace('_', "+").parse();
    let version = version.map_err(|_| unknown_manifest(&capsule, &reference))?;
    let found = oci::manifest(&app.pool, &capsule, &version).await?;
    answer(&app, &capsule, &reference, found).await
}

async fn answer(
    app: &App,
    capsule: &CapsuleName,
    reference: &str,
    found: Option<Document>,
) -> Result<Response, OciError> {
    let is_manifest =
        |document: &Document| [MANIFEST_TYPE, INDEX_TYPE].contains(&&*document.media_type);
    let found = found.filter(is_manifest);
    let document = found.ok_or_else(|| unknown_manifest(capsule, reference))?;
    if let Some(version) = &document.version {
        let mut connection = app.pool.acquire().await?;
        let release = releases::get(&mut connection, capsule, version).await?;
        // Whoever comes this way checks no log: what is revoked is not handed out.
        if let Some(revoked) = release.as_ref().and_then(|it| it.standing.revocation()) {
            let words = format!("{capsule}@{version} is revoked: {}", revoked.reason);
            return Err(OciError::Refused(StatusCode::FORBIDDEN, "DENIED", words));
        }
    }
    Ok(served(document))
}

/// A capsule file, or one of the small documents.
pub(crate) async fn blob(
    State(app): State<AppState>,
    method: Method,
    sender: Sender,
    segments: Segments,
) -> Result<Response, OciError> {
    let (capsule, reference) = repository(segments)?;
    let digest = digest(&reference)?;
    if let Some(document) = oci::get(&app.pool, &capsule, &digest).await? {
        return Ok(served(document));
    }
    if !releases::has(&app.pool, &capsule, &digest).await? {
        let words = format!("{capsule} has no blob {digest}");
        return Err(OciError::Refused(
            StatusCode::NOT_FOUND,
            "BLOB_UNKNOWN",
            words,
        ));
    }
    let file = app.blobs.open_file(&digest).await;
    let (size, file) = file.map_err(Error::from)?;
    if method == Method::GET {
        super::packages::count(&app, sender, &capsule, digest).await;
    }
    let length = [(CONTENT_LENGTH, HeaderValue::from(size))];
    Ok(content(LAYER_TYPE, &digest, FOR_EVER, (length, file)))
}

/// The versions that may be chosen, as tags.
pub(crate) async fn tags(
    State(app): State<AppState>,
    segments: Result<Path<(String, String)>, PathRejection>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Response, OciError> {
    let Path((namespace, name)) = segments.map_err(invalid_name)?;
    let capsule = CapsuleName::new(&namespace, &name).map_err(invalid_name)?;
    let Query(page) = page.map_err(|error| {
        OciError::Refused(StatusCode::BAD_REQUEST, "UNSUPPORTED", error.body_text())
    })?;
    let mut connection = app.pool.acquire().await?;
    let releases = releases::of(&mut connection, &capsule).await?;
    if releases.is_empty() {
        let words = format!("there is no capsule `{capsule}`");
        return Err(OciError::Refused(
            StatusCode::NOT_FOUND,
            "NAME_UNKNOWN",
            words,
        ));
    }
    let current = releases.iter().filter(|it| it.standing.is_current());
    let mut tags: Vec<_> = current
        .map(|it| it.version.to_string().replace('+', "_"))
        .collect();
    tags.sort_unstable();
    if let Some(last) = &page.last {
        tags.retain(|tag| tag > last);
    }
    let limit = page.n.unwrap_or(PAGE).min(PAGE);
    let more = tags.len() > limit;
    tags.truncate(limit);
    let mut headers = HeaderMap::new();
    if let Some(last) = tags.last().filter(|_| more) {
        let link = format!("</v2/{capsule}/tags/list?n={limit}&last={last}>; rel=\"next\"");
        if let Ok(link) = HeaderValue::try_from(link) {
            headers.insert(LINK, link);
        }
    }
    let list = json!({"name": capsule.to_string(), "tags": tags});
    Ok((headers, Json(list)).into_response())
}

/// What is attached to a manifest; nothing where there is no such manifest.
pub(crate) async fn referrers(
    State(app): State<AppState>,
    segments: Segments,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Response, OciError> {
    let (capsule, reference) = repository(segments)?;
    let mut found = oci::referrers(&app.pool, &capsule, &digest(&reference)?).await?;
    let wanted = filter.ok().and_then(|Query(filter)| filter.artifact_type);
    // All that is attached here is a bundle.
    if wanted
        .as_deref()
        .is_some_and(|wanted| wanted != BUNDLE_TYPE)
    {
        found.clear();
    }
    let index = index(&found).map_err(|error| Error::Log(error.to_string()))?;
    let mut response = content(INDEX_TYPE, &index.digest, "no-cache", index.bytes);
    if wanted.is_some() {
        let applied = HeaderValue::from_static("artifactType");
        response.headers_mut().insert(FILTERS_APPLIED, applied);
    }
    Ok(response)
}

/// Any other method.
pub(crate) async fn unsupported() -> OciError {
    let words = "only pulling is spoken here; `soma publish` publishes".to_owned();
    OciError::Refused(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", words)
}

/// Any other path.
pub(crate) fn unknown_path() -> OciError {
    let words = "a repository here is NAMESPACE/NAME".to_owned();
    OciError::Refused(StatusCode::NOT_FOUND, "NAME_INVALID", words)
}

fn repository(segments: Segments) -> Result<(CapsuleName, String), OciError> {
    let Path((namespace, name, reference)) = segments.map_err(invalid_name)?;
    let capsule = CapsuleName::new(&namespace, &name).map_err(invalid_name)?;
    Ok((capsule, reference))
}

fn digest(text: &str) -> Result<Digest, OciError> {
    text.parse().map_err(|_| {
        let words = "a digest is `sha256:` and 64 lower-case hex digits".to_owned();
        OciError::Refused(StatusCode::BAD_REQUEST, "DIGEST_INVALID", words)
    })
}

fn invalid_name(error: impl std::fmt::Display) -> OciError {
    OciError::Refused(StatusCode::BAD_REQUEST, "NAME_INVALID", error.to_string())
}

fn unknown_manifest(capsule: &CapsuleName, reference: &str) -> OciError {
    let reference: String = reference.escape_debug().take(128).collect();
    let words = format!("{capsule} has no manifest `{reference}`; a tag is a version");
    OciError::Refused(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", words)
}

fn served(document: Document) -> Response {
    content(
        &document.media_type,
        &document.digest,
        FOR_EVER,
        document.body,
    )
}

fn content(
    media_type: &str,
    digest: &Digest,
    cache: &'static str,
    body: impl IntoResponse,
) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    for (name, value) in [
        (CONTENT_TYPE, media_type),
        (CONTENT_DIGEST, digest.to_string().as_str()),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    response
}

impl From<Error> for OciError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<sqlx::Error> for OciError {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl IntoResponse for OciError {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(status, code, message) => {
                tracing::info!(code, detail = %message, "refused");
                let error = json!({"errors": [{"code": code, "message": message}]});
                (status, Json(error)).into_response()
            }
            Self::Failed(error) => error.into_response(),
        }
    }
}
