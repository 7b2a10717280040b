//! What an operator gives one capsule of one tenant. In force is what is both asked and granted.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use crate::address::AddressRange;
use crate::asked::{
    CredentialName, HttpCapability, KvCapability, LINK_OPERATIONS, Method, Operation,
    OriginPattern, PathTemplate, checked, covers, hides, list, methods, operations, paths,
};
use crate::{Authorities, Settings, ToolPattern};

/// Entries of a grant for requests.
pub const MAX_HTTP_GRANTS: usize = 64;
/// Addresses of one entry.
pub const MAX_ADDRESSES: usize = 32;
const MAX_TOOLS: usize = 256;

/// Everything that is granted; nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Grant {
    /// Requests to servers, at most 64 entries.
    #[serde(deserialize_with = "http", skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<HttpGrant>,
    /// Links to such requests, at most 64 entries, each with the credential that signs them.
    #[serde(deserialize_with = "links", skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<HttpGrant>,
    /// A store of the capsule's own, of at most this size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kv: Option<KvCapability>,
    /// Other capsules' tools, at most 256 entries.
    #[serde(deserialize_with = "tools", skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ToolPattern>,
    /// Values of settings.
    #[serde(skip_serializing_if = "Settings::is_empty")]
    pub config: Settings,
}

/// Requests that may be sent: any of these methods on any of these paths, at this origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HttpGrant {
    /// Where to. One that is an address, or `localhost`, grants what is special about it too.
    pub origin: OriginPattern,
    /// 1–16 methods.
    #[serde(deserialize_with = "methods")]
    pub methods: Vec<Method>,
    /// 1–32 path templates.
    #[serde(deserialize_with = "paths")]
    pub paths: Vec<PathTemplate>,
    /// 1–128 operations, of which such a request has no others; any, where none is named.
    #[serde(
        default,
        deserialize_with = "operations",
        skip_serializing_if = "Option::is_none"
    )]
    pub operations: Option<Vec<Operation>>,
    /// The credential that accompanies such a request where the capsule asks for it too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialName>,
    /// The authorities that servers must be vouched for by, in the place of everybody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<Authorities>,
    /// The credential that holds the certificate which is shown to servers that ask for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<CredentialName>,
    /// Addresses that are [special](crate::special) and that the origin's name may lead to all the
    /// same; at most 32.
    #[serde(
        default,
        deserialize_with = "addresses",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub addresses: Vec<AddressRange>,
}

/// Why a text is no grant of requests.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpGrantError {
    /// Not of the form.
    #[error(
        "`{0}`: write METHOD[,METHOD…] ORIGIN/PATH, as in `GET,POST https://api.github.com/repos/**`, \
         and operations after it, as in `query issues, mutation issueCreate`"
    )]
    Form(String),
    /// One of its parts is wrong.
    #[error("{0}")]
    Part(String),
}

fn http<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<HttpGrant>, D::Error> {
    let entries: Vec<HttpGrant> = list::of(deserializer, "entries for `http`", MAX_HTTP_GRANTS)?;
    if entries.iter().any(HttpGrant::has_vain_tls) {
        return Err(D::Error::custom(
            "`ca` and `client-certificate` go with an origin of `https`",
        ));
    }
    Ok(entries)
}

fn tools<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ToolPattern>, D::Error> {
    list::of(deserializer, "tools", MAX_TOOLS)
}

fn links<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<HttpGrant>, D::Error> {
    let links = http(deserializer)?;
    if links.iter().any(|link| link.operations.is_some()) {
        return Err(D::Error::custom(LINK_OPERATIONS));
    }
    let is_connection = |link: &HttpGrant| link.ca.is_some() || link.client_certificate.is_some();
    if links.iter().any(is_connection) {
        return Err(D::Error::custom(
            "an entry for `links` has neither `ca` nor `client-certificate`: whoever has the link connects",
        ));
    }
    Ok(links)
}

fn addresses<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<AddressRange>, D::Error> {
    list::of(deserializer, "addresses", MAX_ADDRESSES)
}

impl Grant {
    /// Whether nothing is granted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl HttpGrant {
    /// Whether such a request is granted, as far as its place says: see [`allows`](Self::allows)
    /// for its operations. Host and path must be in their normal form.
    pub fn matches(&self, method: &str, scheme: &str, host: &str, port: u16, path: &str) -> bool {
        self.methods.iter().any(|m| m.as_str() == method)
            && self.origin.matches(scheme, host, port)
            && self.paths.iter().any(|template| template.matches(path))
    }

    /// Whether a request with these operations is granted.
    pub fn allows(&self, operations: &[Operation]) -> bool {
        covers(self.operations.as_deref(), Some(operations))
    }

    /// Whether it says who is who on connections that nobody proves anything on.
    fn has_vain_tls(&self) -> bool {
        let says = self.ca.is_some() || self.client_certificate.is_some();
        says && self.origin.scheme() != "https"
    }

    /// Whether what a request does there is not said by its path, and is not said here either.
    pub fn hides_operations(&self) -> bool {
        let host = self.origin.host().to_string();
        hides(&host, self.paths.iter(), self.operations.as_deref())
    }
}

/// Exactly what is asked for.
impl From<&HttpCapability> for HttpGrant {
    fn from(asked: &HttpCapability) -> Self {
        Self {
            origin: asked.origin.clone(),
            methods: asked.methods.clone(),
            paths: asked.paths.clone(),
            operations: asked.operations.clone(),
            credential: asked.credential.clone(),
            ca: None,
            client_certificate: None,
            addresses: Vec::new(),
        }
    }
}

/// `GET,POST https://api.github.com/repos/{owner}/**`, and operations after it: how it is written on
/// a command line.
impl FromStr for HttpGrant {
    type Err = HttpGrantError;

    fn from_str(text: &str) -> Result<Self, HttpGrantError> {
        let form = || HttpGrantError::Form(crate::asked::shown(text));
        let (methods, place) = text.split_once(' ').ok_or_else(form)?;
        let (place, operations) = match place.split_once(' ') {
            Some((place, operations)) => (place, Some(operations)),
            None => (place, None),
        };
        let (scheme, rest) = place.split_once("://").ok_or_else(form)?;
        let (authority, path) = rest.split_once('/').ok_or_else(form)?;
        let part = |error: &dyn fmt::Display| HttpGrantError::Part(error.to_string());
        let methods = methods
            .split(',')
            .map(|method| method.parse().map_err(|e| part(&e)))
            .collect::<Result<_, _>>()?;
        let operations = operations.map(|operations| {
            let each = operations.split(',').map(|it| it.trim().parse());
            each.collect::<Result<_, _>>().and_then(checked)
        });
        let operations = operations.transpose().map_err(|e| part(&e))?;
        let origin = format!("{scheme}://{authority}");
        Ok(Self {
            origin: origin.parse().map_err(|e| part(&e))?,
            methods,
            paths: vec![format!("/{path}").parse().map_err(|e| part(&e))?],
            operations,
            credential: None,
            ca: None,
            client_certificate: None,
            addresses: Vec::new(),
        })
    }
}

impl fmt::Display for HttpGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let methods: Vec<&str> = self.methods.iter().map(Method::as_str).collect();
        let methods = methods.join(",");
        let operations = self.operations.iter().flatten();
        let operations: Vec<String> = operations.map(ToString::to_string).collect();
        let operations = match operations.as_slice() {
            [] => String::new(),
            some => format!(" {}", some.join(", ")),
        };
        for (position, path) in self.paths.iter().enumerate() {
            let between = if position == 0 { "" } else { "\n" };
            write!(f, "{between}{methods} {}{path}{operations}", self.origin)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_form() {
        let text = "GET,POST https://api.github.com/repos/{owner}/**";
        let grant: HttpGrant = text.parse().unwrap();
        assert_eq!(grant.to_string(), text);
        let matches = |method, host, path| grant.matches(method, "https", host, 443, path);
        assert!(matches("POST", "api.github.com", "/repos/a/b/c"));
        assert!(!matches("DELETE", "api.github.com", "/repos/a/b"));
        assert!(!matches("GET", "github.com", "/repos/a/b"));
        assert!(!matches("GET", "api.github.com", "/user"));
        for text in [
            "POST https://a.test/graphql query issues, mutation issueCreate",
            "POST https://ec2.eu-1.amazonaws.com/ DescribeInstances",
        ] {
            let grant: HttpGrant = text.parse().unwrap();
            assert_eq!(grant.to_string(), text);
            assert!(grant.allows(&grant.operations.clone().unwrap()));
            assert!(!grant.allows(&["mutation issueDelete".parse().unwrap()]));
            assert!(!grant.hides_operations());
            let place: Vec<&str> = text.split(' ').take(2).collect();
            let every: HttpGrant = place.join(" ").parse().unwrap();
            assert!(every.hides_operations());
        }
        for (text, part) in [
            ("", "write METHOD"),
            ("GET", "write METHOD"),
            ("GET https://a", "write METHOD"),
            ("https://a/b", "write METHOD"),
            ("get https://a/b", "method"),
            ("GET https://A/b", "written `https://a`"),
            ("GET https://a//b", "empty"),
            ("TRACE https://a/b", "TRACE"),
            ("POST https://a/graphql ", "no operation"),
            ("POST https://a/graphql query", "no operation"),
            ("POST https://a/graphql query a, GetItem", "either"),
            ("POST https://a/graphql query a,, query b", "no operation"),
        ] {
            let message = text.parse::<HttpGrant>().unwrap_err().to_string();
            assert!(message.contains(part), "{text:?}: {message}");
        }
    }
}
