//! The name of an artifact in a registry: `oci://host[:port]/repository[:tag|@sha256:…]`.

use std::fmt;
use std::str::FromStr;

use soma_capability::Digest;
use url::Host;

/// As registries have it: what they store has longer names of its own.
const MAX_REPOSITORY: usize = 255;
const MAX_TAG: usize = 128;

/// Which registry, which repository in it, and, where it says so, which artifact there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    host: Host,
    port: Option<u16>,
    repository: String,
    selector: Option<Selector>,
}

/// Which of a repository's artifacts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// The one that has this name now.
    Tag(String),
    /// The one whose manifest has this digest.
    Digest(Digest),
}

/// A text that is not a reference.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Another kind of address.
    #[error("a reference begins with `oci://`, such as `oci://ghcr.io/owner/name:1.0.0`")]
    Scheme,
    /// Not a host, or not in its one form.
    #[error(
        "`{0}` is not a registry's host: expected a name in lower case or an address, and a port where it is not 443"
    )]
    Host(String),
    /// Not a repository's path.
    #[error(
        "`{0}` is not a repository: expected parts of lower-case letters and digits, joined by `.`, `_`, `__` or dashes, with `/` between them, at most {MAX_REPOSITORY} characters in all"
    )]
    Repository(String),
    /// Not a tag.
    #[error(
        "`{0}` is not a tag: expected at most {MAX_TAG} letters, digits, `.`, `_` and `-`, the first neither `.` nor `-`"
    )]
    Tag(String),
    /// Not a digest.
    #[error("`{0}` is not a digest: expected `sha256:` and 64 lower-case hex digits")]
    Digest(String),
    /// Both a tag and a digest.
    #[error("a reference has a tag or a digest, not both; the digest alone is the exact one")]
    Both,
}

impl Reference {
    /// What every reference begins with.
    pub const SCHEME: &str = "oci://";

    /// The host, and the port where there is one.
    pub fn host(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.to_string(),
        }
    }

    /// The path in the registry, such as `owner/name`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Which artifact, where it says so.
    pub fn selector(&self) -> Option<&Selector> {
        self.selector.as_ref()
    }

    /// The same repository, and this tag.
    pub fn with_tag(&self, tag: &str) -> Result<Self, ReferenceError> {
        check_tag(tag)?;
        Ok(self.selecting(Selector::Tag(tag.to_owned())))
    }

    /// The same repository, and the manifest of this digest.
    pub fn with_digest(&self, digest: Digest) -> Self {
        self.selecting(Selector::Digest(digest))
    }

    fn selecting(&self, selector: Selector) -> Self {
        Self {
            selector: Some(selector),
            ..self.clone()
        }
    }

    /// Where requests go: plain HTTP on this machine alone, TLS everywhere else.
    pub(super) fn origin(&self) -> String {
        let scheme = if is_loopback(&self.host) {
            "http"
        } else {
            "https"
        };
        format!("{scheme}://{}", self.host())
    }

    /// Whether the registry is on this machine.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }
}

pub(crate) fn is_loopback<S: AsRef<str>>(host: &Host<S>) -> bool {
    match host {
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
        Host::Domain(name) => name.as_ref() == "localhost",
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let rest = text
            .strip_prefix(Self::SCHEME)
            .ok_or(ReferenceError::Scheme)?;
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (rest, None),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = read_host(authority)?;
        let (repository, tag) = match path.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (path, None),
        };
        check_repository(repository)?;
        let selector = match (tag, digest) {
            (Some(_), Some(_)) => return Err(ReferenceError::Both),
            (Some(tag), None) => {
                check_tag(tag)?;
                Some(Selector::Tag(tag.to_owned()))
            }
            (None, Some(digest)) => {
                let parsed = digest.parse();
                let parsed = parsed.map_err(|_| ReferenceError::Digest(shown(digest)))?;
                Some(Selector::Digest(parsed))
            }
            (None, None) => None,
        };
        Ok(Self {
            host,
            port,
            repository: repository.to_owned(),
            selector,
        })
    }
}

fn read_host(authority: &str) -> Result<(Host, Option<u16>), ReferenceError> {
    let refused = || ReferenceError::Host(shown(authority));
    // The colons of `[::1]` are not before a port.
    let (name, port) = match authority.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (authority, None),
    };
    let host = Host::parse(name).map_err(|_| refused())?;
    // One form alone: `127.1` and `LOCALHOST` are hosts to a browser too.
    if host.to_string() != name {
        return Err(refused());
    }
    let Some(digits) = port else {
        return Ok((host, None));
    };
    match digits.parse::<u16>() {
        Ok(port) if port > 0 && port.to_string() == digits => Ok((host, Some(port))),
        _ => Err(refused()),
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/…)*`, of the distribution specification.
fn check_repository(repository: &str) -> Result<(), ReferenceError> {
    let good = repository.len() <= MAX_REPOSITORY && repository.split('/').all(is_part);
    good.then_some(())
        .ok_or_else(|| ReferenceError::Repository(shown(repository)))
}

fn is_part(part: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separators = part.split(is_word).filter(|between| !between.is_empty());
    part.starts_with(is_word)
        && part.ends_with(is_word)
        && separators.into_iter().all(|between| {
            matches!(between, "." | "_" | "__") || between.bytes().all(|byte| byte == b'-')
        })
}

fn check_tag(tag: &str) -> Result<(), ReferenceError> {
    let is_tag = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let good = (1..=MAX_TAG).contains(&tag.len())
        && tag.chars().all(is_tag)
        && !tag.starts_with(['.', '-']);
    good.then_some(())
        .ok_or_else(|| ReferenceError::Tag(shown(tag)))
}

/// What was refused, fit for a terminal and not too long for it.
fn shown(text: &str) -> String {
    text.chars()
        .take(100)
        .flat_map(char::escape_debug)
        .collect()
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}/{}", Self::SCHEME, self.host(), self.repository)?;
        match &self.selector {
            Some(Selector::Tag(tag)) => write!(f, ":{tag}"),
            Some(Selector::Digest(digest)) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(tag),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let digest = Digest::of(b"");
        for (text, origin) in [
            ("oci://ghcr.io/owner/name", "https://ghcr.io"),
            ("oci://ghcr.io/owner/na-me_2__x.y:1.0.0", "https://ghcr.io"),
            ("oci://127.0.0.1:5000/a:latest", "http://127.0.0.1:5000"),
            ("oci://[::1]:5000/a/b/c", "http://[::1]:5000"),
            ("oci://[2001:db8::1]/a", "https://[2001:db8::1]"),
            ("oci://localhost/a:_T", "http://localhost"),
            (
                &format!("oci://r.example:8443/a@{digest}"),
                "https://r.example:8443",
            ),
        ] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!(reference.to_string(), text);
            assert_eq!(reference.origin(), origin);
        }
    }

    #[test]
    fn refuses_every_other_form() {
        use ReferenceError::{Both, Digest, Host, Repository, Scheme, Tag};
        let own = str::to_owned;
        let long = format!("oci://h/{}", "a".repeat(256));
        let digest = soma_capability::Digest::of(b"");
        for (text, error) in [
            ("ghcr.io/a:1", Scheme),
            ("https://ghcr.io/a:1", Scheme),
            ("OCI://ghcr.io/a:1", Scheme),
            ("oci://", Host(own(""))),
            ("oci:///a", Host(own(""))),
            ("oci://GHCR.io/a", Host(own("GHCR.io"))),
            ("oci://127.1/a", Host(own("127.1"))),
            ("oci://h:/a", Host(own("h:"))),
            ("oci://h:0/a", Host(own("h:0"))),
            ("oci://h:080/a", Host(own("h:080"))),
            ("oci://h:65536/a", Host(own("h:65536"))),
            ("oci://us er/a", Host(own("us er"))),
            ("oci://::1/a", Host(own("::1"))),
            ("oci://user@h/a", Repository(own(""))),
            ("oci://h", Repository(own(""))),
            ("oci://h/", Repository(own(""))),
            ("oci://h/A", Repository(own("A"))),
            ("oci://h/a//b", Repository(own("a//b"))),
            ("oci://h/../b", Repository(own("../b"))),
            ("oci://h/a/", Repository(own("a/"))),
            ("oci://h/a___b", Repository(own("a___b"))),
            ("oci://h/a..b", Repository(own("a..b"))),
            ("oci://h/a?x", Repository(own("a?x"))),
            ("oci://h/a%2e", Repository(own("a%2e"))),
            ("oci://h/a\u{1b}", Repository(own("a\\u{1b}"))),
            (&long, Repository("a".repeat(100))),
            ("oci://h/a:", Tag(own(""))),
            ("oci://h/a:-x", Tag(own("-x"))),
            ("oci://h/a:1/b", Tag(own("1/b"))),
            ("oci://h/a:1+2", Tag(own("1+2"))),
            ("oci://h/a@", Digest(own(""))),
            ("oci://h/a@sha256:0", Digest(own("sha256:0"))),
            (&format!("oci://h/a:1@{digest}"), Both),
        ] {
            assert_eq!(text.parse::<Reference>(), Err(error), "{text}");
        }
    }
}
