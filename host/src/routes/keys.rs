//! API keys, for administrators.

use std::num::NonZeroU32;

use axum::Json;
use axum::extract::{Query, State, rejection::QueryRejection};
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use soma_capability::{Narrowing, ToolPattern};

use crate::app::{App, AppState};
use crate::audit::Event;
use crate::auth::Admin;
use crate::body::Document;
use crate::db;
use crate::db::keys::{self, Key, KeyChanges};
use crate::db::tenants::{self, Tenant};
use crate::error::Error;
use crate::key::{ApiKey, Scope, Scopes};
use crate::path::NamePath;
use crate::routes::tenants::is_tenant_name;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    tenant: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewKey {
    tenant: String,
    #[serde(default)]
    name: String,
    scopes: Scopes,
    tools: Option<Vec<ToolPattern>>,
    narrowed: Option<Narrowing>,
    max_tokens: Option<u64>,
    calls_per_minute: Option<NonZeroU32>,
    expires_at: Option<Timestamp>,
}

/// A key, and the only time its secret is shown.
#[derive(Serialize)]
pub(crate) struct ShownKey {
    #[serde(flatten)]
    key: Key,
    /// `soma_<id>_<secret>`: what goes after `Bearer`.
    secret: String,
}

impl NewKey {
    fn check(&self) -> Result<(), Error> {
        let refuse = |why: &str| Err(Error::BadRequest(why.to_owned()));
        check_name(&self.name)?;
        check_tokens(self.max_tokens)?;
        check_end(self.expires_at)?;
        if self.scopes.is_empty() {
            return refuse("`scopes` needs at least one of admin, install, invoke");
        }
        if self.narrowed.is_some() && !self.scopes.has(Scope::Invoke) {
            return refuse("`narrowed` limits the scope invoke, which this key would not have");
        }
        if self.narrowed.is_some() && self.scopes.has(Scope::Admin) {
            return refuse(
                "`narrowed` holds nobody who may make another key: leave out the scope admin",
            );
        }
        match &self.tools {
            Some(_) if !self.scopes.has(Scope::Invoke) => {
                refuse("`tools` limits the scope invoke, which this key would not have")
            }
            Some(tools) if tools.is_empty() => {
                refuse("`tools` is empty: leave it out for all tools")
            }
            Some(tools) if tools.len() > 1000 => refuse("`tools` has at most 1000 entries"),
            _ => Ok(()),
        }
    }
}

fn check_name(name: &str) -> Result<(), Error> {
    if name.chars().count() > 200 || name.chars().any(char::is_control) {
        let why = "`name` has at most 200 characters, and no control characters";
        return Err(Error::BadRequest(why.to_owned()));
    }
    Ok(())
}

fn check_tokens(most: Option<u64>) -> Result<(), Error> {
    let is_fit = |most: u64| most > 0 && i64::try_from(most).is_ok();
    if most.is_none_or(is_fit) {
        return Ok(());
    }
    let why = format!(
        "`max_tokens` is 1 to {}; leave it out for no bound",
        i64::MAX
    );
    Err(Error::BadRequest(why))
}

/// Whatever is to end has not ended already.
pub(super) fn check_end(expires_at: Option<Timestamp>) -> Result<(), Error> {
    if expires_at.is_some_and(|end| end <= Timestamp::now()) {
        return Err(Error::BadRequest("`expires_at` is in the past".to_owned()));
    }
    Ok(())
}

fn check_changes(changes: &KeyChanges) -> Result<(), Error> {
    if *changes == KeyChanges::default() {
        return Err(Error::BadRequest(
            "nothing to change: send `name`, `max_tokens`, `calls_per_minute` or `expires_at`"
                .to_owned(),
        ));
    }
    for name in changes.name.iter().flatten() {
        check_name(name)?;
    }
    check_tokens(changes.max_tokens.flatten())?;
    check_end(changes.expires_at.flatten())
}

pub(crate) async fn list(
    State(app): State<AppState>,
    _: Admin,
    query: Result<Query<Which>, QueryRejection>,
) -> Result<Json<Value>, Error> {
    let Query(which) = query?;
    if let Some(tenant) = &which.tenant {
        find_tenant(&app, tenant).await?;
    }
    let keys = keys::list(&app.pool, which.tenant.as_deref()).await?;
    Ok(Json(json!({ "keys": keys })))
}

pub(crate) async fn create(
    State(app): State<AppState>,
    Admin(caller): Admin,
    Document(new): Document<NewKey>,
) -> Result<(StatusCode, Json<ShownKey>), Error> {
    new.check()?;
    let tenant = find_tenant(&app, &new.tenant).await?;
    for capsule in new.narrowed.iter().flat_map(Narrowing::capsules) {
        // A name with a slip in it would narrow nothing.
        app.catalog.find(&tenant.id, capsule).await?;
    }
    let secret = ApiKey::generate(None)?;
    let key = Key {
        id: secret.id().to_owned(),
        tenant: tenant.name,
        name: new.name,
        scopes: new.scopes,
        tools: new.tools,
        narrowed: new.narrowed,
        max_tokens: new.max_tokens,
        calls_per_minute: new.calls_per_minute,
        created_at: db::storable(Timestamp::now()),
        expires_at: new.expires_at.map(db::storable),
        revoked_at: None,
    };
    keys::insert(&app.pool, &tenant.id, &key, &secret.hash()).await?;
    // A request with this id may have been turned away, and remembered, before the key was there.
    app.keyring.forget();
    tracing::info!(tenant = key.tenant, key = key.id, "key created");
    let (id, of) = (key.id.clone(), key.tenant.clone());
    app.audit.by(&caller, Event::KeyCreated { id, of }).await?;
    let secret = secret.expose().to_owned();
    Ok((StatusCode::CREATED, Json(ShownKey { key, secret })))
}

pub(super) async fn find_tenant(app: &App, name: &str) -> Result<Tenant, Error> {
    let found = match is_tenant_name(name) {
        true => tenants::by_name(&app.pool, name).await?,
        false => None,
    };
    found.ok_or_else(|| Error::UnknownTenant(name.chars().take(200).collect()))
}

/// A new secret for the same key. The old one opens nothing from then on.
pub(crate) async fn rotate(
    State(app): State<AppState>,
    Admin(caller): Admin,
    NamePath(id): NamePath,
) -> Result<Json<ShownKey>, Error> {
    let secret = ApiKey::generate(Some(&id))?;
    let changed = keys::set_secret(&app.pool, &id, &secret.hash()).await?;
    app.keyring.forget();
    let stored = keys::by_id(&app.pool, &id).await?.filter(|_| changed);
    let Some(stored) = stored else {
        return Err(Error::UnknownKey(id));
    };
    tracing::info!(tenant = stored.key.tenant, key = id, "key rotated");
    app.audit.by(&caller, Event::KeyRotated { id }).await?;
    Ok(Json(ShownKey {
        key: stored.key,
        secret: secret.expose().to_owned(),
    }))
}

/// Changes what a key is called, how much it may use, and until when, from its next request on.
pub(crate) async fn change(
    State(app): State<AppState>,
    Admin(caller): Admin,
    NamePath(id): NamePath,
    Document(mut changes): Document<KeyChanges>,
) -> Result<Json<Key>, Error> {
    check_changes(&changes)?;
    if id == caller.key_id() && changes.expires_at.flatten().is_some() {
        return Err(Error::Conflict(
            "this is the key you are using: give it an end with another admin key".to_owned(),
        ));
    }
    changes.expires_at = changes.expires_at.map(|end| end.map(db::storable));
    let is_there = keys::change(&app.pool, &id, &changes).await?;
    app.keyring.forget();
    let stored = keys::by_id(&app.pool, &id).await?.filter(|_| is_there);
    let Some(stored) = stored else {
        return Err(Error::UnknownKey(id));
    };
    tracing::info!(tenant = stored.key.tenant, key = id, "key changed");
    let of = stored.key.tenant.clone();
    let event = Event::KeyChanged { id, of, changes };
    app.audit.by(&caller, event).await?;
    Ok(Json(stored.key))
}

pub(crate) async fn revoke(
    State(app): State<AppState>,
    Admin(caller): Admin,
    NamePath(id): NamePath,
) -> Result<StatusCode, Error> {
    if id == caller.key_id() {
        return Err(Error::Conflict(
            "this is the key you are using: revoke it with another admin key".to_owned(),
        ));
    }
    let revoked = keys::revoke(&app.pool, &id).await;
    app.keyring.forget();
    app.secrets.forget();
    if !revoked? {
        return Err(Error::UnknownKey(id));
    }
    tracing::info!(key = id, "key revoked");
    app.audit.by(&caller, Event::KeyRevoked { id }).await?;
    Ok(StatusCode::NO_CONTENT)
}
