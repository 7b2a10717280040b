//! The whole API on one screen.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post};
use http::Uri;

use crate::app::AppState;
use crate::edge::edge;
use crate::error::Error;
use crate::routes::{
    changes, health, invitations, log, login, namespaces, oci, operator, packages, publish, tokens,
};

pub(crate) fn router(app: AppState) -> Router {
    Router::new()
        .route("/v1", get(health::about))
        .route("/v1/login/challenge", post(login::challenge))
        .route("/v1/login", post(login::login))
        .route("/v1/tokens", get(tokens::list).post(tokens::create))
        .route("/v1/tokens/{id}", delete(tokens::revoke))
        .route("/v1/publish", post(publish::publish))
        .route("/v1/changes", post(changes::submit))
        .route(
            "/v1/invitations",
            get(invitations::list).post(invitations::create),
        )
        .route("/v1/invitations/{id}", delete(invitations::withdraw))
        .route("/v1/namespaces/{namespace}", get(namespaces::get))
        .route("/v1/packages", get(packages::search))
        .route("/v1/packages/{namespace}/{name}", get(packages::get))
        .route(
            "/v1/packages/{namespace}/{name}/{version}",
            get(packages::release),
        )
        .route(
            "/v1/packages/{namespace}/{name}/{version}/capsule",
            get(packages::capsule),
        )
        .route(
            "/v1/packages/{namespace}/{name}/{version}/bundle",
            get(packages::bundle),
        )
        .route("/v1/operator/reviews", get(operator::reviews))
        .route("/v1/operator/reviews/{id}/approve", post(operator::approve))
        .route("/v1/operator/reviews/{id}/refuse", post(operator::refuse))
        .route("/v1/operator/changes", post(operator::change))
        .route("/log/checkpoint", get(log::checkpoint))
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
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
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
