//! Credentials, for administrators. No answer has a value in it.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};
use soma_capability::CredentialName;
use soma_runtime::Presentation;

use super::grants::{OfQuery, tenant};
use crate::app::AppState;
use crate::audit::Event;
use crate::auth::Admin;
use crate::body::Document;
use crate::db::secrets::{self, Stored};
use crate::error::Error;
use crate::path::NamePath;
use crate::secrets::Kind;

const FORM: &str = "the body is {\"value\": \"…\"}, with \"as\" besides to say how it is shown \
                    (docs/grants.md); what it is instead is not repeated here";

/// More than any token has.
const MOST_BYTES: usize = 16 << 10;

/// A value, and how it is shown to servers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    value: SecretString,
    /// As before, where it is left out.
    #[serde(rename = "as")]
    kind: Option<Kind>,
}

pub(crate) async fn list(
    State(app): State<AppState>,
    Admin(caller): Admin,
    query: OfQuery,
) -> Result<Json<Value>, Error> {
    let tenant = tenant(&app, &caller, query).await?;
    let secrets = secrets::list(&app.pool, &tenant.id).await?;
    Ok(Json(json!({ "secrets": secrets })))
}

pub(crate) async fn set(
    State(app): State<AppState>,
    Admin(caller): Admin,
    NamePath(name): NamePath,
    query: OfQuery,
    wanted: Result<Document<Wanted>, Error>,
) -> Result<Json<Stored>, Error> {
    use secrecy::ExposeSecret as _;
    let Document(wanted) = wanted.map_err(|error| match error {
        // What is wrong with it may be the secret itself.
        Error::BadRequest(_) | Error::Input(_) => Error::BadRequest(FORM.to_owned()),
        error => error,
    })?;
    let name = parse(&name)?;
    if wanted.value.expose_secret().len() > MOST_BYTES {
        let words = format!("a credential's value has at most {MOST_BYTES} bytes");
        return Err(Error::BadRequest(words));
    }
    let tenant = tenant(&app, &caller, query).await?;
    let kind = match wanted.kind {
        Some(kind) => kind,
        None => {
            let before = secrets::get(&app.pool, &tenant.id, &name).await?;
            before.map_or(Kind::Shown(Presentation::Bearer), |before| before.kind)
        }
    };
    let stored = app.secrets.set(&tenant.id, &name, kind, wanted.value);
    let stored = stored.await?;
    tracing::warn!(tenant = tenant.name, %name, key = caller.key_id(), "credential set");
    let (name, of) = (name.to_string(), tenant.name);
    app.audit.by(&caller, Event::Secret { name, of }).await?;
    Ok(Json(stored))
}

pub(crate) async fn remove(
    State(app): State<AppState>,
    Admin(caller): Admin,
    NamePath(name): NamePath,
    query: OfQuery,
) -> Result<StatusCode, Error> {
    let name = parse(&name)?;
    let tenant = tenant(&app, &caller, query).await?;
    if !app.secrets.remove(&tenant.id, &name).await? {
        return Err(Error::UnknownSecret(name));
    }
    tracing::warn!(tenant = tenant.name, %name, key = caller.key_id(), "credential removed");
    let (name, of) = (name.to_string(), tenant.name);
    let event = Event::SecretRemoved { name, of };
    app.audit.by(&caller, event).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn parse(name: &str) -> Result<CredentialName, Error> {
    name.parse()
        .map_err(|error: soma_capability::AskedNameError| Error::BadRequest(error.to_string()))
}
