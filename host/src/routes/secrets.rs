//! Credentials, for administrators. No answer has a value in it.

use axum::Json;
use axum::extract::{Query, State, rejection::QueryRejection};
use http::StatusCode;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Value, json};
use soma_capability::CredentialName;
use soma_runtime::Presentation;

use super::grants::{OfQuery, tenant};
use super::keys::find_tenant;
use crate::app::{App, AppState};
use crate::audit::Event;
use crate::auth::{Admin, Caller};
use crate::body::Document;
use crate::db::keys;
use crate::db::secrets::{self, Stored};
use crate::db::tenants::Tenant;
use crate::error::Error;
use crate::keepers::{MOST_BYTES, Source};
use crate::key::is_id;
use crate::path::NamePath;
use crate::secrets::{Content, Kind, Whose};

const FORM: &str = "the body is {\"value\": \"…\"}, or {\"from\": {…}} for what is read elsewhere, \
                    with \"as\" besides to say how it is shown (docs/grants.md); what it is instead \
                    is not repeated here";

/// A value, or where it is read, and how it is shown to servers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    value: Option<SecretString>,
    from: Option<Source>,
    /// As before, where it is left out.
    #[serde(rename = "as", default, deserialize_with = "exactly")]
    kind: Option<Kind>,
}

/// No members that it does not have: where `kind` is all that there is to say, serde takes any beside
/// it.
fn exactly<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Kind>, D::Error> {
    let Some(said) = Option::<Value>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let kind = Kind::deserialize(&said).map_err(D::Error::custom)?;
    let whole = serde_json::to_value(&kind).map_err(D::Error::custom)?;
    let is_known = |member: &String| whole.get(member.as_str()).is_some();
    let is_exact = said
        .as_object()
        .is_some_and(|said| said.keys().all(is_known));
    match kind {
        // What is exchanged says so itself, and can leave something out where it is empty.
        Kind::Shown(_) if !is_exact => Err(D::Error::custom("it has members that are none")),
        kind => Ok(Some(kind)),
    }
}

/// Whose it is: the tenant's, or one key's of its.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    tenant: Option<String>,
    key: Option<String>,
}

type WhichQuery = Result<Query<Which>, QueryRejection>;

/// A tenant, and a key that need not be its.
struct Holder {
    tenant: Tenant,
    key: Option<String>,
}

impl Holder {
    async fn find(app: &App, caller: &Caller, query: WhichQuery) -> Result<Self, Error> {
        let Query(which) = query?;
        let tenant = which.tenant.as_deref().unwrap_or(caller.tenant());
        if let Some(key) = which.key.as_deref().filter(|key| !is_id(key)) {
            // Empty, as where a variable is not set, is not everybody's.
            return Err(Error::BadRequest(format!(
                "`{}` is no key's id",
                key.escape_debug()
            )));
        }
        Ok(Self {
            tenant: find_tenant(app, tenant).await?,
            key: which.key,
        })
    }

    /// Whether the key, where one is named, is one of the tenant's that opens something.
    async fn has_key(&self, app: &App) -> Result<bool, Error> {
        let Some(key) = &self.key else {
            return Ok(true);
        };
        let found = keys::by_id(&app.pool, key).await?;
        Ok(found.is_some_and(|found| {
            found.tenant_id == self.tenant.id && found.key.revoked_at.is_none()
        }))
    }

    fn whose(&self) -> Whose<'_> {
        Whose {
            tenant_id: &self.tenant.id,
            tenant: &self.tenant.name,
            key: self.key.as_deref(),
        }
    }
}

impl Wanted {
    fn content(value: Option<SecretString>, from: Option<Source>) -> Result<Content, Error> {
        match (value, from) {
            (Some(value), None) if value.expose_secret().len() > MOST_BYTES => {
                let words = format!("a credential's value has at most {MOST_BYTES} bytes");
                Err(Error::BadRequest(words))
            }
            (Some(value), None) => Ok(Content::Value(value)),
            (None, Some(source)) => Ok(Content::From(source)),
            _ => Err(Error::BadRequest(FORM.to_owned())),
        }
    }
}

/// How it is shown where nobody says: as before, or, of a key's first one, as the tenant's.
async fn usual(
    app: &App,
    whose: Whose<'_>,
    name: &CredentialName,
    content: &Content,
) -> Result<Kind, Error> {
    if let Content::From(source) = content
        && source.has_user()
    {
        let user = String::new();
        return Ok(Kind::Shown(Presentation::Basic { user }));
    }
    let before = secrets::that_holds(&app.pool, whose.place(name)).await?;
    Ok(before.map_or(Kind::Shown(Presentation::Bearer), |before| before.kind))
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
    query: WhichQuery,
    wanted: Result<Document<Wanted>, Error>,
) -> Result<Json<Stored>, Error> {
    let Document(wanted) = wanted.map_err(|error| match error {
        // What is wrong with it may be the secret itself.
        Error::BadRequest(_) | Error::Input(_) => Error::BadRequest(FORM.to_owned()),
        error => error,
    })?;
    let name = parse(&name)?;
    let content = Wanted::content(wanted.value, wanted.from)?;
    let holder = Holder::find(&app, &caller, query).await?;
    let whose = holder.whose();
    if !holder.has_key(&app).await? {
        return Err(unknown(holder.key));
    }
    let kind = match wanted.kind {
        Some(kind) => kind,
        None => usual(&app, whose, &name, &content).await?,
    };
    let stored = app.secrets.set(whose, &name, kind, content).await?;
    let Some(stored) = stored else {
        return Err(unknown(holder.key));
    };
    tracing::warn!(
        tenant = holder.tenant.name,
        %name,
        of_key = holder.key,
        key = caller.key_id(),
        "credential set"
    );
    let event = Event::Secret {
        name: name.to_string(),
        of: holder.tenant.name,
        for_key: holder.key,
        source: stored.source.clone(),
    };
    app.audit.by(&caller, event).await?;
    Ok(Json(stored))
}

pub(crate) async fn remove(
    State(app): State<AppState>,
    Admin(caller): Admin,
    NamePath(name): NamePath,
    query: WhichQuery,
) -> Result<StatusCode, Error> {
    let name = parse(&name)?;
    let holder = Holder::find(&app, &caller, query).await?;
    if !app.secrets.remove(holder.whose(), &name).await? {
        return Err(Error::UnknownSecret(name));
    }
    tracing::warn!(
        tenant = holder.tenant.name,
        %name,
        of_key = holder.key,
        key = caller.key_id(),
        "credential removed"
    );
    let event = Event::SecretRemoved {
        name: name.to_string(),
        of: holder.tenant.name,
        for_key: holder.key,
    };
    app.audit.by(&caller, event).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn unknown(key: Option<String>) -> Error {
    let key = key.unwrap_or_default();
    Error::UnknownKey(key.chars().take(64).collect())
}

fn parse(name: &str) -> Result<CredentialName, Error> {
    name.parse()
        .map_err(|error: soma_capability::AskedNameError| Error::BadRequest(error.to_string()))
}
