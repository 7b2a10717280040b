//! What every request meets and every answer leaves with: an id, the check of names, a net under
//! panics, and problems written out.

use std::any::Any;
use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures::FutureExt as _;
use http::header::CONNECTION;
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri, Version};
use http_body::Body as _;
use uuid::Uuid;

use crate::app::AppState;
use crate::error::Error;
use crate::key::{PREFIX, is_id};
use crate::names;
use crate::problem::Kind;
use crate::unread::{self, Unread};

/// Names one request, in the answer, the log and the traces.
#[derive(Clone, Copy)]
pub(crate) struct InvocationId(pub(crate) Uuid);

/// What may be answered before the body is read. The connection then ends with the answer, and
/// says so: a client that used it again would find it closing.
const BODY_UNREAD: [StatusCode; 8] = [
    StatusCode::UNAUTHORIZED,
    StatusCode::FORBIDDEN,
    StatusCode::NOT_FOUND,
    StatusCode::METHOD_NOT_ALLOWED,
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    StatusCode::MISDIRECTED_REQUEST,
    StatusCode::SERVICE_UNAVAILABLE,
];

const HEADER: HeaderName = HeaderName::from_static("soma-invocation");

/// Probes come by whatever name the prober has for this machine, and tell nobody anything.
const ANY_NAME: [&str; 2] = ["/healthz", "/readyz"];

pub(crate) async fn edge(
    State(app): State<AppState>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = Uuid::now_v7();
    let has_body = request.version() < Version::HTTP_2 && !request.body().is_end_stream();
    request.extensions_mut().insert(InvocationId(id));
    let (request, unread) = lent(request);
    let asked = (request.method().clone(), request.uri().clone());
    let named = if ANY_NAME.contains(&request.uri().path()) {
        Ok(())
    } else {
        names::check(&app.live().settings, request.uri(), request.headers())
    };
    let response = match named {
        Err(error) => error.into_response(),
        Ok(()) => AssertUnwindSafe(next.run(request))
            .catch_unwind()
            .await
            .unwrap_or_else(|panic| Error::Panicked(words(&*panic)).into_response()),
    };
    if is_of_the_database(&response) {
        app.metrics.database_failed();
    }
    let mut response = written(response, id, &asked);
    app.metrics.response(response.status());
    if has_body && BODY_UNREAD.contains(&response.status()) {
        if let Some(unread) = unread {
            unread.drain().await;
        }
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    // That of the first one, with an answer that was given before.
    let first = response.extensions().get::<InvocationId>();
    let id = first.map_or(id, |InvocationId(first)| *first);
    let text = id.hyphenated().to_string();
    if let Ok(value) = HeaderValue::try_from(text) {
        response.headers_mut().insert(HEADER, value);
    }
    response
}

fn lent(request: Request) -> (Request, Option<Unread>) {
    let (parts, body) = request.into_parts();
    let (body, unread) = unread::lend(body);
    (Request::from_parts(parts, body), unread)
}

fn is_of_the_database(response: &Response) -> bool {
    let mut error = response.extensions().get::<Arc<Error>>();
    // Several requests may have waited for one look-up.
    while let Some(Error::Shared(shared)) = error.map(|error| &**error) {
        error = Some(shared);
    }
    error.is_some_and(|error| matches!(**error, Error::Database(_)))
}

/// Puts the problem into an answer that is one, and logs it: here and only here.
fn written(mut response: Response, id: Uuid, (method, uri): &(Method, Uri)) -> Response {
    let Some(error) = response.extensions_mut().remove::<Arc<Error>>() else {
        return response;
    };
    let problem = error.problem();
    let path = without_secrets(uri.path());
    let (path, code) = (&*path, problem.kind.code());
    match &*error {
        _ if matches!(problem.kind, Kind::Internal | Kind::NotReady) => {
            tracing::error!(invocation = %id, %method, path, code, %error, "the host failed");
        }
        // It ran, and has its line.
        Error::Call { .. } => {}
        _ => tracing::info!(invocation = %id, %method, path, code, "refused"),
    }
    let mut answer = problem.render(id);
    // Such as `Allow`, which the router adds.
    for (name, value) in response.headers() {
        answer
            .headers_mut()
            .entry(name)
            .or_insert_with(|| value.clone());
    }
    answer
}

/// The path without the secret of any key in it, which somebody took for its id.
fn without_secrets(path: &str) -> Cow<'_, str> {
    if !path.contains(PREFIX) {
        return path.into();
    }
    let segments = path.split('/').map(|segment| {
        let mut prefixes = segment.match_indices(PREFIX);
        let id_end = prefixes.find_map(|(at, prefix)| {
            let (id, _) = segment[at + prefix.len()..].split_once('_')?;
            is_id(id).then_some(at + prefix.len() + id.len())
        });
        match id_end {
            Some(end) => Cow::Owned(format!("{}_…", &segment[..end])),
            None => Cow::Borrowed(segment),
        }
    });
    Cow::Owned(segments.collect::<Vec<_>>().join("/"))
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no words").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_logged_without_the_secret_of_a_key() {
        let (id, secret) = ("3f9a0c1d2e4b5a69", "ab".repeat(32));
        let keys = "/v1/admin/keys";
        for (path, logged) in [
            (
                format!("{keys}/soma_{id}_{secret}/rotate"),
                format!("{keys}/soma_{id}_…/rotate"),
            ),
            (
                format!("{keys}/soma_soma_{id}_{secret}"),
                format!("{keys}/soma_soma_{id}_…"),
            ),
            (format!("{keys}/{id}"), format!("{keys}/{id}")),
            (
                "/v1/capsules/acme/soma_tools_x".to_owned(),
                "/v1/capsules/acme/soma_tools_x".to_owned(),
            ),
        ] {
            assert_eq!(without_secrets(&path), logged);
        }
    }
}
