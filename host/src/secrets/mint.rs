//! Exchanging credentials for tokens, at the servers that issue them.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use oauth2::basic::{BasicClient, BasicErrorResponse, BasicTokenResponse};
use oauth2::{
    AsyncHttpClient, AuthType, ClientId, ClientSecret, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, RefreshToken, RequestTokenError, Scope, TokenResponse as _, TokenUrl,
};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::kind::{ClientAuth, Exchange, GoogleServiceAccount, OauthClient, check_url};

/// How long an issuer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of its answer.
const MOST_BYTES: usize = 64 << 10;
/// What is said of an answer that is not what it should be, and that may have a token in it.
const FORM: &str = "it is no JSON of a token";
/// What a token lasts whose issuer does not say.
const UNSAID: Duration = Duration::from_secs(5 * 60);
/// What an assertion is good for: as long as Google allows.
const ASSERTION: SignedDuration = SignedDuration::from_hours(1);

/// A token, and what it came with.
pub(super) struct Token {
    pub(super) value: SecretString,
    pub(super) ends: Timestamp,
    /// What is to be exchanged the next time, where that is another than this time.
    pub(super) next: Option<SecretString>,
}

/// Why there is no token. No part of it is secret.
#[derive(Debug, thiserror::Error)]
pub(super) enum MintError {
    #[error("the value is not the key of a service account: {0}")]
    Key(&'static str),
    #[error("{0}")]
    Url(String),
    #[error("the issuer cannot be asked: {0}")]
    Send(String),
    #[error("the issuer says no: {0}")]
    Refused(String),
    #[error("the issuer's answer is none: {0}")]
    Answer(&'static str),
}

impl MintError {
    /// Without what an issuer may have repeated of the value.
    fn without(self, value: &SecretString) -> Self {
        match self {
            Self::Refused(words) if value.expose_secret().lines().any(|it| words.contains(it)) => {
                Self::Refused("in words that have the credential in them".to_owned())
            }
            error => error,
        }
    }
}

/// Asks issuers.
pub(super) struct Mint(reqwest::Client);

impl Mint {
    pub(super) fn new() -> anyhow::Result<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            // A credential goes to whom it is meant for, and nowhere else.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(PATIENCE)
            .user_agent(concat!("soma/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self(client))
    }

    pub(super) async fn exchange(
        &self,
        how: &Exchange,
        value: &SecretString,
    ) -> Result<Token, MintError> {
        let token = match how {
            Exchange::OauthClient(client) => self.by_client(client, value).await,
            Exchange::OauthRefresh(client) => self.by_refresh(client, value).await,
            Exchange::GoogleServiceAccount(account) => self.by_assertion(account, value).await,
        };
        token.map_err(|error| error.without(value))
    }

    async fn by_client(
        &self,
        client: &OauthClient,
        secret: &SecretString,
    ) -> Result<Token, MintError> {
        let secret = Some(secret.expose_secret());
        let asker = asker(client, secret);
        let asked = asker
            .exchange_client_credentials()
            .add_scopes(scopes(client))
            .request_async(self)
            .await;
        // Some issuers give a refresh token here too, which is nothing to a client that has a secret.
        let token = Token::of(asked, None)?;
        Ok(Token {
            next: None,
            ..token
        })
    }

    async fn by_refresh(
        &self,
        client: &OauthClient,
        value: &SecretString,
    ) -> Result<Token, MintError> {
        let (refresh, secret) = match value.expose_secret().split_once('\n') {
            Some((refresh, secret)) => (refresh.trim_end(), Some(secret.trim())),
            None => (value.expose_secret(), None),
        };
        let asker = asker(client, secret);
        let asked = asker
            .exchange_refresh_token(&RefreshToken::new(refresh.to_owned()))
            .add_scopes(scopes(client))
            .request_async(self)
            .await;
        Token::of(asked, secret)
    }

    async fn by_assertion(
        &self,
        account: &GoogleServiceAccount,
        key: &SecretString,
    ) -> Result<Token, MintError> {
        let key = ServiceAccountKey::read(key)?;
        check_url(&key.token_uri).map_err(MintError::Url)?;
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", &key.assertion(&account.scopes)?),
        ];
        let sent = self.0.post(key.token_uri.clone()).form(&form).build();
        let sent = sent.map_err(unsent)?;
        let (status, body) = self.ask(sent).await?;
        if !status.is_success() {
            let silent = || MintError::Refused("without a reason".to_owned());
            let refusal = serde_json::from_slice(&body).ok();
            return Err(refusal.as_ref().map_or_else(silent, refused));
        }
        let answer: BasicTokenResponse =
            serde_json::from_slice(&body).map_err(|_| MintError::Answer(FORM))?;
        Ok(Token::from(&answer))
    }

    async fn ask(
        &self,
        request: reqwest::Request,
    ) -> Result<(http::StatusCode, Vec<u8>), MintError> {
        let mut answer = self.0.execute(request).await.map_err(unsent)?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(unsent)? {
            body.extend_from_slice(&piece);
            if body.len() > MOST_BYTES {
                return Err(MintError::Answer("it has more than 64 KiB"));
            }
        }
        Ok((status, body))
    }
}

impl<'c> AsyncHttpClient<'c> for Mint {
    type Error = MintError;
    type Future = BoxFuture<'c, Result<HttpResponse, MintError>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async {
            let request = reqwest::Request::try_from(request).map_err(unsent)?;
            let (status, body) = self.ask(request).await?;
            let mut answer = HttpResponse::new(body);
            *answer.status_mut() = status;
            Ok(answer)
        })
    }
}

type Asker =
    BasicClient<EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

fn asker(client: &OauthClient, secret: Option<&str>) -> Asker {
    let mut asker = BasicClient::new(ClientId::new(client.client_id.clone()));
    if let Some(secret) = secret {
        asker = asker.set_client_secret(ClientSecret::new(secret.to_owned()));
    }
    asker
        .set_auth_type(match client.client_auth {
            ClientAuth::Basic => AuthType::BasicAuth,
            ClientAuth::Body => AuthType::RequestBody,
        })
        .set_token_uri(TokenUrl::from_url(client.token_url.clone()))
}

fn scopes(client: &OauthClient) -> impl Iterator<Item = Scope> {
    client.scopes.iter().cloned().map(Scope::new)
}

impl Token {
    /// With what is to be exchanged the next time, `secret` on its second line.
    fn of(
        asked: Result<BasicTokenResponse, TokenError>,
        secret: Option<&str>,
    ) -> Result<Self, MintError> {
        let answer = asked.map_err(|error| match error {
            RequestTokenError::ServerResponse(refusal) => refused(&refusal),
            RequestTokenError::Request(error) => error,
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => MintError::Answer(FORM),
        })?;
        let next = answer
            .refresh_token()
            .filter(|next| !next.secret().is_empty());
        let next = next.map(|next| match secret {
            Some(secret) => format!("{}\n{secret}", next.secret()).into(),
            None => next.secret().clone().into(),
        });
        Ok(Self {
            next,
            ..Self::from(&answer)
        })
    }
}

type TokenError = RequestTokenError<MintError, BasicErrorResponse>;

impl From<&BasicTokenResponse> for Token {
    fn from(answer: &BasicTokenResponse) -> Self {
        let lasts = answer.expires_in().unwrap_or(UNSAID);
        let lasts = SignedDuration::try_from(lasts).unwrap_or(SignedDuration::from_hours(24));
        Self {
            value: answer.access_token().secret().clone().into(),
            ends: Timestamp::now()
                .saturating_add(lasts)
                .unwrap_or(Timestamp::MAX),
            next: None,
        }
    }
}

/// The JSON that Google gives for a service account, as far as it is used.
#[derive(Deserialize)]
struct ServiceAccountKey {
    client_email: String,
    private_key: SecretString,
    #[serde(default)]
    private_key_id: Option<String>,
    token_uri: Url,
}

impl ServiceAccountKey {
    fn read(value: &SecretString) -> Result<Self, MintError> {
        let form = "JSON with client_email, private_key and token_uri";
        serde_json::from_str(value.expose_secret()).map_err(|_| MintError::Key(form))
    }

    /// A signed word of the account's that it asks for these scopes (RFC 7519, RS256).
    fn assertion(&self, scopes: &[String]) -> Result<String, MintError> {
        let pem = self.private_key.expose_secret().as_bytes();
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem)
            .map_err(|_| MintError::Key("its private_key is no PKCS #8 in PEM"))?;
        let pair = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der())
            .map_err(|_| MintError::Key("its private_key is no RSA key of 2048 bits or more"))?;
        let now = Timestamp::now();
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": self.private_key_id});
        let claims = json!({
            "iss": self.client_email,
            "scope": scopes.join(" "),
            "aud": self.token_uri,
            "iat": now.as_second(),
            "exp": now.as_second() + ASSERTION.as_secs(),
        });
        let part = |json: serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
        let text = format!("{}.{}", part(header), part(claims));
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            text.as_bytes(),
            &mut signature,
        )
        .map_err(|_| MintError::Key("its private_key signs nothing"))?;
        Ok(format!(
            "{text}.{}",
            BASE64_URL_SAFE_NO_PAD.encode(signature)
        ))
    }
}

/// In the issuer's words, as far as they can be shown.
fn refused(refusal: &BasicErrorResponse) -> MintError {
    let short = |text: &str| {
        let short = text.chars().take(200).flat_map(char::escape_debug);
        short.collect::<String>()
    };
    let code = short(refusal.error().as_ref());
    MintError::Refused(match refusal.error_description() {
        Some(description) => format!("{code}: {}", short(description)),
        None => code,
    })
}

/// What it was sent to may have a secret in its query.
fn unsent(error: reqwest::Error) -> MintError {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    MintError::Send(cause.to_string())
}
