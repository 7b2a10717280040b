//! A capsule file that is brought here together with its bundles: whoever installs it fetched both
//! from an OCI registry, or carried them over.

use std::time::Duration;

use axum::extract::multipart::{Field, MultipartError, MultipartRejection};
use axum::extract::{FromRequest, Multipart, Request};
use soma_registry::oci::MAX_BUNDLES;
use soma_registry::{Bundle, BundleError, MAX_BUNDLE_BYTES, MAX_FILE_BYTES};

use crate::app::AppState;
use crate::distrust::Distrust;
use crate::error::Error;

/// The media type of a request that brings them.
pub(crate) const FORM: &str = "multipart/form-data";

/// The largest form at 256 KiB/s, and then some.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// What was brought; nothing is proven yet.
pub(crate) struct Brought {
    pub(super) file: Vec<u8>,
    /// At least one.
    pub(super) bundles: Vec<Bundle>,
}

impl FromRequest<AppState> for Brought {
    type Rejection = Error;

    async fn from_request(request: Request, app: &AppState) -> Result<Self, Error> {
        let form = Multipart::from_request(request, app).await;
        let form = form.map_err(|refused: MultipartRejection| bad(&refused.body_text()))?;
        tokio::time::timeout(PATIENCE, read(form))
            .await
            .map_err(|_| Error::BodyTimeout(PATIENCE.as_secs()))?
    }
}

async fn read(mut form: Multipart) -> Result<Brought, Error> {
    let (mut file, mut bundles) = (None, Vec::new());
    while let Some(field) = form.next_field().await.map_err(|e| broken(&e))? {
        match field.name().unwrap_or_default() {
            "bundle" if bundles.len() < MAX_BUNDLES => {
                bundles.push(bounded(field, MAX_BUNDLE_BYTES).await?);
            }
            "capsule" if file.is_none() => file = Some(bounded(field, MAX_FILE_BYTES).await?),
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

async fn bounded(mut field: Field<'_>, limit: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(|e| broken(&e))? {
        if bytes.len() + chunk.len() > limit {
            let limit = limit as u64;
            return Err(Error::TooLarge { limit });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn broken(error: &MultipartError) -> Error {
    bad(&error.body_text())
}

fn bad(what: &str) -> Error {
    Error::BadRequest(format!("the form: {what}"))
}
