//! Tenants, for administrators.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::{App, AppState};
use crate::audit::{Entry, Event};
use crate::auth::{Admin, Caller};
use crate::body::Document;
use crate::db;
use crate::db::tenants::{self, Tenant};
use crate::error::Error;
use crate::path::NamePath;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTenant {
    name: String,
}

pub(crate) async fn list(State(app): State<AppState>, _: Admin) -> Result<Json<Value>, Error> {
    let tenants = tenants::list(&app.pool).await?;
    Ok(Json(json!({ "tenants": tenants })))
}

pub(crate) async fn create(
    State(app): State<AppState>,
    Admin(caller): Admin,
    Document(NewTenant { name }): Document<NewTenant>,
) -> Result<(StatusCode, Json<Tenant>), Error> {
    if !is_tenant_name(&name) {
        return Err(Error::BadRequest(
            "a tenant's name is 1 to 64 characters of a-z, 0-9 and `-`, and begins with a letter"
                .to_owned(),
        ));
    }
    match tenants::insert(&app.pool, &name).await {
        Ok(tenant) => {
            tracing::info!(tenant = name, "tenant created");
            let event = Event::TenantCreated { of: name };
            app.audit.by(&caller, event).await?;
            Ok((StatusCode::CREATED, Json(tenant)))
        }
        Err(error) if db::is_duplicate(&error) => Err(Error::Conflict(format!(
            "there is a tenant `{name}` already"
        ))),
        Err(error) => Err(error.into()),
    }
}

pub(crate) async fn suspend(
    State(app): State<AppState>,
    Admin(caller): Admin,
    NamePath(name): NamePath,
) -> Result<Json<Tenant>, Error> {
    not_own(&caller, &name)?;
    let tenant = set_suspended(&app, name, true).await?;
    let of = tenant.name.clone();
    app.audit.by(&caller, Event::TenantSuspended { of }).await?;
    Ok(Json(tenant))
}

pub(crate) async fn resume(
    State(app): State<AppState>,
    Admin(caller): Admin,
    NamePath(name): NamePath,
) -> Result<Json<Tenant>, Error> {
    let tenant = set_suspended(&app, name, false).await?;
    let of = tenant.name.clone();
    app.audit.by(&caller, Event::TenantResumed { of }).await?;
    Ok(Json(tenant))
}

async fn set_suspended(app: &App, name: String, suspended: bool) -> Result<Tenant, Error> {
    let tenant = tenants::set_suspended(&app.pool, &name, suspended).await?;
    let tenant = tenant.ok_or_else(|| Error::UnknownTenant(name.clone()))?;
    app.keyring.forget();
    tracing::info!(tenant = name, suspended, "tenant changed");
    Ok(tenant)
}

/// Deletes a tenant with its keys and capsules, and what is recorded of it.
pub(crate) async fn delete(
    State(app): State<AppState>,
    Admin(caller): Admin,
    NamePath(name): NamePath,
) -> Result<StatusCode, Error> {
    not_own(&caller, &name)?;
    let Some(tenant) = tenants::by_name(&app.pool, &name).await? else {
        return Err(Error::UnknownTenant(name));
    };
    // A host that ends before the records are erased leaves the note to the next.
    app.audit.erasing.begin(&name)?;
    let delete = tenants::delete(&app.pool, &name);
    let deleted = app.catalog.delete_tenant(&tenant.id, delete).await;
    app.keyring.forget();
    if !deleted? {
        return Err(Error::UnknownTenant(name));
    }
    let by_caller = |event| Entry::by(&caller, event);
    app.audit.forget_tenant(&name, by_caller).await?;
    tracing::info!(tenant = name, "tenant deleted");
    Ok(StatusCode::NO_CONTENT)
}

/// An administrator who locked out their own key could not undo it.
fn not_own(caller: &Caller, name: &str) -> Result<(), Error> {
    if caller.tenant() != name {
        return Ok(());
    }
    Err(Error::Conflict(format!(
        "your own key belongs to `{name}`: use an admin key of another tenant"
    )))
}

/// Whether a tenant can be called so; the database is not asked for others.
pub(super) fn is_tenant_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}
