//! `soma secret login`: a person says to an authorization server that capsules may act for them, and
//! the host gets the refresh token.

use std::time::Duration;

use oauth2::basic::BasicClient;
use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken,
    DeviceAuthorizationUrl, EndpointMaybeSet, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, PkceCodeChallenge, RedirectUrl, Scope, StandardDeviceAuthorizationResponse,
    TokenResponse as _, TokenUrl,
};
use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use soma_capability::CredentialName;
use soma_registry::client::is_loopback;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::how::OauthClient;
use super::{Whose, keep, read_value};
use crate::client::http_client;
use crate::failure::Failure;
use crate::screen::{Screen, visible};

/// How long the person may take.
const PATIENCE: Duration = Duration::from_secs(10 * 60);
/// How long the issuer may take.
const ANSWER: Duration = Duration::from_secs(30);
/// Bytes of what the browser asks for.
const MOST_BYTES: u64 = 16 << 10;

/// Log in to a service, so that capsules may act for you there; the host keeps the refresh token
#[derive(clap::Args)]
#[command(after_help = "Examples:
  soma secret login drive --issuer https://accounts.example.com --client-id soma --scope files.read
  soma secret login drive --issuer https://accounts.example.com --client-id soma --device

A browser on this machine is asked for (authorization code with PKCE), or, with --device, a code is
shown that can be entered anywhere. The client must be registered with the redirect address
http://127.0.0.1/callback, at any port or that of --port.")]
pub(crate) struct Login {
    /// What manifests and grants call it
    name: CredentialName,

    /// The authorization server; its endpoints are looked up there (OpenID Connect Discovery)
    #[arg(long, value_name = "URL")]
    issuer: Url,

    #[command(flatten)]
    client: OauthClient,

    /// Read the client's secret from this file, where it has one
    #[arg(long, value_name = "FILE")]
    client_secret: Option<std::path::PathBuf>,

    /// Show a code to be entered on any device, for machines without a browser
    #[arg(long)]
    device: bool,

    /// The port that the browser comes back to [default: a free one]
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    port: u16,

    #[command(flatten)]
    whose: Whose,
}

/// Where things are done at an issuer.
#[derive(Deserialize)]
struct Endpoints {
    authorization_endpoint: AuthUrl,
    token_endpoint: TokenUrl,
    device_authorization_endpoint: Option<DeviceAuthorizationUrl>,
}

type Client =
    BasicClient<EndpointSet, EndpointMaybeSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

impl Login {
    pub(super) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let id = self.client.client_id.clone();
        let id = id.ok_or_else(|| Failure::usage("which client is it? --client-id ID says so"))?;
        let secret = self.client_secret.as_deref().map(read_value).transpose()?;
        let http = http_client(&self.issuer)?;
        let endpoints = discover(&http, &self.issuer).await?;
        let token_url = endpoints.token_endpoint.url().clone();
        let mut client = BasicClient::new(ClientId::new(id));
        if let Some(secret) = &secret {
            client = client.set_client_secret(ClientSecret::new(secret.expose_secret().to_owned()));
        }
        let client = client
            .set_auth_type(match self.client.client_auth.as_str() {
                "body" => AuthType::RequestBody,
                _ => AuthType::BasicAuth,
            })
            .set_auth_uri(endpoints.authorization_endpoint)
            .set_token_uri(endpoints.token_endpoint)
            .set_device_authorization_url_option(endpoints.device_authorization_endpoint);
        let refresh = if self.device {
            self.by_device(&client, &http, screen).await?
        } else {
            self.by_browser(client, &http, screen).await?
        };
        let value = match secret {
            Some(secret) => format!("{refresh}\n{}", secret.expose_secret()).into(),
            None => SecretString::from(refresh),
        };
        // A refresh is for what was granted, which may be less than what was asked.
        let client = OauthClient {
            scopes: Vec::new(),
            ..self.client
        };
        let kind = client.kind("oauth-refresh", &token_url);
        keep(&self.name, Some(kind), &value, &self.whose, screen).await
    }

    fn scopes(&self) -> impl Iterator<Item = Scope> {
        self.client.scopes.iter().cloned().map(Scope::new)
    }

    /// RFC 8628.
    async fn by_device(
        &self,
        client: &Client,
        http: &reqwest::Client,
        screen: Screen,
    ) -> Result<String, Failure> {
        let send = |request| send(http, request);
        let asked = client
            .exchange_device_code()
            .map_err(|_| Failure::failed("the issuer has no device flow: log in without --device"))?
            .add_scopes(self.scopes())
            .request_async(&send)
            .await;
        let device: StandardDeviceAuthorizationResponse = asked.map_err(refused)?;
        screen.aside(&format!(
            "open {} and enter {}",
            visible(device.verification_uri().as_str()),
            visible(device.user_code().secret())
        ));
        let token = client
            .exchange_device_access_token(&device)
            .request_async(&send, tokio::time::sleep, Some(PATIENCE))
            .await
            .map_err(refused)?;
        refresh_of(token.refresh_token())
    }

    /// RFC 6749 §4.1 with PKCE (RFC 7636), and a redirect to this machine (RFC 8252 §7.3).
    async fn by_browser(
        &self,
        client: Client,
        http: &reqwest::Client,
        screen: Screen,
    ) -> Result<String, Failure> {
        let listener = TcpListener::bind(("127.0.0.1", self.port))
            .await
            .map_err(|error| Failure::usage(format_args!("port {}: {error}", self.port)))?;
        let port = listener.local_addr().map_err(Failure::failed)?.port();
        let redirect = RedirectUrl::new(format!("http://127.0.0.1:{port}/callback"));
        let client = client.set_redirect_uri(redirect.map_err(Failure::failed)?);
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (url, state) = client
            .authorize_url(CsrfToken::new_random)
            .add_scopes(self.scopes())
            .set_pkce_challenge(challenge)
            .url();
        screen.aside(&format!("open {url}"));
        let came_back = tokio::time::timeout(PATIENCE, came_back(&listener, &state)).await;
        let code = came_back.map_err(|_| Failure::failed("nobody came back from the login"))??;
        let token = client
            .exchange_code(code)
            .set_pkce_verifier(verifier)
            .request_async(&|request| send(http, request))
            .await
            .map_err(refused)?;
        refresh_of(token.refresh_token())
    }
}

/// What a browser was sent back with.
#[derive(Default, Deserialize)]
#[serde(default)]
struct CameBack {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
}

/// Waits for the browser that comes back from this login; others are told to go away.
async fn came_back(
    listener: &TcpListener,
    state: &CsrfToken,
) -> Result<AuthorizationCode, Failure> {
    loop {
        let (stream, _) = listener.accept().await.map_err(Failure::failed)?;
        let Ok(Some((back, mut stream))) =
            tokio::time::timeout(Duration::from_secs(5), read_request(stream)).await
        else {
            continue;
        };
        if back.state.as_deref() != Some(state.secret()) {
            answer(
                &mut stream,
                "404 Not Found",
                "This is no login that was asked for.",
            )
            .await;
            continue;
        }
        return match back {
            CameBack {
                code: Some(code), ..
            } => {
                answer(
                    &mut stream,
                    "200 OK",
                    "You are logged in, and may close this page.",
                )
                .await;
                Ok(AuthorizationCode::new(code))
            }
            CameBack { error, .. } => {
                answer(
                    &mut stream,
                    "200 OK",
                    "You are not logged in, and may close this page.",
                )
                .await;
                let error = error.unwrap_or_else(|| "no code came back".to_owned());
                Err(Failure::failed(format_args!(
                    "the login failed: {}",
                    visible(&error)
                )))
            }
        };
    }
}

async fn read_request(stream: TcpStream) -> Option<(CameBack, TcpStream)> {
    let mut lines = BufReader::new(stream).take(MOST_BYTES);
    let mut first = String::new();
    lines.read_line(&mut first).await.ok()?;
    let target = first.strip_prefix("GET ")?.split(' ').next()?.to_owned();
    // All of it, so that nothing is unread when the connection is closed.
    let mut line = String::new();
    while lines.read_line(&mut line).await.ok()? > 2 {
        line.clear();
    }
    let url = Url::parse("http://127.0.0.1").ok()?.join(&target).ok()?;
    if url.path() != "/callback" {
        return None;
    }
    let mut back = CameBack::default();
    for (name, value) in url.query_pairs() {
        let value = Some(value.into_owned());
        match &*name {
            "code" => back.code = value,
            "state" => back.state = value,
            "error" => back.error = value,
            _ => {}
        }
    }
    Some((back, lines.into_inner().into_inner()))
}

/// The browser's page. A login does not fail because nobody looks at it.
async fn answer(stream: &mut TcpStream, status: &str, words: &str) {
    let length = words.len();
    let text = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{words}"
    );
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// What is said there nobody may read on the way.
fn check(url: &Url) -> Result<(), Failure> {
    if url.scheme() == "https" || url.scheme() == "http" && is_loopback(url) {
        return Ok(());
    }
    let place = url.origin().ascii_serialization();
    Err(Failure::usage(format_args!(
        "a login goes over https, or to this machine, and not to {place}"
    )))
}

async fn discover(http: &reqwest::Client, issuer: &Url) -> Result<Endpoints, Failure> {
    check(issuer)?;
    let base = issuer.as_str().trim_end_matches('/');
    let url = format!("{base}/.well-known/openid-configuration");
    let found = async {
        let answer = http
            .get(&url)
            .timeout(ANSWER)
            .send()
            .await?
            .error_for_status()?;
        answer.json().await
    };
    let found: Endpoints = found.await.map_err(|error: reqwest::Error| {
        Failure::failed(format_args!("{issuer} says nothing of itself: {error}"))
    })?;
    check(found.authorization_endpoint.url())?;
    check(found.token_endpoint.url())?;
    if let Some(device) = &found.device_authorization_endpoint {
        check(device.url())?;
    }
    Ok(found)
}

async fn send(http: &reqwest::Client, request: HttpRequest) -> reqwest::Result<HttpResponse> {
    let mut request = reqwest::Request::try_from(request)?;
    *request.timeout_mut() = Some(ANSWER);
    let answer = http.execute(request).await?;
    let mut response = HttpResponse::new(Vec::new());
    *response.status_mut() = answer.status();
    *response.body_mut() = answer.bytes().await?.to_vec();
    Ok(response)
}

fn refresh_of(token: Option<&oauth2::RefreshToken>) -> Result<String, Failure> {
    let none = || {
        Failure::failed("the login gave no refresh token")
            .hint("most issuers give one where it is asked for, with `--scope offline_access`")
    };
    Ok(token.ok_or_else(none)?.secret().clone())
}

/// The issuer's words, or what kept it from having any.
fn refused<E: oauth2::ErrorResponse + std::fmt::Display + 'static>(
    error: oauth2::RequestTokenError<reqwest::Error, E>,
) -> Failure {
    use oauth2::RequestTokenError::{Other, Parse, Request, ServerResponse};
    let why = match error {
        ServerResponse(refusal) => refusal.to_string(),
        Request(error) => error.without_url().to_string(),
        Parse(error, _) => error.to_string(),
        Other(why) => why,
    };
    Failure::failed(format_args!("the issuer says no: {}", visible(&why)))
}
