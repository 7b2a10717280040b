//! Which origins a capsule asks for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::host::{HostError, HostPattern};
use crate::as_text::as_text;
use crate::origin::{Origin, OriginError};

const MAX_BYTES: usize = 300;
/// Takes the place of `*` where a text is read as an exact origin.
const STAND_IN: &str = "://x.";

/// `https://HOST[:PORT]` or `http://HOST[:PORT]`, HOST a [`HostPattern`]. Its one form leaves out
/// the scheme's own port, and the `/` at the end.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct OriginPattern {
    scheme: String,
    host: HostPattern,
    port: u16,
}

/// Why a text is not an origin that can be asked for.
#[derive(Debug, thiserror::Error)]
pub enum OriginPatternError {
    /// Longer than any origin.
    #[error("an origin has at most {MAX_BYTES} bytes")]
    TooLong,
    /// Not an origin.
    #[error(transparent)]
    Origin(#[from] OriginError),
    /// Its host cannot be asked for.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The right origin in another form.
    #[error("`{given}` is written `{normal}`")]
    NotNormal {
        /// As it is.
        given: String,
        /// As it should be.
        normal: String,
    },
    /// Port 0.
    #[error("no server has port 0")]
    Port,
}

impl OriginPattern {
    /// `http` or `https`.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The host, or the hosts.
    pub fn host(&self) -> &HostPattern {
        &self.host
    }

    /// The port, the scheme's own where none is written.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether this is the origin of such a request.
    pub fn matches(&self, scheme: &str, host: &str, port: u16) -> bool {
        self.scheme == scheme && self.port == port && self.host.matches(host)
    }

    /// Whether every origin that `other` matches is one that this matches too.
    pub fn covers(&self, other: &Self) -> bool {
        self.scheme == other.scheme && self.port == other.port && self.host.covers(&other.host)
    }
}

impl FromStr for OriginPattern {
    type Err = OriginPatternError;

    fn from_str(text: &str) -> Result<Self, OriginPatternError> {
        if text.len() > MAX_BYTES {
            return Err(OriginPatternError::TooLong);
        }
        let below = text.contains("://*.");
        let exact = if below {
            text.replacen("://*.", STAND_IN, 1)
        } else {
            text.to_owned()
        };
        if exact.contains('*') {
            return Err(HostError::Star.into());
        }
        let origin: Origin = exact.parse()?;
        let starred = |text: &str| {
            if below {
                text.replacen(STAND_IN, "://*.", 1)
            } else {
                text.to_owned()
            }
        };
        let normal = starred(&origin.to_string());
        if normal != text {
            return Err(OriginPatternError::NotNormal {
                given: super::shown(text),
                normal,
            });
        }
        if origin.port() == 0 {
            return Err(OriginPatternError::Port);
        }
        let host = match origin.host().strip_prefix("x.") {
            Some(domain) if below => format!("*.{domain}"),
            _ => origin.host().to_owned(),
        };
        Ok(Self {
            scheme: origin.scheme().to_owned(),
            host: host.parse()?,
            port: origin.port(),
        })
    }
}

impl fmt::Display for OriginPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, port } = self;
        match (scheme.as_str(), port) {
            ("http", 80) | ("https", 443) => write!(f, "{scheme}://{host}"),
            _ => write!(f, "{scheme}://{host}:{port}"),
        }
    }
}

as_text!(OriginPattern, OriginPatternError);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_canonical_form() {
        for text in [
            "https://api.github.com",
            "http://127.0.0.1:8080",
            "https://[::1]",
            "https://*.example.com",
            "https://*.example.com:8443",
            "https://x.example.com",
        ] {
            assert_eq!(text.parse::<OriginPattern>().unwrap().to_string(), text);
        }
        let long = format!("https://{}", "a".repeat(MAX_BYTES));
        for (text, part) in [
            ("", "not a URL"),
            ("api.github.com", "not a URL"),
            ("ftp://a", "an origin is"),
            ("https://a/", "written `https://a`"),
            ("HTTPS://a", "written `https://a`"),
            ("https://A", "written `https://a`"),
            ("https:a", "written `https://a`"),
            ("https://a:443", "written `https://a`"),
            ("https://a:0443", "written `https://a`"),
            ("https://a:", "written `https://a`"),
            ("https://@a", "written `https://a`"),
            (" https://a", "written `https://a`"),
            ("https://a\n", "written `https://a`"),
            ("https://0x7f.1", "written `https://127.0.0.1`"),
            (
                "https://*.Example.com:443",
                "written `https://*.example.com`",
            ),
            ("https://a:0", "port 0"),
            ("https://a:99999", "not a URL"),
            ("https://u@a", "no path, query, fragment or user"),
            ("https://u:p@a", "no path, query, fragment or user"),
            ("https://a/b", "no path, query, fragment or user"),
            ("https://a?b", "no path, query, fragment or user"),
            ("https://a#b", "no path, query, fragment or user"),
            ("https://*", "one label"),
            ("https://a.*.example", "one label"),
            ("https://u@*.example.com", "one label"),
            ("https://*.com", "two labels"),
            ("https://a..b", "not a host"),
            ("https://a.", "not a host"),
            (long.as_str(), "at most 300 bytes"),
        ] {
            let message = text.parse::<OriginPattern>().unwrap_err().to_string();
            assert!(message.contains(part), "{text:?}: {message}");
        }
    }

    #[test]
    fn scheme_and_port_count() {
        let origin: OriginPattern = "https://*.example.com".parse().unwrap();
        assert!(origin.matches("https", "a.example.com", 443));
        assert!(!origin.matches("http", "a.example.com", 443));
        assert!(!origin.matches("https", "a.example.com", 80));
        assert!(!origin.covers(&"http://a.example.com".parse().unwrap()));
        assert!(!origin.covers(&"https://a.example.com:80".parse().unwrap()));
        assert!(origin.covers(&"https://a.example.com".parse().unwrap()));
    }
}
