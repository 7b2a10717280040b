//! What a tenant's capsule is granted, for administrators.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State, rejection::QueryRejection};
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use soma_capability::{Capabilities, CapsuleName, CredentialName, Grant};
use soma_runtime::check_authorities;

use crate::app::{App, AppState};
use crate::audit::Event;
use crate::auth::{Admin, Caller};
use crate::body::{Document, said};
use crate::catalog::Installed;
use crate::db::grants::{self, Granted, New, Replaces};
use crate::db::storable;
use crate::db::tenants::Tenant;
use crate::error::Error;
use crate::path::CapsulePath;

use super::keys::{check_end, find_tenant};

/// Whose capsule it is: without a tenant, the caller's own.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Of {
    pub(super) tenant: Option<String>,
}

/// What is to be granted, in place of what was.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    grant: Grant,
    #[serde(default)]
    expires_at: Option<Timestamp>,
    /// The revision that is there, null where none is, for a change of what was read; without it
    /// whatever is there is replaced.
    #[serde(default, deserialize_with = "said")]
    replaces: Option<Option<String>>,
}

/// A capsule's wishes, and what it got.
#[derive(Serialize)]
pub(crate) struct Standing<'a> {
    capsule: &'a CapsuleName,
    asked: &'a Capabilities,
    /// None where nothing is granted that holds now.
    granted: Option<&'a Granted>,
    /// When what is there ended, where that is why it does not hold.
    expired_at: Option<Timestamp>,
    /// Of what is there, even where it does not hold: for [`Wanted::replaces`].
    revision: Option<&'a str>,
}

/// What holds from now on.
#[derive(Serialize)]
pub(crate) struct Put {
    #[serde(flatten)]
    granted: Granted,
    /// Credentials that it names and of which there is no value: what needs one is denied.
    unset_credentials: BTreeSet<CredentialName>,
}

/// A tenant and an installed capsule of its.
pub(super) struct Target {
    pub(super) tenant: Tenant,
    pub(super) installed: Arc<Installed>,
}

pub(super) type OfQuery = Result<Query<Of>, QueryRejection>;

pub(crate) async fn get(
    State(app): State<AppState>,
    Admin(caller): Admin,
    CapsulePath(capsule): CapsulePath,
    query: OfQuery,
) -> Result<Json<serde_json::Value>, Error> {
    let target = find(&app, &caller, &capsule, query).await?;
    let there = grants::get(&app.pool, &target.tenant.id, &capsule).await?;
    let there = there.as_ref();
    let granted = there.filter(|it| it.holds(target.installed.row.log()));
    Ok(Json(serde_json::json!(Standing {
        capsule: &capsule,
        asked: &target.installed.about.manifest.capabilities,
        granted,
        expired_at: match granted {
            Some(_) => None,
            None => there.and_then(Granted::expired_at),
        },
        revision: there.map(|it| it.revision.as_str()),
    })))
}

pub(crate) async fn put(
    State(app): State<AppState>,
    Admin(caller): Admin,
    CapsulePath(capsule): CapsulePath,
    query: OfQuery,
    Document(wanted): Document<Wanted>,
) -> Result<Json<Put>, Error> {
    check_end(wanted.expires_at)?;
    for authorities in wanted.grant.http.iter().filter_map(|it| it.ca.as_ref()) {
        check_authorities(authorities).map_err(Error::BadRequest)?;
    }
    let target = find(&app, &caller, &capsule, query).await?;
    let unset_credentials = app.secrets.unset(&target.tenant.id, &wanted.grant).await?;
    let new = New {
        log: target.installed.row.log(),
        grant: &wanted.grant,
        by: caller.key_id(),
        expires_at: wanted.expires_at.map(storable),
        replaces: match &wanted.replaces {
            None => Replaces::Anything,
            Some(None) => Replaces::Nothing,
            Some(Some(revision)) => Replaces::Revision(revision),
        },
    };
    let granted = grants::put(&app.pool, &target.tenant.id, &capsule, &new).await;
    app.grants.forget();
    let granted = granted?.ok_or_else(|| {
        Error::Conflict(format!(
            "what is granted to `{capsule}` was changed meanwhile: look at it again"
        ))
    })?;
    let http = granted.grant.http.iter().map(ToString::to_string);
    let http = http.collect::<Vec<_>>().join("; ");
    tracing::warn!(%capsule, key = caller.key_id(), http, "granted");
    let event = Event::Grant {
        capsule,
        of: target.tenant.name,
        grant: granted.grant.clone(),
        expires_at: granted.expires_at,
    };
    app.audit.by(&caller, event).await?;
    Ok(Json(Put {
        granted,
        unset_credentials,
    }))
}

pub(crate) async fn revoke(
    State(app): State<AppState>,
    Admin(caller): Admin,
    CapsulePath(capsule): CapsulePath,
    query: OfQuery,
) -> Result<StatusCode, Error> {
    let tenant = tenant(&app, &caller, query).await?;
    let deleted = grants::delete(&app.pool, &tenant.id, &capsule).await;
    app.grants.forget();
    if !deleted? {
        return Err(Error::UnknownGrant(capsule));
    }
    tracing::warn!(%capsule, tenant = tenant.name, key = caller.key_id(), "grant revoked");
    let of = tenant.name;
    let event = Event::GrantRevoked { capsule, of };
    app.audit.by(&caller, event).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn find(
    app: &App,
    caller: &Caller,
    capsule: &CapsuleName,
    query: OfQuery,
) -> Result<Target, Error> {
    let tenant = tenant(app, caller, query).await?;
    let installed = app.catalog.find(&tenant.id, capsule).await?;
    Ok(Target { tenant, installed })
}

/// The tenant that is meant.
pub(super) async fn tenant(app: &App, caller: &Caller, query: OfQuery) -> Result<Tenant, Error> {
    let Query(Of { tenant }) = query?;
    let name = tenant.as_deref().unwrap_or(caller.tenant());
    find_tenant(app, name).await
}
