//! One exchange with Vault: within a time and a size, with nobody in between.

use std::fs;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use http::{HeaderValue, Method, StatusCode};
use reqwest::Certificate;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;

use super::super::given::VaultSettings;
use super::super::{ALONE, KeeperError};
use super::lease::Term;

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of an answer.
const MOST_BYTES: usize = 64 << 10;
const FORM: KeeperError = KeeperError::Answer("it is not the JSON that its API has");

pub(super) struct Client {
    http: reqwest::Client,
    addr: Url,
    namespace: Option<HeaderValue>,
    /// Since when, and why, it cannot be asked: those who come next need not wait for the same.
    away: Mutex<Option<(Instant, KeeperError)>>,
}

/// What is asked, below `/v1`.
pub(super) struct Question<'a> {
    method: Method,
    path: Vec<&'a str>,
    body: Option<Zeroizing<String>>,
}

/// The body of an answer, which is wiped with this.
pub(super) struct Answer(Zeroizing<Vec<u8>>);

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    auth: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    errors: Vec<String>,
}

impl<'a> Question<'a> {
    pub(super) fn new(method: Method, path: Vec<&'a str>) -> Self {
        let body = None;
        Self { method, path, body }
    }

    /// With this JSON.
    pub(super) fn with(mut self, body: impl Into<Zeroizing<String>>) -> Self {
        self.body = Some(body.into());
        self
    }
}

impl Client {
    pub(super) fn new(settings: &VaultSettings) -> anyhow::Result<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut http = reqwest::Client::builder()
            // The token goes to Vault, and nowhere else.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .timeout(PATIENCE)
            .user_agent(concat!("soma/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = &settings.ca {
            let read = || anyhow::Ok(Certificate::from_pem_bundle(&fs::read(path)?)?);
            let ca = read().with_context(|| format!("the certificates in {}", path.display()))?;
            http = http.tls_certs_only(ca);
        }
        let namespace = settings.namespace.as_deref();
        let namespace = namespace.map(HeaderValue::from_str).transpose();
        Ok(Self {
            http: http.build()?,
            addr: settings.addr.clone(),
            namespace: namespace.context("the namespace in Vault")?,
            away: Mutex::new(None),
        })
    }

    /// What it says to a question. Nothing that anybody must not know is in an error.
    pub(super) async fn ask(
        &self,
        question: &Question<'_>,
        token: Option<&SecretString>,
    ) -> Result<Answer, KeeperError> {
        if let Some(error) = self.is_away() {
            return Err(error);
        }
        let (status, body) = match self.exchange(question, token).await {
            Ok((StatusCode::SERVICE_UNAVAILABLE, _)) => return Err(self.went(KeeperError::Sealed)),
            Ok(answer) => answer,
            Err(error @ KeeperError::Away(_)) => return Err(self.went(error)),
            Err(error) => return Err(error),
        };
        if status.is_success() {
            return Ok(Answer(body));
        }
        let words = serde_json::from_slice(&body).map(|said: Refusal| said.errors.join("; "));
        let words = words.unwrap_or_default();
        let token = token.map(secrecy::ExposeSecret::expose_secret);
        if token.is_some_and(|token| words.contains(token)) {
            let words = "in words that have the token in them".to_owned();
            return Err(KeeperError::Refused(status.as_u16(), words));
        }
        let short = words.chars().take(200).flat_map(char::escape_debug);
        Err(KeeperError::Refused(status.as_u16(), short.collect()))
    }

    async fn exchange(
        &self,
        question: &Question<'_>,
        token: Option<&SecretString>,
    ) -> Result<(StatusCode, Zeroizing<Vec<u8>>), KeeperError> {
        let mut url = self.addr.clone();
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop_if_empty().push("v1").extend(&question.path);
        }
        let mut request = self.http.request(question.method.clone(), url);
        request = request.header("x-vault-request", "true");
        if let Some(namespace) = &self.namespace {
            request = request.header("x-vault-namespace", namespace);
        }
        if let Some(token) = token {
            let value = HeaderValue::from_str(token.expose_secret());
            let mut value = value.map_err(|_| {
                KeeperError::Unfit("the token for Vault".to_owned(), "fits no field")
            })?;
            value.set_sensitive(true);
            request = request.header("x-vault-token", value);
        }
        if let Some(body) = &question.body {
            request = request.header("content-type", "application/json");
            request = request.body(String::clone(body));
        }
        let mut answer = request.send().await.map_err(unsent)?;
        let status = answer.status();
        // It does not grow: nothing of it is left behind unwiped.
        let mut body = Zeroizing::new(Vec::with_capacity(MOST_BYTES));
        while let Some(piece) = answer.chunk().await.map_err(unsent)? {
            if body.len() + piece.len() > MOST_BYTES {
                return Err(KeeperError::Answer("it has more than 64 KiB"));
            }
            body.extend_from_slice(&piece);
        }
        Ok((status, body))
    }

    fn is_away(&self) -> Option<KeeperError> {
        let away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, error) = away.as_ref()?;
        (since.elapsed() < ALONE).then(|| error.clone())
    }

    fn went(&self, error: KeeperError) -> KeeperError {
        let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        *away = Some((Instant::now(), error.clone()));
        error
    }
}

impl Answer {
    /// What it has as `data`.
    pub(super) fn data<'a, T: Deserialize<'a>>(&'a self) -> Result<T, KeeperError> {
        let envelope: Envelope<'a> = self.parse()?;
        let data = envelope.data.ok_or(FORM)?;
        serde_json::from_str(data.get()).map_err(|_| FORM)
    }

    /// What it has as `auth`.
    pub(super) fn auth<'a, T: Deserialize<'a>>(&'a self) -> Result<T, KeeperError> {
        let envelope: Envelope<'a> = self.parse()?;
        let auth = envelope.auth.ok_or(FORM)?;
        serde_json::from_str(auth.get()).map_err(|_| FORM)
    }

    /// How long it is good for.
    pub(super) fn lease(&self) -> Result<Term, KeeperError> {
        self.parse()
    }

    fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, KeeperError> {
        serde_json::from_slice(&self.0).map_err(|_| FORM)
    }
}

/// Why, without the address, which the operator knows.
fn unsent(error: reqwest::Error) -> KeeperError {
    let error = error.without_url();
    if error.is_timeout() {
        return KeeperError::Away(format!("no answer within {} s", PATIENCE.as_secs()));
    }
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    KeeperError::Away(cause.to_string())
}
