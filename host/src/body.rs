//! Reading a request's body: of the right type, not too large, not too slow.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use futures::poll;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};
use soma_registry::{Pace, TooSlow};
use tokio::time::timeout;

use crate::app::{App, AppState};
use crate::error::Error;
use crate::input::InvalidInput;

pub(crate) const JSON: &str = "application/json";
pub(crate) const WASM: &str = "application/wasm";

/// Bytes of a document that administers.
const DOCUMENT_BYTES: u64 = 64 << 10;
/// A body may take this long, and a second more for every [`SLOWEST`] bytes it may have.
const PATIENCE: Duration = Duration::from_secs(30);
const SLOWEST: u64 = 256 << 10;

/// What serde calls numbers, and what they are for whoever writes JSON.
const NUMBERS: [(&str, &str); 4] = [
    ("a nonzero u32", "a number from 1 to 4294967295"),
    ("u32", "a whole number from 0 to 4294967295"),
    ("u64", "a whole number that is not negative"),
    ("i64", "a whole number"),
];

/// The whole body, where it is of the media type and has at most `limit` bytes. Where it does not arrive
/// at once, it is looked again whether its sender's key holds.
pub(crate) async fn read(
    app: &App,
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
    let mut arrives = pin!(timeout(patience, collect(Limited::new(body, most))));
    let arrived = match poll!(arrives.as_mut()) {
        Poll::Ready(body) => body,
        Poll::Pending => {
            let body = arrives.await;
            let sender = parts.extensions.get().cloned();
            app.keyring.still_holds(sender).await?;
            body
        }
    };
    match arrived.map_err(|_| Error::BodyTimeout(patience.as_secs()))?? {
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

/// What serde says of a document, with the member that is meant where it names none.
fn at_member<T: DeserializeOwned>(body: &[u8], error: &serde_json::Error) -> String {
    let words = in_words(&error.to_string());
    if !words.starts_with("invalid ") {
        return words;
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    match serde_path_to_error::deserialize::<_, T>(&mut json) {
        Err(error) if error.path().iter().next().is_some() => {
            format!("`{}`: {words}", error.path())
        }
        _ => words,
    }
}

/// What serde says, without the names that types have here.
fn in_words(text: &str) -> String {
    for (named, meant) in NUMBERS {
        if let Some((before, after)) = text.split_once(&format!("expected {named}")) {
            return format!("{before}expected {meant}{after}");
        }
    }
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

    async fn from_request(request: Request, app: &AppState) -> Result<Self, Error> {
        let body = read(app, request, JSON, DOCUMENT_BYTES).await?;
        // serde would take a list of the members too, and tell of all else in Rust's words.
        let is_object = body.trim_ascii_start().first() == Some(&b'{');
        if !is_object && serde_json::from_slice::<IgnoredAny>(&body).is_ok() {
            return Err(Error::BadRequest(
                "the body must be a JSON object".to_owned(),
            ));
        }
        match serde_json::from_slice(&body) {
            Ok(document) => Ok(Self(document)),
            Err(error) if error.is_data() => Err(Error::BadRequest(at_member::<T>(&body, &error))),
            Err(error) => Err(InvalidInput::Json(error.to_string()).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        tokens: Option<u64>,
        calls: Option<NonZeroU32>,
        inner: Option<Box<Wanted>>,
    }

    #[test]
    fn a_document_is_refused_by_the_names_of_its_members() {
        let fine: Wanted = serde_json::from_str(r#"{"tokens": 1, "calls": 2}"#).unwrap();
        assert_eq!((fine.tokens, fine.calls), (Some(1), NonZeroU32::new(2)));
        assert!(fine.inner.is_none());
        for (body, words) in [
            (
                r#"{"calls": 0}"#,
                "`calls`: invalid value: integer `0`, expected a number from 1 to 4294967295",
            ),
            (
                r#"{"tokens": 1.5}"#,
                "`tokens`: invalid type: floating point `1.5`, expected a whole number",
            ),
            (
                r#"{"inner": {"tokens": "1"}}"#,
                "`inner.tokens`: invalid type: string \"1\", expected a whole number",
            ),
            (
                r#"{"inner": 1}"#,
                "`inner`: invalid type: integer `1`, expected an object",
            ),
            (r#"{"other": 1}"#, "unknown field `other`"),
        ] {
            let error = serde_json::from_str::<Wanted>(body).unwrap_err();
            let said = at_member::<Wanted>(body.as_bytes(), &error);
            assert!(said.starts_with(words), "{said}");
        }
    }
}
