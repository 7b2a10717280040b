//! A marketplace, as a client sees it: `docs/marketplace-api.md`, a method a row. Nothing that it
//! answers is believed here but the checkpoint, which the pinned key signs; the rest is for the
//! caller to check against the log.

mod accounts;
mod audit;
mod error;
mod exchange;
mod log;
mod operator;
mod packages;
mod publish;
mod verify;
mod witness;

use std::time::Duration;

use reqwest::header::HeaderValue;
use reqwest::redirect::{Action, Attempt, Policy};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

pub use audit::{Audit, Difference, Walk};
pub use error::ClientError;
pub use operator::Decision;
pub use packages::Query;
pub use verify::{Verified, VerifyError};
pub use witness::{Witness, WitnessAnswer, WitnessError};

use crate::log::LogKey;
use crate::oci;

/// The most redirects within one origin that are followed.
const MAX_REDIRECTS: usize = 4;

/// One marketplace: where it is, the key of its log, and a token where one was given.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use soma_registry::client::{Marketplace, Query};
/// # let key: soma_registry::log::LogKey = "log.example+…".parse()?;
/// let marketplace = Marketplace::new("https://market.example".parse()?, key)?;
/// let hits = marketplace.search(&Query::text("weather")).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Marketplace {
    http: reqwest::Client,
    base: Url,
    key: LogKey,
    authorization: Option<HeaderValue>,
}

impl Marketplace {
    /// The marketplace at `url`, whose log has this key. Sends nothing yet. Plain http is for this
    /// machine only.
    pub fn new(url: Url, key: LogKey) -> Result<Self, ClientError> {
        check_address(&url)?;
        let http = http_client(&url)?;
        Ok(Self {
            http,
            base: url,
            key,
            authorization: None,
        })
    }

    /// The same, with a token to show it.
    pub fn with_token(mut self, token: &SecretString) -> Result<Self, ClientError> {
        let text = format!("Bearer {}", token.expose_secret());
        let mut value = HeaderValue::try_from(text).map_err(|_| ClientError::Token)?;
        value.set_sensitive(true);
        self.authorization = Some(value);
        Ok(self)
    }

    /// Where it is.
    pub fn url(&self) -> &Url {
        &self.base
    }

    /// The pinned key of its log.
    pub fn key(&self) -> &LogKey {
        &self.key
    }

    /// Its log's origin, for which changes are signed.
    pub fn origin(&self) -> &str {
        self.key.origin()
    }
}

/// Whether a marketplace may be there: https, or http on this machine, and nothing in the address
/// that is not shown to it.
pub(crate) fn check_address(url: &Url) -> Result<(), ClientError> {
    if let Some(why) = flaw(url) {
        return Err(ClientError::Address {
            url: url.to_string(),
            why,
        });
    }
    Ok(())
}

/// Why nothing that is trusted with anything may be at an address.
pub(crate) fn flaw(url: &Url) -> Option<&'static str> {
    if url.cannot_be_a_base() || !url.username().is_empty() || url.password().is_some() {
        return Some("it is not a plain address");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Some("it has a `?` or a `#`");
    }
    match url.scheme() {
        "https" => None,
        "http" if is_loopback(url) => None,
        "http" => Some("it is on another machine and not encrypted"),
        _ => Some("it is neither https nor http"),
    }
}

/// Whether it names this machine: what is sent there nobody reads on the way.
pub fn is_loopback(url: &Url) -> bool {
    url.host().is_some_and(|host| oci::is_loopback(&host))
}

fn http_client(url: &Url) -> Result<reqwest::Client, ClientError> {
    // Whoever was first wins, and it is the same provider everywhere in this project.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(10))
        .redirect(Policy::custom(same_origin))
        .user_agent(concat!("soma/", env!("CARGO_PKG_VERSION")));
    // A proxy can reach this machine's loopback least of all.
    let client = if is_loopback(url) {
        client.no_proxy()
    } else {
        client
    };
    client.build().map_err(ClientError::Http)
}

/// Follows within one origin; elsewhere the answer is the redirect itself, which is no answer.
fn same_origin(attempt: Attempt<'_>) -> Action {
    let first = attempt.previous().first().map(Url::origin);
    let stays = first.is_some_and(|first| first == attempt.url().origin());
    if stays && attempt.previous().len() <= MAX_REDIRECTS {
        attempt.follow()
    } else {
        attempt.stop()
    }
}

#[cfg(test)]
mod tests;
