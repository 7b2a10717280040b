//! Requests to one repository, with what the registry wants to see of us.

use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Method, Request, RequestBuilder, Response, StatusCode, Url};
use secrecy::ExposeSecret as _;
use soma_capability::Digest;

use super::challenge::{Challenge, Token};
use super::credentials::Credentials;
use super::error::RegistryError;
use super::reference::{Reference, is_loopback};
use super::{INDEX_TYPE, MANIFEST_TYPE, MAX_DOCUMENT_BYTES, body};

/// A registry answers with one redirect to its storage, or none.
const MAX_REDIRECTS: usize = 5;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two pieces of an answer.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// For the largest capsule on a slow line.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15 * 60);
const MAX_TOKEN_BYTES: usize = 64 << 10;

/// What is to be done, in a token's words.
#[derive(Clone, Copy, Debug)]
pub(super) enum Access {
    Pull,
    Push,
}

/// A conversation with one registry about one repository.
pub(super) struct Session<'a> {
    http: Client,
    reference: &'a Reference,
    /// Of the repository, with a slash at its end.
    base: Url,
    access: Access,
    credentials: Option<&'a Credentials>,
    authorization: Option<HeaderValue>,
}

impl<'a> Session<'a> {
    pub(super) fn open(
        reference: &'a Reference,
        access: Access,
        credentials: Option<&'a Credentials>,
    ) -> Result<Self, RegistryError> {
        let http = client(reference.is_loopback()).map_err(RegistryError::Client)?;
        let base = format!("{}/v2/{}/", reference.origin(), reference.repository());
        let base = Url::parse(&base).map_err(|error| RegistryError::Malformed {
            what: reference.to_string(),
            problem: error.to_string(),
        })?;
        Ok(Self {
            http,
            reference,
            base,
            access,
            credentials,
            authorization: None,
        })
    }

    /// An address below the repository's, such as `manifests/1.0.0`.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// A new request.
    pub(super) fn request(&self, method: Method, url: impl reqwest::IntoUrl) -> RequestBuilder {
        self.http.request(method, url)
    }

    /// How errors name something of this repository.
    pub(super) fn what(&self, thing: impl std::fmt::Display) -> String {
        let (host, repository) = (self.reference.host(), self.reference.repository());
        format!("{thing} of oci://{host}/{repository}")
    }

    /// A manifest or an index, by tag or digest.
    pub(super) async fn manifest(&mut self, selector: &str) -> Result<Vec<u8>, RegistryError> {
        let what = self.what(format_args!("the manifest `{selector}`"));
        let url = self.url(&format!("manifests/{selector}"));
        self.document(&url, &what).await
    }

    /// A document at any address of the registry.
    pub(super) async fn document(
        &mut self,
        url: &str,
        what: &str,
    ) -> Result<Vec<u8>, RegistryError> {
        let request = self
            .request(Method::GET, url)
            .header(ACCEPT, format!("{MANIFEST_TYPE}, {INDEX_TYPE}"));
        let response = self.send(request, what, &[StatusCode::OK]).await?;
        body::read(response, MAX_DOCUMENT_BYTES, &self.reference.host(), what).await
    }

    /// Sends, identifies itself where it is asked to, and takes no other answer than these.
    pub(super) async fn send(
        &mut self,
        request: RequestBuilder,
        what: &str,
        expected: &[StatusCode],
    ) -> Result<Response, RegistryError> {
        let request = request.build().map_err(RegistryError::Client)?;
        let again = request.try_clone();
        let mut response = self.attempt(request).await?;
        if let (StatusCode::UNAUTHORIZED, Some(again)) = (response.status(), again) {
            self.identify(&response).await?;
            response = self.attempt(again).await?;
        }
        if expected.contains(&response.status()) {
            return Ok(response);
        }
        Err(self.refusal(response, what).await)
    }

    async fn attempt(&self, mut request: Request) -> Result<Response, RegistryError> {
        // An upload may go on at another host, which our credentials are no business of.
        let ours = request.url().origin() == self.base.origin();
        if let (true, Some(authorization)) = (ours, &self.authorization) {
            let headers = request.headers_mut();
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        let response = self.http.execute(request).await;
        response.map_err(|source| self.unreachable(source))
    }

    async fn refusal(&self, response: Response, what: &str) -> RegistryError {
        let (status, host) = (response.status(), self.reference.host());
        let message = body::message(response, &host).await;
        let what = what.to_owned();
        match status {
            StatusCode::NOT_FOUND => RegistryError::NotFound { what },
            StatusCode::UNAUTHORIZED => RegistryError::Unauthorized {
                host,
                problem: format!("{what}: {status}{message}"),
            },
            _ => RegistryError::Refused {
                what,
                status,
                message,
            },
        }
    }

    /// Gets what a 401 asks for.
    async fn identify(&mut self, response: &Response) -> Result<(), RegistryError> {
        let value = match Challenge::read(response.headers()) {
            Some(Challenge::Basic) => {
                let credentials = self.credentials;
                let wanted = "it wants a user and a password, and none are known for it";
                let credentials = credentials.ok_or_else(|| self.unauthorized(wanted))?;
                basic(credentials)
            }
            Some(Challenge::Bearer { realm, service }) => self.token(realm, service).await?,
            None => return Err(self.unauthorized("it does not say what it wants")),
        };
        let mut value = HeaderValue::try_from(value)
            .map_err(|_| self.unauthorized("its token is not fit for a header"))?;
        value.set_sensitive(true);
        self.authorization = Some(value);
        Ok(())
    }

    async fn token(
        &self,
        mut realm: Url,
        service: Option<String>,
    ) -> Result<String, RegistryError> {
        let loopback = self.reference.is_loopback();
        if !is_allowed(&realm, loopback) {
            return Err(self.unauthorized("its token service does not speak TLS"));
        }
        let repository = self.reference.repository();
        let actions = match self.access {
            Access::Pull => "pull",
            Access::Push => "pull,push",
        };
        let scope = format!("repository:{repository}:{actions}");
        realm.query_pairs_mut().append_pair("scope", &scope);
        if let Some(service) = service {
            realm.query_pairs_mut().append_pair("service", &service);
        }
        let mut request = self.http.get(realm);
        if let Some(credentials) = self.credentials {
            request = request.header(AUTHORIZATION, basic(credentials));
        }
        let response = request.send().await;
        let response = response.map_err(|source| self.unreachable(source))?;
        if !response.status().is_success() {
            let status = response.status();
            return Err(self.unauthorized(&format!("its token service answered {status}")));
        }
        let host = self.reference.host();
        let bytes = body::read(response, MAX_TOKEN_BYTES, &host, "the token").await?;
        let token = serde_json::from_slice::<Token>(&bytes).ok();
        let token = token.and_then(Token::into_text);
        let token = token.ok_or_else(|| self.unauthorized("its token service gave no token"))?;
        Ok(format!("Bearer {token}"))
    }

    /// Whether requests may go there at all.
    pub(super) fn may_go_to(&self, url: &Url) -> bool {
        is_allowed(url, self.reference.is_loopback())
    }

    pub(super) fn host(&self) -> String {
        self.reference.host()
    }

    fn unreachable(&self, source: reqwest::Error) -> RegistryError {
        let host = self.reference.host();
        RegistryError::Unreachable { host, source }
    }

    fn unauthorized(&self, problem: &str) -> RegistryError {
        RegistryError::Unauthorized {
            host: self.reference.host(),
            problem: problem.to_owned(),
        }
    }
}

/// Content of this digest, or the error that says it is not.
pub(super) fn checked(
    bytes: Vec<u8>,
    expected: Digest,
    what: &str,
) -> Result<Vec<u8>, RegistryError> {
    let found = Digest::of(&bytes);
    if found == expected {
        return Ok(bytes);
    }
    Err(RegistryError::DigestMismatch {
        what: what.to_owned(),
        expected,
        found,
    })
}

fn basic(credentials: &Credentials) -> String {
    use base64::Engine as _;
    let Credentials { user, password } = credentials;
    let pair = format!("{user}:{}", password.expose_secret());
    format!("Basic {}", base64::prelude::BASE64_STANDARD.encode(pair))
}

fn client(loopback: bool) -> reqwest::Result<Client> {
    // Whoever was first wins, and it is the same provider everywhere in this project.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .timeout(REQUEST_TIMEOUT)
        .redirect(Policy::custom(move |attempt| redirect(attempt, loopback)))
        .user_agent(concat!("soma/", env!("CARGO_PKG_VERSION")));
    // A proxy can reach this machine's loopback least of all.
    let client = if loopback { client.no_proxy() } else { client };
    client.build()
}

/// Registries send us to their storage. `reqwest` takes the credentials off on the way to another
/// host.
fn redirect(attempt: Attempt<'_>, loopback: bool) -> reqwest::redirect::Action {
    if attempt.previous().len() > MAX_REDIRECTS {
        attempt.error("it redirects too often")
    } else if is_allowed(attempt.url(), loopback) {
        attempt.follow()
    } else {
        attempt.error("it redirects to an address without TLS")
    }
}

fn is_allowed(url: &Url, loopback: bool) -> bool {
    match url.scheme() {
        "https" => true,
        "http" => loopback && url.host().is_some_and(|host| is_loopback(&host)),
        _ => false,
    }
}
