//! The host's own token for Vault: from a file or by AppRole, renewed before it ends, and replaced
//! where it has ended.

use std::path::Path;
use std::time::{Duration, Instant};

use http::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::super::files::read_file;
use super::super::given::Identity;
use super::super::{ALONE, KeeperError};
use super::client::{Client, Question};
use super::lease::{Span, Term};

/// How often at least it is looked after a token, and whether its file has another one.
const SELDOM: Duration = Duration::from_secs(5);
/// How long nobody logs in again by himself where that failed.
const AGAIN: Duration = Duration::from_secs(30);
/// How often at most it is looked after a token.
const OFTEN: Duration = Duration::from_secs(1);

pub(super) struct Login {
    identity: Identity,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    /// Tokens that there have been.
    generations: u64,
    /// Since when, and why, Vault lets nobody in.
    refused: Option<(Instant, KeeperError)>,
}

/// Vault's token for the host.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) value: SecretString,
    /// Another one for another token.
    pub(super) generation: u64,
    since: Instant,
    /// At first; none where it has no end.
    lasts: Option<Duration>,
    renewable: bool,
    span: Option<Span>,
}

/// A token that was not there before.
struct Found {
    value: SecretString,
    /// 0 is for ever.
    seconds: u64,
    renewable: bool,
}

/// What Vault says of a token that is shown to it.
#[derive(Deserialize)]
struct Shown {
    /// Seconds; 0 is for ever.
    ttl: u64,
    #[serde(default)]
    renewable: bool,
}

/// What a login gives.
#[derive(Deserialize)]
struct Given {
    client_token: SecretString,
    /// Seconds; 0 is for ever.
    lease_duration: u64,
    #[serde(default)]
    renewable: bool,
}

#[derive(Serialize)]
struct AppRole<'a> {
    role_id: &'a str,
    secret_id: &'a str,
}

impl Login {
    pub(super) fn new(identity: Identity) -> Self {
        let state = Mutex::default();
        Self { identity, state }
    }

    /// One that is good for a while.
    pub(super) async fn token(&self, client: &Client) -> Result<Token, KeeperError> {
        let mut state = self.state.lock().await;
        let is_same = match (&self.identity, &state.token) {
            (Identity::Token(file), Some(token)) => {
                in_file(file).await?.expose_secret() == token.value.expose_secret()
            }
            _ => true,
        };
        let token = state.token.clone();
        let Some(token) = token.filter(|token| is_same && token.is_alive()) else {
            return self.log_in(&mut state, client).await;
        };
        if token.span.is_none_or(|span| Instant::now() < span.due) {
            return Ok(token);
        }
        self.prolonged(&mut state, client, token).await
    }

    /// Another one than that of this generation, where it is not what it was; none where it is good,
    /// so that what was refused is not for it.
    pub(super) async fn another(
        &self,
        client: &Client,
        generation: u64,
    ) -> Result<Option<Token>, KeeperError> {
        let mut state = self.state.lock().await;
        let Some(token) = state.token.clone() else {
            return self.log_in(&mut state, client).await.map(Some);
        };
        if token.generation != generation {
            return Ok(Some(token));
        }
        let is_ended = matches!(
            look_up(client, &token.value).await,
            Err(KeeperError::Refused(..))
        );
        match &self.identity {
            Identity::AppRole { .. } if is_ended && token.since.elapsed() > ALONE => {
                self.log_in(&mut state, client).await.map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Looks after the token. Gives the time after which to do so again.
    pub(super) async fn tend(&self, client: &Client) -> Duration {
        match self.token(client).await {
            Ok(token) => token.span.map_or(SELDOM, |span| {
                let left = span.due.saturating_duration_since(Instant::now());
                left.clamp(OFTEN, SELDOM)
            }),
            Err(error) => {
                tracing::error!(%error, "the host is not logged in to Vault");
                AGAIN
            }
        }
    }

    /// Renews one that is due; where that is in vain, or is not for long any more, it is replaced, or
    /// serves to its end.
    async fn prolonged(
        &self,
        state: &mut State,
        client: &Client,
        mut token: Token,
    ) -> Result<Token, KeeperError> {
        let is_longest = match renew(client, &token).await {
            Ok(lasts) => {
                token.span = Some(Span::of(lasts));
                token.lasts.is_some_and(|first| lasts <= first / 3)
            }
            Err(error) => {
                tracing::warn!(%error, "the token for Vault is not renewed");
                true
            }
        };
        if is_longest {
            token.span = token.span.map(|span| Span {
                due: Instant::now() + ALONE.min(token.lasts.unwrap_or(ALONE) / 12),
                ..span
            });
        }
        state.token = Some(token.clone());
        if is_longest && matches!(self.identity, Identity::AppRole { .. }) {
            match self.log_in(state, client).await {
                Ok(another) => return Ok(another),
                Err(error) => tracing::warn!(%error, "the token for Vault serves to its end"),
            }
        }
        Ok(token)
    }

    async fn log_in(&self, state: &mut State, client: &Client) -> Result<Token, KeeperError> {
        if let Some((since, error)) = &state.refused
            && since.elapsed() < ALONE
        {
            return Err(error.clone());
        }
        let found = match &self.identity {
            Identity::Token(file) => shown(client, file).await,
            Identity::AppRole {
                mount,
                role_id,
                secret_id,
            } => by_role(client, mount, role_id, secret_id).await,
        };
        let Found {
            value,
            seconds,
            renewable,
        } = found.inspect_err(|error| {
            state.refused = Some((Instant::now(), error.clone()));
        })?;
        let lasts = (seconds > 0).then(|| Duration::from_secs(seconds));
        state.generations += 1;
        let token = Token {
            value,
            generation: state.generations,
            since: Instant::now(),
            lasts,
            renewable,
            span: lasts.map(Span::of),
        };
        state.token = Some(token.clone());
        state.refused = None;
        tracing::info!(seconds = lasts.map(|it| it.as_secs()), "logged in to Vault");
        Ok(token)
    }
}

impl Token {
    fn is_alive(&self) -> bool {
        self.span.is_none_or(|span| Instant::now() < span.ends)
    }
}

async fn look_up(client: &Client, token: &SecretString) -> Result<Shown, KeeperError> {
    let path = vec!["auth", "token", "lookup-self"];
    let question = Question::new(Method::GET, path);
    client.ask(&question, Some(token)).await?.data()
}

/// How long it is good for after that.
async fn renew(client: &Client, token: &Token) -> Result<Duration, KeeperError> {
    if !token.renewable {
        return Err(KeeperError::Answer("this token cannot be renewed"));
    }
    let path = vec!["auth", "token", "renew-self"];
    let question = Question::new(Method::POST, path).with("{}".to_owned());
    let answer = client.ask(&question, Some(&token.value)).await?;
    let term: Term = answer.auth()?;
    Ok(Duration::from_secs(term.lease_duration))
}

async fn in_file(file: &Path) -> Result<SecretString, KeeperError> {
    read_file("token file for Vault".to_owned(), file.to_owned(), None).await
}

/// The token in the file, and how long it is good for, as far as it may ask.
async fn shown(client: &Client, file: &Path) -> Result<Found, KeeperError> {
    let value = in_file(file).await?;
    match look_up(client, &value).await {
        Ok(Shown { ttl, renewable }) => Ok(Found {
            value,
            seconds: ttl,
            renewable,
        }),
        Err(error @ KeeperError::Refused(..)) => {
            tracing::warn!(%error, "the token for Vault is none, or may not look itself up");
            Ok(Found {
                value,
                seconds: 0,
                renewable: false,
            })
        }
        Err(error) => Err(error),
    }
}

async fn by_role(
    client: &Client,
    mount: &str,
    role_id: &Path,
    secret_id: &Path,
) -> Result<Found, KeeperError> {
    let role_id = read_file(
        "role id file for Vault".to_owned(),
        role_id.to_owned(),
        None,
    )
    .await?;
    let secret_id = read_file(
        "secret id file for Vault".to_owned(),
        secret_id.to_owned(),
        None,
    )
    .await?;
    let body = serde_json::to_string(&AppRole {
        role_id: role_id.expose_secret(),
        secret_id: secret_id.expose_secret(),
    });
    let body = body.map_err(|_| KeeperError::Answer("nothing can be asked"))?;
    let mut path = vec!["auth"];
    path.extend(mount.split('/').chain(["login"]));
    let question = Question::new(Method::POST, path).with(body);
    let answer = client.ask(&question, None).await;
    let answer = answer.map_err(|error| match error {
        KeeperError::Refused(status, words) if words.contains(secret_id.expose_secret()) => {
            let words = "in words that have the secret id in them".to_owned();
            KeeperError::Refused(status, words)
        }
        error => error,
    })?;
    let given: Given = answer.auth()?;
    Ok(Found {
        value: given.client_token,
        seconds: given.lease_duration,
        renewable: given.renewable,
    })
}
