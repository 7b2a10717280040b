//! `soma:capsule/http`, and the one hook through which every request of every guest goes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION,
    TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{Method, Response};
use http_body_util::BodyExt as _;
use soma_capability::{Limits, Origin};
use tokio::time::Instant;
use url::Url;

use super::body::MeteredBody;
use crate::bindings::soma::capsule::http as wit;
use crate::meter::Traffic;
use crate::network::Network;
use crate::state::InvocationState;

/// Fields that belong to the connection, or say where the request goes: the host's alone.
const HOST_FIELDS: [HeaderName; 10] = [
    CONNECTION,
    HOST,
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// More than any call takes, and little enough to be added to the time of day.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// A request as a guest asked for it.
pub(crate) struct GuestRequest {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: reqwest::Body,
    pub(crate) timeout: Option<Duration>,
}

/// Why a guest's request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SendError {
    #[error("{0}")]
    Denied(String),
    #[error("{0}")]
    InvalidRequest(String),
    #[error("{0}")]
    Connect(String),
    #[error("{0}")]
    Tls(String),
    #[error("the exchange took too long")]
    Timeout,
    #[error("the body has more than {0} bytes")]
    TooLarge(u64),
    #[error("{0}")]
    Protocol(String),
}

/// Where policy is applied and bytes are counted. Cheap to clone: exchanges that run beside the
/// guest take one along.
#[derive(Clone)]
pub(crate) struct SendHook {
    network: Network,
    traffic: Arc<Traffic>,
    max_time: Duration,
    max_body: u64,
}

impl SendHook {
    pub(crate) fn new(network: Network, limits: &Limits, traffic: Arc<Traffic>) -> Self {
        Self {
            network,
            traffic,
            max_time: Duration::from_millis(limits.time_ms).min(LONGEST),
            max_body: limits.response_bytes,
        }
    }

    /// Sends one request: what was matched against the grant is exactly what goes out. The
    /// response's body is metered too, and both end at the same deadline.
    pub(crate) async fn send(
        &self,
        request: GuestRequest,
    ) -> Result<Response<MeteredBody>, SendError> {
        let url = Url::parse(&request.url).map_err(|error| invalid(format!("URL: {error}")))?;
        let method = guest_method(&request.method)?;
        if let Some(name) = request
            .headers
            .keys()
            .find(|name| HOST_FIELDS.contains(name))
        {
            return Err(invalid(format!(
                "the host sets the field `{name}`, a guest cannot"
            )));
        }
        let client = self.permit(&url)?;

        let deadline = Instant::now()
            + request
                .timeout
                .map_or(self.max_time, |t| t.min(self.max_time));
        Traffic::add(&self.traffic.requests, 1);
        let body = MeteredBody::sent(request.body, self.traffic.clone(), deadline);
        let answer = client
            .request(method, url)
            .headers(request.headers)
            .body(reqwest::Body::wrap(body))
            .send();
        let response = tokio::time::timeout_at(deadline, answer)
            .await
            .map_err(|_| SendError::Timeout)?
            .map_err(SendError::from)?;
        Ok(Response::from(response)
            .map(|body| MeteredBody::received(body, self.traffic.clone(), self.max_body, deadline)))
    }

    fn permit(&self, url: &Url) -> Result<&reqwest::Client, SendError> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("a URL with a user or password in it is not sent"));
        }
        let origin =
            Origin::of(url).ok_or_else(|| invalid("only http and https are spoken here"))?;
        self.network.client_for(&origin).ok_or_else(|| {
            // For the operator: what would allow it. The guest, and so the model, learns only
            // what was missing.
            tracing::warn!(target: "denied", %origin, "a request was denied; `--allow-http {origin}` would allow it");
            SendError::Denied(format!("no grant covers {origin}"))
        })
    }
}

fn guest_method(text: &str) -> Result<Method, SendError> {
    match Method::from_bytes(text.as_bytes()) {
        Ok(Method::CONNECT | Method::TRACE) => {
            Err(invalid(format!("{text} is not sent for guests")))
        }
        Ok(method) => Ok(method),
        Err(_) => Err(invalid("the method is not a token")),
    }
}

pub(crate) fn invalid(why: impl Into<String>) -> SendError {
    SendError::InvalidRequest(why.into())
}

impl From<reqwest::Error> for SendError {
    fn from(error: reqwest::Error) -> Self {
        let mut cause: &(dyn std::error::Error + 'static) = &error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        if let Some(own) = cause.downcast_ref::<Self>() {
            return own.clone();
        }
        let text = cause.to_string();
        if cause.is::<rustls::Error>() {
            return Self::Tls(text);
        }
        if error.is_timeout() {
            return Self::Timeout;
        }
        if error.is_connect() {
            return Self::Connect(text);
        }
        if error.is_builder() {
            return Self::InvalidRequest(text);
        }
        Self::Protocol(text)
    }
}

impl wit::Host for InvocationState {
    async fn send(
        &mut self,
        request: wit::Request,
    ) -> wasmtime::Result<Result<wit::Response, wit::Error>> {
        Ok(exchange(&self.hook, request)
            .await
            .map_err(wit::Error::from))
    }
}

async fn exchange(hook: &SendHook, request: wit::Request) -> Result<wit::Response, SendError> {
    let request = GuestRequest {
        method: request.method,
        url: request.url,
        headers: headers_in(&request.headers)?,
        body: request.body.into(),
        timeout: timeout(request.timeout_ms),
    };
    let (parts, body) = hook.send(request).await?.into_parts();
    let body: Bytes = body.collect().await?.to_bytes();
    Ok(wit::Response {
        status: parts.status.as_u16(),
        headers: headers_out(&parts.headers),
        body: body.into(),
    })
}

pub(crate) fn timeout(ms: Option<u32>) -> Option<Duration> {
    ms.map(|ms| Duration::from_millis(ms.into()))
}

/// A guest's fields. Refuses what HTTP cannot carry, line breaks first of all.
pub(crate) fn headers_in(headers: &[wit::Header]) -> Result<HeaderMap, SendError> {
    let mut map = HeaderMap::with_capacity(headers.len());
    for wit::Header { name, value } in headers {
        let field = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| invalid(format!("{name:?} is not a field name")))?;
        let value = HeaderValue::from_bytes(value.as_bytes())
            .map_err(|_| invalid(format!("the value of the field `{field}` cannot be sent")))?;
        map.append(field, value);
    }
    Ok(map)
}

/// A response's fields. Bytes that are not UTF-8 become the characters of the same number.
pub(crate) fn headers_out(headers: &HeaderMap) -> Vec<wit::Header> {
    let text = |value: &HeaderValue| match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => text.to_owned(),
        Err(_) => value
            .as_bytes()
            .iter()
            .map(|&byte| char::from(byte))
            .collect(),
    };
    headers
        .iter()
        .map(|(name, value)| wit::Header {
            name: name.to_string(),
            value: text(value),
        })
        .collect()
}

impl From<SendError> for wit::Error {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Denied(why) => Self::Denied(why),
            SendError::InvalidRequest(why) => Self::InvalidRequest(why),
            SendError::Connect(why) => Self::Connect(why),
            SendError::Tls(why) => Self::Tls(why),
            SendError::Timeout => Self::Timeout,
            SendError::TooLarge(limit) => Self::TooLarge(limit),
            SendError::Protocol(why) => Self::Protocol(why),
        }
    }
}
