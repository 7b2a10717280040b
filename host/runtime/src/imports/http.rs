//! `soma:capsule/http`, and the one hook through which every request of every guest goes.

mod whole;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Response};
use http_body_util::BodyExt as _;
use soma_capability::{Limits, Operation};
use tokio::time::Instant;
use url::Url;

use super::body::MeteredBody;
use super::fields::{headers_in, headers_out, refuse_credentials, refuse_host_fields, take_length};
use super::in_flight::InFlight;
use crate::bindings::soma::capsule::http as wit;
use crate::credential::Credential;
use crate::effects::{Done, Effects};
use crate::log::GuestLog;
use crate::mask::Masking;
use crate::network::{Attempt, Denial, Network, Refusal, Rule};
use crate::state::InvocationState;
use crate::traffic::Traffic;

/// Bytes of a URL. RFC 9110 §4.1 asks for 8,000 at least; servers seldom take 16 KiB.
const MOST_URL_BYTES: usize = 16 << 10;

/// More than any call takes, and little enough to be added to the time of day.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// A request as a guest asked for it.
pub(crate) struct GuestRequest {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: reqwest::Body,
    pub(crate) timeouts: Timeouts,
}

/// How long a guest will wait. The host's own bound on the whole exchange holds besides.
#[derive(Default)]
pub(crate) struct Timeouts {
    /// For the whole exchange.
    pub(crate) exchange: Option<Duration>,
    /// For the response's head.
    pub(crate) head: Option<Duration>,
    /// For each further piece of the response's body.
    pub(crate) piece: Option<Duration>,
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
    effects: Effects,
    traffic: Arc<Traffic>,
    log: Arc<GuestLog>,
    masking: Masking,
    in_flight: InFlight,
    /// Bodies that are signed or looked at whole. A share apart: their pieces count in the other one
    /// while they are collected.
    whole: InFlight,
    max_time: Duration,
    max_body: u64,
}

impl SendHook {
    pub(crate) fn new(
        network: Network,
        effects: Effects,
        limits: &Limits,
        traffic: Arc<Traffic>,
        log: Arc<GuestLog>,
        masking: Masking,
    ) -> Self {
        Self {
            network,
            effects,
            traffic,
            log,
            masking,
            in_flight: InFlight::new(),
            whole: InFlight::new(),
            max_time: Duration::from_millis(limits.time_ms).min(LONGEST),
            max_body: limits.response_bytes,
        }
    }

    /// The call's share of body bytes on their way.
    pub(crate) fn in_flight(&self) -> InFlight {
        self.in_flight.clone()
    }

    /// Sends one request, and tells whoever records what calls do what became of it.
    pub(crate) async fn send(
        &self,
        request: GuestRequest,
    ) -> Result<Response<MeteredBody>, SendError> {
        // Before anything is shortened: half a credential is none that could be found.
        let masked = |text: &str| self.masking.text(text).into_owned();
        let (method, url) = (masked(&request.method), masked(&request.url));
        let mut operations = Vec::new();
        let answer = self.decide_and_send(request, &mut operations).await;
        self.traffic.ended(&answer);
        if self.network.is_watched() && !matches!(answer, Err(SendError::InvalidRequest(_))) {
            let is_allowed = !matches!(answer, Err(SendError::Denied(_)));
            let is_plain = |it: &Operation| masked(&it.to_string()) == it.to_string();
            if !operations.iter().all(is_plain) {
                operations.clear();
            }
            self.network.watch(&method, &url, operations, is_allowed);
        }
        let outcome = match &answer {
            Ok(response) => Ok(Done::Answered(response.status().as_u16())),
            Err(error) => Err(masked(&error.to_string())),
        };
        self.effects.tell(&method, &url, outcome);
        answer
    }

    /// What was matched against the grant is exactly what goes out. The response's body is metered
    /// too, and both end at the same deadline. Whoever looks is told the `operations`.
    async fn decide_and_send(
        &self,
        mut request: GuestRequest,
        operations: &mut Vec<Operation>,
    ) -> Result<Response<MeteredBody>, SendError> {
        let mut url = guest_url(&request.url)?;
        let method = guest_method(&request.method)?;
        let mut headers = std::mem::take(&mut request.headers);
        refuse_host_fields(&headers)?;
        let length = take_length(&mut headers)?;
        let timeouts = std::mem::take(&mut request.timeouts);
        let now = Instant::now();
        let within = |time: Option<Duration>| {
            now + time.map_or(self.max_time, |time| time.min(self.max_time))
        };
        let deadline = within(timeouts.exchange);
        let body = &mut request.body;
        let allowed = self
            .allow(&method, &mut url, &headers, body, deadline)
            .await;
        *operations = self.operations(&method, &url, &headers, body);
        let (rule, clients, attempt) = allowed?;
        let client = clients.of(&rule);
        let client = client.map_err(|denial| self.denied(&denial))?;
        if let Rule::Granted(_, credential) = rule {
            refuse_credentials(&headers, &url, credential)?;
            if let Some(credential) = credential {
                if credential.signs_whole() {
                    self.whole(&mut request.body, deadline).await?;
                }
                let body = request.body.as_bytes();
                let applied = credential.apply(&method, &mut url, &mut headers, body);
                applied.map_err(|why| invalid(format!("it cannot be signed: {why}")))?;
            }
        }
        self.effects.announce().await?;

        let body = MeteredBody::sent(request.body, length, self.traffic.clone(), deadline)?;
        self.traffic.request();
        let answer = client
            .request(method, url.clone())
            .headers(headers)
            .body(reqwest::Body::wrap(body))
            .send();
        let answer = tokio::time::timeout_at(deadline.min(within(timeouts.head)), answer)
            .await
            .map_err(|_| SendError::Timeout)?;
        let response = match answer {
            Ok(response) => {
                attempt.answered();
                response
            }
            Err(error) => return Err(self.failed(error, attempt)),
        };
        let peer = self.network.admits_peer(&url, response.remote_addr());
        peer.map_err(|denial| self.denied(&denial))?;
        let mut response = Response::from(response);
        self.masking.fields(response.headers_mut());
        Ok(response.map(|body| {
            MeteredBody::received(body, self.traffic.clone(), self.max_body, deadline)
                .at_most_between_pieces(timeouts.piece)
                .masked(self.masking.stream())
        }))
    }

    /// The credential that a link to this is signed with, where it is allowed. The URL becomes what was
    /// matched.
    pub(super) fn permit_link(
        &self,
        method: &Method,
        url: &mut Url,
    ) -> Result<&Credential, SendError> {
        let credential = self.network.permit_link(method, url);
        let credential = credential.map_err(|refusal| self.refused(refusal))?;
        refuse_credentials(&HeaderMap::new(), url, Some(credential))?;
        Ok(credential)
    }

    /// Goes on where an effect may be had.
    pub(super) async fn announce(&self) -> Result<(), SendError> {
        self.effects.announce().await
    }

    /// Tells whoever records what calls do of a link that was made, or was not.
    pub(super) fn tell_link(
        &self,
        method: &str,
        url: &str,
        seconds: u32,
        made: Result<(), &SendError>,
    ) {
        let made = made.map_err(|error| self.masking.text(&error.to_string()).into_owned());
        let (method, url) = (self.masking.text(method), self.masking.text(url));
        self.effects
            .tell(&method, &url, made.map(|()| Done::Linked(seconds)));
    }

    fn refused(&self, refusal: Refusal) -> SendError {
        match refusal {
            Refusal::Malformed(why) => invalid(why),
            Refusal::Down(down) => SendError::Connect(down.to_string()),
            Refusal::Denied(denial) => self.denied(&denial),
        }
    }

    /// Where a name leads is found out on the way, and whether anybody is there.
    fn failed(&self, error: reqwest::Error, attempt: Attempt<'_>) -> SendError {
        if let Some(denial) = innermost(&error).downcast_ref::<Denial>() {
            return self.denied(denial);
        }
        if error.is_connect() {
            attempt.failed();
        }
        error.into()
    }

    /// For the operator: what would allow it. The guest, and so the model, learns only what was
    /// missing.
    fn denied(&self, denial: &Denial) -> SendError {
        let missing = denial.to_string();
        self.log.denied(&missing, &denial.remedy());
        SendError::Denied(missing)
    }
}

pub(super) fn guest_url(text: &str) -> Result<Url, SendError> {
    if text.len() > MOST_URL_BYTES {
        return Err(invalid(format!("a URL has at most {MOST_URL_BYTES} bytes")));
    }
    Url::parse(text).map_err(|error| invalid(format!("URL: {error}")))
}

pub(super) fn guest_method(text: &str) -> Result<Method, SendError> {
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

fn innermost(error: &reqwest::Error) -> &(dyn std::error::Error + 'static) {
    let mut cause: &(dyn std::error::Error + 'static) = error;
    loop {
        // What an I/O error is made of is not its source; that has its own.
        let made_of = cause
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        match made_of.map(|inner| inner as _).or_else(|| cause.source()) {
            Some(inner) => cause = inner,
            None => return cause,
        }
    }
}

impl From<reqwest::Error> for SendError {
    fn from(error: reqwest::Error) -> Self {
        // A credential may be in its query.
        let error = error.without_url();
        let cause = innermost(&error);
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
        timeouts: timeouts(request.timeout_ms),
    };
    let (parts, body) = hook.send(request).await?.into_parts();
    let body: Bytes = body.collect().await?.to_bytes();
    Ok(wit::Response {
        status: parts.status.as_u16(),
        headers: headers_out(&parts.headers),
        body: body.into(),
    })
}

/// The one bound that `soma:capsule` has.
pub(crate) fn timeouts(ms: Option<u32>) -> Timeouts {
    Timeouts {
        exchange: ms.map(|ms| Duration::from_millis(ms.into())),
        ..Timeouts::default()
    }
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
