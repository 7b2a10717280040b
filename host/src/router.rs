//! The whole API on one screen.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::routing::{delete, get, post, put};
use tracing::Instrument as _;

use crate::app::AppState;
use crate::edge::edge;
use crate::error::Error;
use crate::finished::Finished;
use crate::routes::{
    audit, budgets, calls, capsules, grants, health, installs, keys, learned, logs, pins, receipts,
    secrets, stores, tenants, updates, usage,
};

pub(crate) fn router(app: AppState) -> Router {
    Router::new()
        .route("/v1/capsules", get(capsules::list).post(installs::install))
        .route(
            "/v1/capsules/{namespace}/{name}",
            get(capsules::get).delete(installs::uninstall),
        )
        .route(
            "/v1/capsules/{namespace}/{name}/tools/{tool}",
            post(calls::call),
        )
        .route("/v1/tools", get(capsules::tools))
        .route("/v1/outdated", get(logs::outdated))
        .route("/v1/usage", get(usage::get))
        .route("/v1/invocations/{id}/receipt", get(receipts::get))
        .merge(administration())
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .fallback(async || Error::NoSuchPath)
        .method_not_allowed_fallback(async || Error::MethodNotAllowed)
        // Each handler bounds what it reads.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(app.clone(), edge))
        .with_state(app)
}

/// What is asked here is finished, and recorded, whether or not whoever asked waits for the answer.
fn administration() -> Router<AppState> {
    Router::new()
        .route(
            "/v1/admin/tenants",
            get(tenants::list).post(tenants::create),
        )
        .route("/v1/admin/tenants/{name}", delete(tenants::delete))
        .route("/v1/admin/tenants/{name}/suspend", post(tenants::suspend))
        .route("/v1/admin/tenants/{name}/resume", post(tenants::resume))
        .route("/v1/admin/keys", get(keys::list).post(keys::create))
        .route(
            "/v1/admin/keys/{id}",
            delete(keys::revoke).patch(keys::change),
        )
        .route("/v1/admin/keys/{id}/rotate", post(keys::rotate))
        .route(
            "/v1/admin/grants/{namespace}/{name}",
            get(grants::get).put(grants::put).delete(grants::revoke),
        )
        .route(
            "/v1/admin/grants/{namespace}/{name}/learned",
            get(learned::get).put(learned::start).delete(learned::stop),
        )
        .route(
            "/v1/admin/stores/{namespace}/{name}",
            get(stores::get).delete(stores::clear),
        )
        .route(
            "/v1/admin/budgets",
            get(budgets::list).put(budgets::set).delete(budgets::remove),
        )
        .route("/v1/admin/budgets/history", get(budgets::history))
        .route("/v1/admin/updates", get(updates::list))
        .route("/v1/admin/updates/{namespace}/{name}", get(updates::get))
        .route(
            "/v1/admin/updates/{namespace}/{name}/approve",
            post(updates::approve),
        )
        .route(
            "/v1/admin/updates/{namespace}/{name}/rollback",
            post(updates::roll_back),
        )
        .route("/v1/admin/secrets", get(secrets::list))
        .route(
            "/v1/admin/secrets/{name}",
            put(secrets::set).delete(secrets::remove),
        )
        .route("/v1/admin/pins", get(pins::list))
        .route("/v1/admin/pins/{name}", delete(pins::remove))
        .route("/v1/admin/logs", get(logs::list))
        .route("/v1/admin/audit", get(audit::query))
        .route("/v1/admin/audit/checkpoint", get(audit::checkpoint))
        .route("/v1/admin/audit/lines", get(audit::lines))
        .route_layer(from_fn(async |request: Request, next: Next| {
            Finished::new(next.run(request).in_current_span()).await
        }))
}
