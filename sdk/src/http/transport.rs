//! Where a request leaves: to the host, or natively to what the test scripted.

use super::Parts;
use super::{Error, Response};

#[cfg(target_family = "wasm")]
pub(super) fn send(parts: Parts) -> Result<Response, Error> {
    use crate::bindings::soma::capsule::http as wit;
    let response = wit::send(&wit::Request {
        method: parts.method,
        url: parts.url,
        headers: parts.headers.into(),
        body: parts.body,
        timeout_ms: parts.timeout_ms,
    })?;
    Ok(Response {
        url: String::new(),
        status: response.status,
        headers: response.headers.into(),
        body: response.body,
    })
}

#[cfg(not(target_family = "wasm"))]
pub(super) fn send(parts: Parts) -> Result<Response, Error> {
    let reply = crate::testing::exchange(parts)?;
    Ok(Response {
        url: String::new(),
        status: reply.status,
        headers: reply.headers,
        body: reply.chunks.concat(),
    })
}
