//! Reading a request's body: of the right type, not too large, not too slow.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};
use soma_registry::{Pace, TooSlow};

use crate::app::AppState;
use crate::error::Error;
use crate::input::InvalidInput;

pub(crate) const JSON: &str = "application/json";
pub(crate) const WASM: &str = "application/wasm";

/// Bytes of a document that administers.
const DOCUMENT_BYTES: u64 = 64 << 10;
/// A body may take this long, and a second more for every [`SLOWEST`] bytes it may have.
const PATIENCE: Duration = Duration::from_secs(30);
const SLOWEST: u64 = 256 << 10;

/// The whole body, where it is of the media type and has at most `limit` bytes.
pub(crate) async fn read(
    request: Request,
    media_type: &'static str,
    limit: u64,
) -> Result<Vec<u8>, Error> {
    let (parts, body) = request.into_parts();
    if !is_of_type(&parts.headers, media_type) {
        return Err(Error::UnsupportedMediaType {
            expected: media_type,
        });
    }
    let announced = parts.headers.get(CONTENT_LENGTH);
    let announced: Option<u64> = announced.and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(Error::TooLarge { limit });
    }
    let patience = PATIENCE + Duration::from_secs(limit / SLOWEST);
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let body = tokio::time::timeout(patience, collect(Limited::new(body, most)))
        .await
        .map_err(|_| Error::BodyTimeout(patience.as_secs()))??;
    match body {
        Ok(body) => Ok(body),
        Err(error) if is_too_long(&*error) => Err(Error::TooLarge { limit }),
        Err(_) => Err(Error::BadRequest("the body ended early".to_owned())),
    }
}

/// All of a body that comes at some pace.
async fn collect(mut body: Limited<Body>) -> Result<Result<Vec<u8>, axum::BoxError>, TooSlow> {
    let mut pace = Pace::begin();
    let mut bytes = Vec::new();
    while let Some(frame) = pace.wait(body.frame()).await? {
        match frame {
            Ok(frame) => {
                if let Some(data) = frame.data_ref() {
                    pace.count(data.len());
                    bytes.extend_from_slice(data);
                }
            }
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(bytes))
}

/// A web page cannot send these types without asking first, which is a defence of its own; so the
/// header is not optional.
pub(crate) fn is_of_type(headers: &HeaderMap, expected: &str) -> bool {
    let given = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let essence = given.and_then(|text| text.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(expected))
}

/// Whether it is for the bound of a [`Limited`] body.
pub(crate) fn is_too_long(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// What serde says, without the names that types have here.
fn in_words(text: &str) -> String {
    for kind in ["struct", "internally tagged enum"] {
        if let Some((before, after)) = text.split_once(&format!("expected {kind} ")) {
            let after = after.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
            return format!("{before}expected an object{after}");
        }
    }
    text.to_owned()
}

/// For a member that need not be there: null is something to say too.
pub(crate) fn said<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

/// A small JSON document.
pub(crate) struct Document<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<AppState> for Document<T> {
    type Rejection = Error;

    async fn from_request(request: Request, _: &AppState) -> Result<Self, Error> {
        let body = read(request, JSON, DOCUMENT_BYTES).await?;
        // serde would take a list of the members too, and tell of all else in Rust's words.
        let is_object = body.trim_ascii_start().first() == Some(&b'{');
        if !is_object && serde_json::from_slice::<IgnoredAny>(&body).is_ok() {
            return Err(Error::BadRequest(
                "the body must be a JSON object".to_owned(),
            ));
        }
        match serde_json::from_slice(&body) {
            Ok(document) => Ok(Self(document)),
            Err(error) if error.is_data() => Err(Error::BadRequest(in_words(&error.to_string()))),
            Err(error) => Err(InvalidInput::Json(error.to_string()).into()),
        }
    }
}
