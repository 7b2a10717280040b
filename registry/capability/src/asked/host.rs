//! Which hosts a capsule asks for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Host;

use crate::as_text::as_text;

const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// A host, or all hosts one level below a domain. Its one form: a name in lower case and ASCII
/// (IDNA), an IPv4 address as four decimal numbers, an IPv6 address in brackets as RFC 5952 has
/// it, or `*.` and a name of two labels or more.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct HostPattern {
    one_level_below: bool,
    host: String,
}

/// Why a text is not a host pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Neither a name nor an address.
    #[error(
        "`{0}` is not a host: write a name in lower case, an IPv4 address, or an IPv6 address in brackets"
    )]
    Form(String),
    /// The right host in another form.
    #[error("`{given}` is written `{normal}`")]
    NotNormal {
        /// As it is.
        given: String,
        /// As it should be.
        normal: String,
    },
    /// A `*` that is not the whole first label.
    #[error("`*.` stands for one label, at the beginning only, as in `*.example.com`")]
    Star,
    /// `*.` before an address, or a name of a single label.
    #[error("`*.` needs a name of two labels or more, such as `*.example.com`")]
    Broad,
}

impl HostPattern {
    /// Whether it is one host, and not all below a domain.
    pub fn is_exact(&self) -> bool {
        !self.one_level_below
    }

    /// Whether this is the host, or the host is one level below. A host that is not in its normal
    /// form (as the `url` crate writes it) is not matched.
    pub fn matches(&self, host: &str) -> bool {
        if !self.one_level_below {
            return host == self.host;
        }
        host.strip_suffix(&self.host)
            .and_then(|front| front.strip_suffix('.'))
            .is_some_and(is_label)
    }

    /// Whether every host that `other` matches is one that this matches too.
    pub fn covers(&self, other: &Self) -> bool {
        if other.one_level_below {
            return self == other;
        }
        self.matches(&other.host)
    }
}

fn is_label(text: &str) -> bool {
    (1..=MAX_LABEL).contains(&text.len())
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b))
}

/// The host's one form, and whether it is a name.
fn normal(text: &str) -> Result<(String, bool), HostError> {
    let form = || HostError::Form(super::shown(text));
    let host = Host::parse(text).map_err(|_| form())?;
    let is_name = match &host {
        Host::Domain(name) => {
            if name.len() > MAX_NAME || !name.split('.').all(is_label) {
                return Err(form());
            }
            true
        }
        Host::Ipv4(_) | Host::Ipv6(_) => false,
    };
    Ok((host.to_string(), is_name))
}

impl FromStr for HostPattern {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        let (one_level_below, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        if name.contains('*') {
            return Err(HostError::Star);
        }
        let (host, is_name) = normal(name)?;
        if one_level_below && !(is_name && host.contains('.')) {
            return Err(HostError::Broad);
        }
        if host != name {
            return Err(HostError::NotNormal {
                given: super::shown(name),
                normal: host,
            });
        }
        Ok(Self {
            one_level_below,
            host,
        })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.one_level_below { "*." } else { "" })?;
        f.write_str(&self.host)
    }
}

as_text!(HostPattern, HostError);

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> HostPattern {
        text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn one_canonical_form() {
        for text in [
            "localhost",
            "api.github.com",
            "*.example.com",
            "xn--bcher-kva.example",
            "a_b.example",
            "127.0.0.1",
            "[::1]",
            "[2001:db8::1]",
        ] {
            assert_eq!(host(text).to_string(), text);
        }
        let label = format!("{}.example", "a".repeat(MAX_LABEL + 1));
        let long = "a.".repeat(150) + "example";
        for (text, part) in [
            ("", "not a host"),
            ("API.github.com", "written `api.github.com`"),
            ("bücher.example", "written `xn--bcher-kva.example`"),
            ("ex%61mple.com", "written `example.com`"),
            ("example。com", "written `example.com`"),
            ("ｅxample.com", "written `example.com`"),
            ("2130706433", "written `127.0.0.1`"),
            ("0x7f.1", "written `127.0.0.1`"),
            ("0177.0.0.1", "written `127.0.0.1`"),
            ("127.1", "written `127.0.0.1`"),
            ("127.0.0.1.", "written `127.0.0.1`"),
            ("[0:0::1]", "written `[::1]`"),
            ("[::ffff:127.0.0.1]", "written `[::ffff:7f00:1]`"),
            ("[2001:DB8::1]", "written `[2001:db8::1]`"),
            ("1.2.3.4.5", "not a host"),
            ("::1", "not a host"),
            ("[fe80::1%eth0]", "not a host"),
            ("example.com.", "not a host"),
            ("a..b", "not a host"),
            ("-a.example", "not a host"),
            ("user@example.com", "not a host"),
            ("example.com:80", "not a host"),
            ("example.com/a", "not a host"),
            ("a b", "not a host"),
            ("a\u{202e}b\n", "not a host"),
            ("xn--a", "not a host"),
            (label.as_str(), "not a host"),
            (long.as_str(), "not a host"),
            ("*", "one label"),
            ("a.*.example", "one label"),
            ("*.*.example.com", "one label"),
            ("a*.example.com", "one label"),
            ("*.com", "two labels"),
            ("*.127.0.0.1", "two labels"),
            ("*.[::1]", "two labels"),
            ("*.", "not a host"),
            ("*.Example.com", "written `example.com`"),
        ] {
            let message = text.parse::<HostPattern>().unwrap_err().to_string();
            assert!(message.contains(part), "{text:?}: {message}");
            assert!(!message.contains(['\n', '\u{202e}']), "{message}");
        }
    }

    #[test]
    fn one_level_is_one_level() {
        let pattern = host("*.example.com");
        assert!(pattern.matches("a.example.com"));
        for other in [
            "example.com",
            "a.b.example.com",
            ".example.com",
            "aexample.com",
            "A.example.com",
            "a.example.com.",
            "*.example.com",
            "a.example.org",
            "",
        ] {
            assert!(!pattern.matches(other), "{other}");
        }
        assert!(pattern.covers(&host("a.example.com")));
        assert!(pattern.covers(&pattern));
        assert!(!pattern.covers(&host("*.a.example.com")));
        assert!(!host("a.example.com").covers(&pattern));
    }
}
