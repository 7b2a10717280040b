//! How what is kept becomes what a server is shown: as it is, or exchanged for a token first.

use serde::{Deserialize, Serialize};
use soma_registry::client::is_loopback;
use soma_runtime::Presentation;
use url::Url;

/// What becomes of a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Kind {
    /// It is exchanged for a token, which is shown as a bearer's.
    Exchanged(Exchange),
    /// It is shown itself.
    Shown(Presentation),
}

/// How a credential is exchanged for a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Exchange {
    /// The value is a client's secret (RFC 6749 §4.4).
    OauthClient(OauthClient),
    /// The value is a refresh token (RFC 6749 §6), and on a second line the client's secret, where it
    /// has one.
    OauthRefresh(OauthClient),
    /// The value is the JSON key of a service account, whose assertion Google exchanges (RFC 7523).
    GoogleServiceAccount(GoogleServiceAccount),
}

/// A client that an authorization server knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OauthClient {
    pub(crate) token_url: Url,
    pub(crate) client_id: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) scopes: Vec<String>,
    /// Where the client's secret goes.
    #[serde(default)]
    pub(crate) client_auth: ClientAuth,
}

/// How a client says who it is (RFC 6749 §2.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ClientAuth {
    /// As HTTP Basic.
    #[default]
    Basic,
    /// In the request's body.
    Body,
}

/// What a service account's token is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GoogleServiceAccount {
    pub(crate) scopes: Vec<String>,
}

impl Kind {
    /// Whether the value can be replaced when it is exchanged.
    pub(super) fn is_used_up(&self) -> bool {
        matches!(self, Self::Exchanged(Exchange::OauthRefresh(_)))
    }
}

impl Exchange {
    /// Says what is wrong with it.
    pub(crate) fn check(&self) -> Result<(), String> {
        let scopes = match self {
            Self::OauthClient(client) | Self::OauthRefresh(client) => {
                if client.client_id.is_empty() {
                    return Err("a client has an id".to_owned());
                }
                check_url(&client.token_url)?;
                &client.scopes
            }
            Self::GoogleServiceAccount(account) if account.scopes.is_empty() => {
                return Err("a service account's token is for at least one scope".to_owned());
            }
            Self::GoogleServiceAccount(account) => &account.scopes,
        };
        let is_scope = |scope: &String| {
            let fits = |byte: u8| byte.is_ascii_graphic() && !b"\"\\".contains(&byte);
            !scope.is_empty() && scope.bytes().all(fits)
        };
        match scopes.iter().find(|scope| !is_scope(scope)) {
            Some(scope) => Err(format!("{scope:?} is no scope")),
            None => Ok(()),
        }
    }
}

/// A credential goes there: so that nobody reads it on the way, by TLS, or not over a network.
pub(crate) fn check_url(url: &Url) -> Result<(), String> {
    if url.scheme() == "https" || url.scheme() == "http" && is_loopback(url) {
        return Ok(());
    }
    Err(format!(
        "a credential is sent to https only, or to this machine, and not to {}",
        url.origin().ascii_serialization()
    ))
}
