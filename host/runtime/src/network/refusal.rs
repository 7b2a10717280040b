//! Why a request is not sent: what the guest is told, and what the operator is.

use std::fmt;
use std::net::IpAddr;

use http::Method;
use soma_capability::{
    CredentialName, HttpCapability, HttpGrant, Operation, Origin, PathError, normalise_path,
};
use url::Url;

use super::breaker::Down;
use crate::imports::fields::shortened;

/// Why a request is not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No server should be asked this.
    Malformed(String),
    /// It is well formed, and not allowed.
    Denied(Denial),
    /// It is allowed, and its upstream is left alone.
    Down(Down),
}

/// What was missing: for the guest. For the operator there is more in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denial {
    /// The manifest does not ask for it, so that nothing can be granted.
    #[error("the manifest does not ask for {0}")]
    NotAsked(Box<Wanted>),
    /// The manifest asks for it, and it is not granted.
    #[error("no grant covers {0}")]
    NotGranted(Box<Wanted>),
    /// The manifest asks for no such link.
    #[error("the manifest does not ask for links to {0}")]
    LinkNotAsked(Box<Wanted>),
    /// The manifest asks for it, and it is not granted with a credential that both name.
    #[error("no grant covers links to {0}")]
    LinkNotGranted(Box<Wanted>),
    /// It is granted, and the key of the call may not use all that is.
    #[error("the key of this call does not allow {0}")]
    Narrowed(Box<Wanted>),
    /// Some operations are granted there, and the server alone knows which these are.
    #[error("{wanted} is granted for some operations alone, and {why}")]
    Unseen {
        wanted: Box<Wanted>,
        why: &'static str,
    },
    /// It is granted with a credential that is not there.
    #[error("the credential `{0}` is not to be had")]
    NoCredential(CredentialName),
    /// It is granted with a client certificate that is not there.
    #[error("the client certificate `{0}` is not to be had")]
    NoCertificate(CredentialName),
    /// The server is at an address that is granted by number or not at all.
    #[error("{host} is at {address}, which is {what}")]
    Special {
        host: String,
        address: IpAddr,
        what: &'static str,
    },
    /// It is, or may be, the host itself.
    #[error("a capsule never reaches its own host")]
    Host,
}

/// A request, as far as it is matched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    /// As the guest wrote it.
    pub method: String,
    /// Where to.
    pub origin: Origin,
    /// In its normal form, without the query.
    pub path: String,
    /// What it does there, where somebody has looked and could tell.
    pub operations: Vec<Operation>,
}

impl Wanted {
    /// A request for a URL, whose path takes its normal form.
    pub(super) fn of(method: &Method, origin: Origin, url: &mut Url) -> Result<Self, Refusal> {
        let path = normalise_path(url.path()).map_err(|error| unreadable(&error))?;
        url.set_path(&path);
        if url.path() != path {
            return Err(malformed("the path has no single form"));
        }
        Ok(Self {
            method: method.to_string(),
            origin,
            path,
            operations: Vec::new(),
        })
    }

    /// As far as its place says.
    pub(super) fn is_asked(&self, asked: &HttpCapability) -> bool {
        let (scheme, host, port) = self.place();
        asked.matches(&self.method, scheme, host, port, &self.path)
    }

    /// As far as its place says.
    pub(super) fn is_granted(&self, granted: &HttpGrant) -> bool {
        let (scheme, host, port) = self.place();
        granted.matches(&self.method, scheme, host, port, &self.path)
    }

    /// Whether one of these is for its place.
    pub(super) fn is_in(&self, granted: &[HttpGrant]) -> bool {
        granted.iter().any(|granted| self.is_granted(granted))
    }

    /// Whether a manifest asks for it. One that nobody could look at may be what is asked for there.
    pub fn is_asked_by(&self, asked: &[HttpCapability]) -> bool {
        asked.iter().any(|asked| self.may_be(asked))
    }

    /// Whether one of these covers it. One that nobody could look at takes an entry for every
    /// operation.
    pub fn is_covered_by(&self, granted: &[HttpGrant]) -> bool {
        granted.iter().any(|granted| self.is_covered(granted))
    }

    fn may_be(&self, asked: &HttpCapability) -> bool {
        self.is_asked(asked) && asked.allows(&self.operations)
    }

    fn is_covered(&self, granted: &HttpGrant) -> bool {
        let is_said = match self.operations.as_slice() {
            [] => granted.operations.is_none(),
            some => granted.allows(some),
        };
        is_said && self.is_granted(granted)
    }

    /// The entry that it is sent by, and the credential that goes along: those of the first that has
    /// one which is asked for too, as when it is sent.
    pub(super) fn sent_by<'a>(
        &self,
        asked: &[HttpCapability],
        granted: &'a [HttpGrant],
    ) -> Option<(&'a HttpGrant, Option<&'a CredentialName>)> {
        let asked: Vec<_> = asked.iter().filter(|asked| self.may_be(asked)).collect();
        let mut granted = granted.iter().filter(|granted| self.is_covered(granted));
        let first = granted.clone().next()?;
        let both = granted.find_map(|entry| {
            let name = entry.credential.as_ref()?;
            let is_asked = asked.iter().any(|it| it.credential.as_ref() == Some(name));
            is_asked.then_some((entry, Some(name)))
        });
        Some(both.unwrap_or((first, None)))
    }

    fn place(&self) -> (&str, &str, u16) {
        let origin = &self.origin;
        (origin.scheme(), origin.host(), origin.port())
    }
}

pub(super) fn malformed(why: &str) -> Refusal {
    Refusal::Malformed(why.to_owned())
}

fn unreadable(error: &PathError) -> Refusal {
    Refusal::Malformed(format!("the path: {error}"))
}

impl Denial {
    /// What an operator would have to grant, as `soma grant set` takes it.
    pub(crate) fn remedy(&self) -> String {
        match self {
            Self::NotAsked(wanted) => {
                // What a guest, and so a model, thought of is not to be opened to everybody.
                format!("the manifest must ask for `{wanted}`")
            }
            Self::NotGranted(wanted) => format!(
                "an entry `{wanted}` beside those that `soma grant show CAPSULE` shows: `soma grant \
                 set` replaces them all"
            ),
            Self::LinkNotAsked(wanted) => format!("the manifest must ask for links to `{wanted}`"),
            Self::LinkNotGranted(wanted) => {
                format!(
                    "an entry of `links` for `{wanted}` in the grant's file, with the credential"
                )
            }
            Self::Narrowed(_) => "a key that is not narrowed to less".to_owned(),
            Self::Unseen { wanted, .. } => format!(
                "an entry for `{wanted}` that names no operations, in the manifest and in the grant"
            ),
            Self::Host => "nothing: the host is never granted".to_owned(),
            Self::NoCredential(name) => format!(
                "`soma secret set {name}`; where it is set, a line before says why it is not to be had"
            ),
            Self::NoCertificate(name) => {
                format!("`soma secret set {name} --client-certificate --file FILE`")
            }
            Self::Special { address, .. } => {
                format!("the grant's entry for that host needs `--address {address}`")
            }
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            method,
            origin,
            path,
            operations,
        } = self;
        let mut text = format!("{method} {origin}{path}");
        for (position, operation) in operations.iter().enumerate() {
            text.push_str(if position == 0 { " " } else { ", " });
            text.push_str(&operation.to_string());
        }
        f.write_str(&shortened(&text))
    }
}
