//! A capsule file that is brought here together with its bundles: whoever installs it fetched both
//! from an OCI registry, or carried them over.

use std::time::Duration;

use axum::body::Body;
use axum::extract::multipart::{Field, MultipartError, MultipartRejection};
use axum::extract::{FromRequest, Multipart, Request};
use http_body_util::Limited;
use soma_registry::oci::MAX_BUNDLES;
use soma_registry::{Bundle, BundleError, MAX_BUNDLE_BYTES, MAX_FILE_BYTES, Pace};

use crate::app::AppState;
use crate::body::is_too_long;
use crate::distrust::Distrust;
use crate::error::Error;

/// The media type of a request that brings them.
pub(crate) const FORM: &str = "multipart/form-data";

/// The largest form at 256 KiB/s, and then some.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// How long the rest of a form that is refused may take.
const REST: Duration = Duration::from_secs(2);

/// The longest form: its parts, and what is between them.
const LONGEST: usize = MAX_FILE_BYTES + MAX_BUNDLES * MAX_BUNDLE_BYTES + (64 << 10);

/// What was brought; nothing is proven yet.
pub(crate) struct Brought {
    pub(super) file: Vec<u8>,
    /// At least one.
    pub(super) bundles: Vec<Bundle>,
}

impl FromRequest<AppState> for Brought {
    type Rejection = Error;

    async fn from_request(request: Request, app: &AppState) -> Result<Self, Error> {
        let sender = request.extensions().get().cloned();
        // The form's own reader holds without a bound what belongs to no part.
        let request = request.map(|body| Body::new(Limited::new(body, LONGEST)));
        let form = Multipart::from_request(request, app).await;
        let mut form = form.map_err(|refused: MultipartRejection| bad(&refused.body_text()))?;
        let brought = tokio::time::timeout(PATIENCE, read(&mut form))
            .await
            .map_err(|_| Error::BodyTimeout(PATIENCE.as_secs()))?;
        if brought.is_err() {
            // A client that is still sending would not see the answer.
            let rest = async { while let Ok(Some(_)) = form.next_field().await {} };
            let _ = tokio::time::timeout(REST, rest).await;
        }
        app.keyring.still_holds(sender).await?;
        brought
    }
}

async fn read(form: &mut Multipart) -> Result<Brought, Error> {
    let (mut file, mut bundles) = (None, Vec::new());
    let mut pace = Pace::begin();
    while let Some(field) = pace
        .wait(form.next_field())
        .await?
        .map_err(|e| broken(&e))?
    {
        match field.name().unwrap_or_default() {
            "bundle" if bundles.len() < MAX_BUNDLES => {
                bundles.push(bounded(field, MAX_BUNDLE_BYTES, &mut pace).await?);
            }
            "capsule" if file.is_none() => {
                file = Some(bounded(field, MAX_FILE_BYTES, &mut pace).await?);
            }
            other => {
                let other = other.chars().take(40).collect::<String>();
                return Err(bad(&format!(
                    "unexpected part `{}`: send `capsule` once, and 1 to {MAX_BUNDLES} times \
                     `bundle`",
                    other.escape_debug()
                )));
            }
        }
    }
    Ok(Brought {
        file: file.ok_or_else(|| bad("the part `capsule` is missing"))?,
        bundles: readable(&bundles)?,
    })
}

/// Those that are bundles; where none is, why the first is not.
fn readable(texts: &[Vec<u8>]) -> Result<Vec<Bundle>, Error> {
    let mut refusal = None;
    let mut bundles = Vec::new();
    for text in texts {
        match Bundle::from_bytes(text) {
            Ok(bundle) => bundles.push(bundle),
            Err(error) => refusal = refusal.or(Some(error)),
        }
    }
    if bundles.is_empty() {
        let why = refusal.unwrap_or(BundleError::NotLogged);
        return Err(Distrust::Brought(Box::new(why.into())).into());
    }
    Ok(bundles)
}

async fn bounded(mut field: Field<'_>, limit: usize, pace: &mut Pace) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = pace.wait(field.chunk()).await?.map_err(|e| broken(&e))? {
        pace.count(chunk.len());
        if bytes.len() + chunk.len() > limit {
            let limit = limit as u64;
            return Err(Error::TooLarge { limit });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn broken(error: &MultipartError) -> Error {
    if is_too_long(error) {
        let limit = LONGEST as u64;
        return Error::TooLarge { limit };
    }
    bad(&error.body_text())
}

fn bad(what: &str) -> Error {
    Error::BadRequest(format!("the form: {what}"))
}
