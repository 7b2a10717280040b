//! Names in paths, checked once.

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use semver::Version;
use serde::de::DeserializeOwned;
use soma_capability::{CapsuleName, Name};

use crate::app::AppState;
use crate::error::Error;

/// `{namespace}`.
pub(crate) struct NamespacePath(pub(crate) Name);

/// `{namespace}/{name}`.
pub(crate) struct PackagePath(pub(crate) CapsuleName);

/// `{namespace}/{name}/{version}`.
pub(crate) struct ReleasePath {
    pub(crate) capsule: CapsuleName,
    pub(crate) version: Version,
}

/// `{id}`: hex digits and hyphens.
pub(crate) struct IdPath(pub(crate) String);

impl FromRequestParts<AppState> for NamespacePath {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Error> {
        let name: String = segments(parts, app).await?;
        name.parse().map(Self).map_err(bad)
    }
}

impl FromRequestParts<AppState> for PackagePath {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Error> {
        let (namespace, name): (String, String) = segments(parts, app).await?;
        CapsuleName::new(&namespace, &name).map(Self).map_err(bad)
    }
}

impl FromRequestParts<AppState> for ReleasePath {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Error> {
        let (namespace, name, version): (String, String, String) = segments(parts, app).await?;
        let capsule = CapsuleName::new(&namespace, &name).map_err(bad)?;
        let version = version
            .parse()
            .map_err(|error| Error::BadRequest(format!("the version in the path: {error}")))?;
        Ok(Self { capsule, version })
    }
}

impl FromRequestParts<AppState> for IdPath {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Error> {
        let id: String = segments(parts, app).await?;
        let is_id =
            (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        if !is_id {
            return Err(Error::BadRequest(
                "an id in a path is hex digits and hyphens".to_owned(),
            ));
        }
        Ok(Self(id))
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

fn bad(error: impl std::fmt::Display) -> Error {
    Error::BadRequest(error.to_string())
}
