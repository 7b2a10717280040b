//! What holds for every request, whatever it asks.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::HeaderValue;
use http::header::{CONTENT_ENCODING, X_CONTENT_TYPE_OPTIONS};
use tracing::Instrument as _;
use uuid::Uuid;

use crate::app::AppState;
use crate::error::Error;

/// Gives the request an id, which is in its log lines and in its answer, and counts the answer.
pub(crate) async fn edge(State(app): State<AppState>, request: Request, next: Next) -> Response {
    let id = Uuid::now_v7().to_string();
    let span = tracing::error_span!("request", id, method = %request.method(), path = request.uri().path());
    let admitted = app
        .rate
        .count(&request)
        .and_then(|()| uncompressed(&request));
    let mut response = match admitted {
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

/// Nothing is unpacked here: a little that is sent must not become much.
fn uncompressed(request: &Request) -> Result<(), Error> {
    match request.headers().get(CONTENT_ENCODING) {
        Some(encoding) if encoding != "identity" => Err(Error::Encoded),
        _ => Ok(()),
    }
}
