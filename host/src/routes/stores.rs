//! What a tenant's capsule keeps from call to call, for administrators: how much, and never what.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use soma_capability::{CapsuleName, KvCapability};

use super::grants::{OfQuery, find};
use crate::app::AppState;
use crate::audit::Event;
use crate::auth::Admin;
use crate::db::stores::{self, Contents};
use crate::error::Error;
use crate::path::CapsulePath;
use crate::policy;
use crate::stores::owner;

/// How full a capsule's store is.
#[derive(Serialize)]
pub(crate) struct Store {
    capsule: CapsuleName,
    /// In force: of what is asked and what is granted the smaller; none where one of them is not
    /// there.
    quota_bytes: Option<u64>,
    used_bytes: u64,
    entries: u64,
}

pub(crate) async fn get(
    State(app): State<AppState>,
    Admin(caller): Admin,
    CapsulePath(capsule): CapsulePath,
    query: OfQuery,
) -> Result<Json<Store>, Error> {
    let target = find(&app, &caller, &capsule, query).await?;
    let (tenant, installed) = (&target.tenant.id, &target.installed);
    let granted = app.grants.of(tenant, installed).await?;
    let asked = &installed.about.manifest.capabilities;
    let quota = granted.and_then(|granted| policy::quota(&granted.grant, asked));
    let Contents {
        used_bytes,
        entries,
    } = stores::contents(&app.pool, &owner(tenant, installed)).await?;
    Ok(Json(Store {
        capsule,
        quota_bytes: quota.map(KvCapability::quota_bytes),
        used_bytes,
        entries,
    }))
}

pub(crate) async fn clear(
    State(app): State<AppState>,
    Admin(caller): Admin,
    CapsulePath(capsule): CapsulePath,
    query: OfQuery,
) -> Result<StatusCode, Error> {
    let target = find(&app, &caller, &capsule, query).await?;
    stores::clear(&app.pool, &owner(&target.tenant.id, &target.installed)).await?;
    let of = target.tenant.name;
    tracing::warn!(%capsule, tenant = of, key = caller.key_id(), "store cleared");
    app.audit
        .by(&caller, Event::StoreCleared { capsule, of })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
