//! The whole API on one screen.

use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::Uri;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::AppState;
use crate::edge::edge;
use crate::error::Error;
use crate::openapi::Api;
use crate::routes::{
    changes, health, invitations, log, login, namespaces, oci, operator, packages, publish, tokens,
};

pub(crate) fn router(app: AppState) -> Router {
    let (router, document) = OpenApiRouter::with_openapi(Api::openapi())
        .routes(routes!(health::about))
        .routes(routes!(login::challenge))
        .routes(routes!(login::login))
        .routes(routes!(tokens::account))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::revoke))
        .routes(routes!(publish::publish))
        .routes(routes!(changes::submit))
        .routes(routes!(invitations::list, invitations::create))
        .routes(routes!(invitations::get, invitations::withdraw))
        .routes(routes!(namespaces::get))
        .routes(routes!(packages::search))
        .routes(routes!(packages::get))
        .routes(routes!(packages::release))
        .routes(routes!(packages::capsule))
        .routes(routes!(packages::bundle))
        .routes(routes!(operator::reviews))
        .routes(routes!(operator::capsule))
        .routes(routes!(operator::approve))
        .routes(routes!(operator::refuse))
        .routes(routes!(operator::change))
        .routes(routes!(log::checkpoint))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(health::metrics))
        .split_for_parts();
    router
        .route("/v1/openapi.json", get(async || Json(document)))
        .route("/log/tile/{*path}", get(log::resource))
        .route("/v2/", get(oci::base).fallback(oci::unsupported))
        .route(
            "/v2/{namespace}/{name}/manifests/{reference}",
            get(oci::manifest).fallback(oci::unsupported),
        )
        .route(
            "/v2/{namespace}/{name}/blobs/{digest}",
            get(oci::blob).fallback(oci::unsupported),
        )
        .route(
            "/v2/{namespace}/{name}/tags/list",
            get(oci::tags).fallback(oci::unsupported),
        )
        .route(
            "/v2/{namespace}/{name}/referrers/{digest}",
            get(oci::referrers).fallback(oci::unsupported),
        )
        .fallback(nowhere)
        .method_not_allowed_fallback(async || Error::MethodNotAllowed)
        // Each handler bounds what it reads.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(app.clone(), edge))
        .with_state(app)
}

/// Each kind of client is told in its own way.
async fn nowhere(uri: Uri) -> Response {
    if uri.path().starts_with("/v2/") {
        return oci::unknown_path().into_response();
    }
    Error::NotFound("such path: docs/marketplace-api.md lists them".to_owned()).into_response()
}
