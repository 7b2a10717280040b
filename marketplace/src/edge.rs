//! What holds for every request, whatever it asks.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::HeaderValue;
use http::header::X_CONTENT_TYPE_OPTIONS;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::app::AppState;

/// Gives the request an id, which is in its log lines and in its answer, and counts the answer.
pub(crate) async fn edge(State(app): State<AppState>, request: Request, next: Next) -> Response {
    let id = Uuid::now_v7().to_string();
    let span = tracing::error_span!("request", id, method = %request.method(), path = request.uri().path());
    let mut response = match app.rate.count(&request) {
        Ok(()) => next.run(request).instrument(span).await,
        Err(error) => span.in_scope(|| error.into_response()),
    };
    let status = response.status();
    app.metrics
        .responses
        .with_label_values(&[status.as_str()])
        .inc();
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert("soma-request", id);
    }
    response
}
