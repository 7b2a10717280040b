//! A credential that accompanies a guest's request, and that the guest never sees.

mod client_certificate;
mod sigv4;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::Method;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

pub use self::sigv4::SigV4;

/// How a credential is shown to a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Presentation {
    /// `Authorization: Bearer VALUE`.
    Bearer,
    /// `Authorization: Basic …`, of this user and the value.
    Basic {
        /// Without a `:`.
        user: String,
    },
    /// A field of this name.
    Header {
        /// In lower case.
        name: String,
    },
    /// A parameter of this name in the query. Servers and proxies log queries: better only where
    /// there is no other way.
    Query {
        /// As it is sent, before its encoding.
        name: String,
    },
    /// In the handshake, to servers that ask who connects: a certificate's chain and its key, in PEM.
    #[serde(rename = "client-certificate")]
    ClientCertificate,
    /// Not at all: each request is signed with it, as AWS wants it.
    SigV4(SigV4),
}

/// What a server is shown. Its `Debug` says nothing of the value; clones share it, and it is wiped
/// with the last of them.
#[derive(Clone, Debug)]
pub struct Credential {
    presentation: Presentation,
    value: Arc<SecretString>,
}

/// Why a value cannot be shown in that way.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// No value.
    #[error("the value is empty")]
    Empty,
    /// A field cannot carry it.
    #[error("the value has characters that no header field can carry, such as a line break")]
    Value,
    /// No such field, or one that is not the operator's to set.
    #[error("`{0}` cannot be the field of a credential")]
    Field(String),
    /// Not a user's name.
    #[error("a user's name has no `:`, and no control characters")]
    User,
    /// Not a parameter's name.
    #[error("a parameter's name has 1 to 64 characters, and no control characters")]
    Parameter,
    /// No certificate with its key.
    #[error("it is no client certificate: {0}")]
    Certificate(String),
    /// Not parts of a signature.
    #[error("the id of the access key, region and service have letters, digits, `-`, `.` and `_`")]
    SigV4,
}

/// Fields that a credential in a header may not be: what they say is about the connection or the
/// body, or where the request goes.
const NEVER: [&str; 8] = [
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
];

impl Credential {
    /// A value and its presentation, which must fit each other.
    pub fn new(presentation: Presentation, value: SecretString) -> Result<Self, CredentialError> {
        if value.expose_secret().is_empty() {
            return Err(CredentialError::Empty);
        }
        match &presentation {
            Presentation::Basic { user } => {
                if user.contains(':') || user.chars().any(char::is_control) {
                    return Err(CredentialError::User);
                }
            }
            Presentation::Header { name } => {
                let is_field = HeaderName::from_bytes(name.as_bytes())
                    .is_ok_and(|field| field.as_str() == name && !NEVER.contains(&field.as_str()));
                if !is_field {
                    let short = name.chars().take(64).flat_map(char::escape_debug);
                    return Err(CredentialError::Field(short.collect()));
                }
            }
            Presentation::Query { name } => {
                let length = name.chars().count();
                if !(1..=64).contains(&length) || name.chars().any(char::is_control) {
                    return Err(CredentialError::Parameter);
                }
            }
            Presentation::SigV4(how) if !how.is_sound() => return Err(CredentialError::SigV4),
            Presentation::SigV4(_) => {
                let (_, token) = sigv4::secrets(value.expose_secret());
                if token.is_some_and(|token| HeaderValue::from_str(token).is_err()) {
                    return Err(CredentialError::Value);
                }
            }
            Presentation::ClientCertificate => {
                client_certificate::check(value.expose_secret())
                    .map_err(CredentialError::Certificate)?;
            }
            Presentation::Bearer => {}
        }
        let credential = Self {
            presentation,
            value: Arc::new(value),
        };
        if let Some((_, field)) = credential.field() {
            field.ok_or(CredentialError::Value)?;
        }
        Ok(credential)
    }

    /// What must not come back: the value, and what is made of it.
    pub(crate) fn secrets(&self) -> Vec<SecretString> {
        let value = self.value.expose_secret();
        match &self.presentation {
            Presentation::Basic { user } => vec![value.into(), self.pair(user).into()],
            Presentation::SigV4(_) => {
                let (secret, token) = sigv4::secrets(value);
                [Some(secret), token]
                    .into_iter()
                    .flatten()
                    .map(SecretString::from)
                    .collect()
            }
            // Its key is shown to nobody.
            Presentation::ClientCertificate => Vec::new(),
            _ => vec![value.into()],
        }
    }

    /// Whether it goes with connections, and with no request.
    pub(crate) fn is_certificate(&self) -> bool {
        self.presentation == Presentation::ClientCertificate
    }

    /// Whom a connection is made as, where it is for that.
    pub(crate) fn identity(&self) -> Option<reqwest::Result<reqwest::Identity>> {
        let pem = self.value.expose_secret().as_bytes();
        self.is_certificate()
            .then(|| reqwest::Identity::from_pem(pem))
    }

    /// Whether a guest must not set this field, because the credential does.
    pub(crate) fn owns_field(&self, name: &HeaderName) -> bool {
        match &self.presentation {
            Presentation::Header { name: own } => name.as_str() == own,
            Presentation::SigV4(_) => SigV4::owns_field(name),
            _ => false,
        }
    }

    /// Whether a guest must not set this parameter, in lower case, because the credential does.
    pub(crate) fn owns_parameter(&self, name: &str) -> bool {
        match &self.presentation {
            Presentation::Query { name: own } => name == own.to_ascii_lowercase(),
            Presentation::SigV4(_) => SigV4::owns_parameter(name),
            _ => false,
        }
    }

    /// Whether it signs a request with its whole body.
    pub(crate) fn signs_whole(&self) -> bool {
        match &self.presentation {
            Presentation::SigV4(how) => !how.is_s3(),
            _ => false,
        }
    }

    /// Adds it to a request that is as it will be sent, but for a body that nobody knows yet.
    pub(crate) fn apply(
        &self,
        method: &Method,
        url: &mut Url,
        headers: &mut HeaderMap,
        body: Option<&[u8]>,
    ) -> Result<(), String> {
        if let Presentation::SigV4(how) = &self.presentation {
            return how.sign(&self.value, method, url, headers, body);
        }
        if let Some((name, Some(value))) = self.field() {
            headers.insert(name, value);
        }
        if let Presentation::Query { name } = &self.presentation {
            let value = self.value.expose_secret();
            url.query_pairs_mut().append_pair(name, value);
        }
        Ok(())
    }

    /// Makes a link of this URL, good for so long.
    pub(crate) fn presign(
        &self,
        method: &Method,
        url: &mut Url,
        age: Duration,
    ) -> Result<(), String> {
        match &self.presentation {
            Presentation::SigV4(how) => how.presign(&self.value, method, url, age),
            _ => Err("the credential of that link signs no requests".to_owned()),
        }
    }

    /// User and value, as HTTP Basic has them.
    fn pair(&self, user: &str) -> String {
        let value = self.value.expose_secret();
        BASE64_STANDARD.encode(format!("{user}:{value}"))
    }

    fn field(&self) -> Option<(HeaderName, Option<HeaderValue>)> {
        let value = self.value.expose_secret();
        let (name, text) = match &self.presentation {
            Presentation::Bearer => (AUTHORIZATION, format!("Bearer {value}")),
            Presentation::Basic { user } => (AUTHORIZATION, format!("Basic {}", self.pair(user))),
            Presentation::Header { name } => (
                HeaderName::from_bytes(name.as_bytes()).ok()?,
                value.to_owned(),
            ),
            Presentation::Query { .. }
            | Presentation::SigV4(_)
            | Presentation::ClientCertificate => return None,
        };
        let mut value = HeaderValue::try_from(text).ok();
        if let Some(value) = &mut value {
            // Kept out of logs and out of the tables of HTTP/2.
            value.set_sensitive(true);
        }
        Some((name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(presentation: Presentation) -> (HeaderMap, String) {
        let credential = Credential::new(presentation, "s3cret&".into()).unwrap();
        assert!(!format!("{credential:?}").contains("s3cret"));
        let mut headers = HeaderMap::new();
        let mut url = "https://a/b?c=d".parse().unwrap();
        credential
            .apply(&Method::GET, &mut url, &mut headers, None)
            .unwrap();
        assert!(!format!("{headers:?}").contains("s3cret"));
        (headers, url.to_string())
    }

    #[test]
    fn each_way_of_showing_it() {
        let (headers, _) = applied(Presentation::Bearer);
        assert_eq!(headers["authorization"], "Bearer s3cret&");
        let user = "me".to_owned();
        let (headers, _) = applied(Presentation::Basic { user });
        assert_eq!(headers["authorization"], "Basic bWU6czNjcmV0Jg==");
        let name = "x-api-key".to_owned();
        let (headers, _) = applied(Presentation::Header { name });
        assert_eq!(headers["x-api-key"], "s3cret&");
        let name = "key".to_owned();
        let (headers, url) = applied(Presentation::Query { name });
        assert!(headers.is_empty());
        assert_eq!(url, "https://a/b?c=d&key=s3cret%26");
    }

    #[test]
    fn what_cannot_be_shown_is_refused_when_it_is_made() {
        let make = |presentation, value: &str| {
            Credential::new(presentation, value.to_owned().into()).unwrap_err()
        };
        let header = |name: &str| Presentation::Header {
            name: name.to_owned(),
        };
        assert_eq!(make(Presentation::Bearer, ""), CredentialError::Empty);
        assert_eq!(make(Presentation::Bearer, "a\r\nb"), CredentialError::Value);
        for name in ["", "X-Key", "a b", "host", "content-length"] {
            assert!(
                matches!(make(header(name), "v"), CredentialError::Field(_)),
                "{name}"
            );
        }
        let user = "a:b".to_owned();
        assert_eq!(
            make(Presentation::Basic { user }, "v"),
            CredentialError::User
        );
        let name = String::new();
        assert_eq!(
            make(Presentation::Query { name }, "v"),
            CredentialError::Parameter
        );
    }
}
