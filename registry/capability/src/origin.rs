//! A web origin: scheme, host and port (RFC 6454).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Url;

/// An exact `http` or `https` origin, such as `https://api.github.com`. The port is always known:
/// a URL without one has its scheme's.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

/// Why a text is not an origin.
#[derive(Debug, thiserror::Error)]
pub enum OriginError {
    /// Not a URL at all.
    #[error("not a URL ({0}): an origin is written like https://api.github.com")]
    Url(#[from] url::ParseError),
    /// Neither `http` nor `https`, or without a host.
    #[error("an origin is `http://HOST[:PORT]` or `https://HOST[:PORT]`")]
    Scheme,
    /// It says more than an origin: a path, a query, a user.
    #[error("an origin has no path, query, fragment or user")]
    Extra,
    /// A `*`, which would match nothing but a host of that very name.
    #[error("an origin is exact: `*` stands for nothing here")]
    Wildcard,
}

impl Origin {
    /// The origin of a URL; none where its scheme is neither `http` nor `https`.
    pub fn of(url: &Url) -> Option<Self> {
        if !matches!(url.scheme(), "http" | "https") {
            return None;
        }
        Some(Self {
            scheme: url.scheme().to_owned(),
            host: url.host_str()?.to_owned(),
            port: url.port_or_known_default()?,
        })
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The host, in its normal form; an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, the scheme's own where none is written.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let url = Url::parse(text)?;
        let bare = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if !bare {
            return Err(OriginError::Extra);
        }
        if url.host_str().is_some_and(|host| host.contains('*')) {
            return Err(OriginError::Wildcard);
        }
        Self::of(&url).ok_or(OriginError::Scheme)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, port } = self;
        match (scheme.as_str(), port) {
            ("http", 80) | ("https", 443) => write!(f, "{scheme}://{host}"),
            _ => write!(f, "{scheme}://{host}:{port}"),
        }
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> Self {
        origin.to_string()
    }
}

impl TryFrom<String> for Origin {
    type Error = OriginError;

    fn try_from(text: String) -> Result<Self, OriginError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_and_normalised() {
        let origin = |text: &str| text.parse::<Origin>().unwrap().to_string();
        assert_eq!(
            origin("https://API.example.com:443"),
            "https://api.example.com"
        );
        assert_eq!(origin("http://0x7f.1:8080/"), "http://127.0.0.1:8080");
        for bad in [
            "",
            "example.com",
            "ftp://a",
            "https://a/b",
            "https://a?b",
            "https://u@a",
            "https://*",
            "https://*.example.com",
        ] {
            assert!(bad.parse::<Origin>().is_err(), "{bad}");
        }
    }
}
