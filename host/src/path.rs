//! Names in paths, checked once.

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use serde::de::DeserializeOwned;
use soma_capability::{CapsuleName, Tool};

use crate::app::AppState;
use crate::error::Error;

/// `{namespace}/{name}`.
pub(crate) struct CapsulePath(pub(crate) CapsuleName);

/// `{namespace}/{name}/tools/{tool}`.
pub(crate) struct ToolPath {
    pub(crate) capsule: CapsuleName,
    pub(crate) tool: String,
}

/// One name of whatever form; what it names is looked up as it is.
pub(crate) struct NamePath(pub(crate) String);

impl FromRequestParts<AppState> for CapsulePath {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Error> {
        let (namespace, name): (String, String) = segments(parts, app).await?;
        Ok(Self(capsule(&namespace, &name)?))
    }
}

impl FromRequestParts<AppState> for ToolPath {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Error> {
        let (namespace, name, tool): (String, String, String) = segments(parts, app).await?;
        if !Tool::is_name(&tool) {
            return Err(Error::BadRequest(
                "a tool's name is 1 to 64 characters of a-z, A-Z, 0-9, `_` and `-`".to_owned(),
            ));
        }
        let capsule = capsule(&namespace, &name)?;
        Ok(Self { capsule, tool })
    }
}

impl FromRequestParts<AppState> for NamePath {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Error> {
        let name: String = segments(parts, app).await?;
        if name.len() > 200 || name.chars().any(char::is_control) {
            return Err(Error::BadRequest(
                "a name in a path has at most 200 bytes, and no control characters".to_owned(),
            ));
        }
        Ok(Self(name))
    }
}

async fn segments<T>(parts: &mut Parts, app: &AppState) -> Result<T, Error>
where
    T: DeserializeOwned + Send,
{
    match Path::from_request_parts(parts, app).await {
        Ok(Path(segments)) => Ok(segments),
        Err(rejection) => Err(Error::BadRequest(rejection.body_text())),
    }
}

fn capsule(namespace: &str, name: &str) -> Result<CapsuleName, Error> {
    CapsuleName::new(namespace, name).map_err(|error| Error::BadRequest(error.to_string()))
}
