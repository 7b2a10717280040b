//! Reading a request's body: of the right type, not too large, not too slow.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt as _, Limited};
use serde::de::DeserializeOwned;

use crate::app::AppState;
use crate::error::Error;

/// Bytes of a document: an envelope of the largest change, and room.
const DOCUMENT_BYTES: usize = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(30);

/// A small JSON document.
pub(crate) struct Document<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<AppState> for Document<T> {
    type Rejection = Error;

    async fn from_request(request: Request, _: &AppState) -> Result<Self, Error> {
        require_type(request.headers(), "application/json")?;
        let body = read(request.into_body()).await?;
        serde_json::from_slice(&body)
            .map(Self)
            .map_err(|error| Error::BadRequest(format!("the body: {error}")))
    }
}

/// A whole body of a document's size.
pub(crate) async fn read(body: Body) -> Result<Bytes, Error> {
    let body = Limited::new(body, DOCUMENT_BYTES).collect();
    let body = tokio::time::timeout(PATIENCE, body)
        .await
        .map_err(|_| Error::BodyTimeout(PATIENCE.as_secs()))?
        .map_err(|error| too_large_or_cut("the body", DOCUMENT_BYTES, &*error))?;
    Ok(body.to_bytes())
}

/// A web page cannot send this type without asking first, which is a defence of its own.
fn require_type(headers: &HeaderMap, wanted: &'static str) -> Result<(), Error> {
    let given = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let essence = given.and_then(|text| text.split(';').next());
    match essence {
        Some(essence) if essence.trim().eq_ignore_ascii_case(wanted) => Ok(()),
        _ => Err(Error::UnsupportedMediaType(wanted)),
    }
}

fn too_large_or_cut(
    what: &'static str,
    limit: usize,
    error: &(dyn std::error::Error + Send + Sync + 'static),
) -> Error {
    if error.is::<http_body_util::LengthLimitError>() {
        return Error::TooLarge { what, limit };
    }
    Error::BadRequest(format!("{what} ended early"))
}
