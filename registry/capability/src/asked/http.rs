//! Requests to a server.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use super::list::{self, and, distinct};
use super::method::Method;
use super::name::CredentialName;
use super::operation::{self, Operation};
use super::origin::OriginPattern;
use super::path::PathTemplate;

/// The most methods in one entry, of a manifest or a grant.
pub const MAX_METHODS: usize = 16;
/// The most path templates in one entry, of a manifest or a grant.
pub const MAX_PATHS: usize = 32;

/// Requests that a capsule asks to send: any of these methods on any of these paths, at this
/// origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HttpCapability {
    /// Where to.
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
        deserialize_with = "operation::operations",
        skip_serializing_if = "Option::is_none"
    )]
    pub operations: Option<Vec<Operation>>,
    /// The credential that may accompany such a request. The guest never sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialName>,
    /// What for, in the author's words: one line of at most 200 characters.
    #[serde(deserialize_with = "list::why")]
    pub why: String,
}

pub(crate) fn methods<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Method>, D::Error> {
    let methods = list::of(deserializer, "methods", MAX_METHODS)?;
    distinct(&methods, Method::to_string)?;
    Ok(methods)
}

pub(crate) fn paths<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<PathTemplate>, D::Error> {
    let texts: Vec<String> = list::of(deserializer, "paths", MAX_PATHS)?;
    // An error points at the list, so it must say which of these is meant.
    let parse = |text: &String| {
        text.parse()
            .map_err(|e| D::Error::custom(format_args!("the path `{}`: {e}", super::shown(text))))
    };
    let paths = texts.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    distinct(&paths, PathTemplate::to_string)?;
    Ok(paths)
}

impl HttpCapability {
    /// Whether such a request is asked for here, as far as its place says: see
    /// [`allows`](Self::allows) for its operations. Host and path must be in their normal form (see
    /// [`normalise_path`](super::normalise_path)); in another they are not matched.
    pub fn matches(&self, method: &str, scheme: &str, host: &str, port: u16, path: &str) -> bool {
        self.methods.iter().any(|m| m.as_str() == method)
            && self.origin.matches(scheme, host, port)
            && self.paths.iter().any(|template| template.matches(path))
    }

    /// Whether a request with these operations is asked for here.
    pub fn allows(&self, operations: &[Operation]) -> bool {
        operation::covers(self.operations.as_deref(), Some(operations))
    }

    /// Whether what a request does there is not said by its path, and is not said here either.
    pub fn hides_operations(&self) -> bool {
        let host = self.origin.host().to_string();
        operation::hides(&host, self.paths.iter(), self.operations.as_deref())
    }

    /// Whether every request that `other` matches is one that this matches too, with its
    /// credential if it has one. May say no where the answer is yes, never the other way round.
    pub fn covers(&self, other: &Self) -> bool {
        other.methods.iter().all(|method| {
            let paths = &mut other.paths.iter();
            paths.all(|path| self.covers_one(other, method, path))
        })
    }

    /// The same for one method and path of `other`.
    pub(super) fn covers_one(&self, other: &Self, method: &Method, path: &PathTemplate) -> bool {
        self.origin.covers(&other.origin)
            && self.methods.contains(method)
            && self.paths.iter().any(|mine| mine.covers(path))
            && operation::covers(self.operations.as_deref(), other.operations.as_deref())
            && (other.credential.is_none() || self.credential == other.credential)
    }
}

impl HttpCapability {
    /// As in "may give away links to GET `https://s3.example.com/reports/**`, signed with the
    /// credential `reports`: whoever has one needs no other".
    pub(super) fn as_link(&self) -> String {
        let (methods, paths) = (and(&self.methods), and(&self.paths));
        let credential = self.credential.as_ref();
        let signed = credential.map_or_else(String::new, |name| {
            format!(", signed with the credential `{name}`")
        });
        let every = if self.hides_operations() {
            "; every operation"
        } else {
            ""
        };
        format!(
            "may give away links to {methods} {}{paths}{signed}: whoever has one needs no other{every}",
            self.origin
        )
    }
}

impl fmt::Display for HttpCapability {
    /// As in "may send GET and POST requests to `https://api.github.com/repos/**`, with the
    /// credential `github`".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let methods = and(&self.methods);
        let paths = and(&self.paths);
        write!(f, "may send {methods} requests to {}{paths}", self.origin)?;
        match self.operations.as_deref() {
            Some(operations) => write!(f, ", for {} alone", and(operations))?,
            None if self.hides_operations() => f.write_str(", for every operation")?,
            None => {}
        }
        match &self.credential {
            Some(name) => write!(f, ", with the credential `{name}`"),
            None => Ok(()),
        }
    }
}
