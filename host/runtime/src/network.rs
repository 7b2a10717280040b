//! What a call may reach on the network, and the client it goes through.

mod breaker;
mod judged;
mod learned;
mod operations;
mod peer;
mod refusal;
mod rules;
mod tls;
mod watched;

use std::net::SocketAddr;
use std::sync::Arc;

use http::Method;
use soma_capability::Origin;
use url::Url;

pub(crate) use self::breaker::Attempt;
use self::breaker::Breakers;
pub(crate) use self::judged::Judged;
pub use self::learned::{Learned, Lesson};
pub(crate) use self::operations::Sent;
pub use self::refusal::Wanted;
use self::refusal::malformed;
pub(crate) use self::refusal::{Denial, Refusal};
pub(crate) use self::rules::Rule;
pub use self::rules::{Links, Rules};
pub(crate) use self::tls::Clients;
pub use self::tls::check_authorities;
use crate::credential::Credential;
use crate::mask::{Looks, Masking};

/// What one capsule may send requests to. Cheap to clone; clones share one connection pool, and
/// others do not: a connection that was made under one grant serves no other, and within one grant
/// none that was made as somebody else.
#[derive(Clone, Debug, Default)]
pub struct Network(Option<Arc<Reach>>);

#[derive(Debug)]
struct Reach {
    rules: Arc<Rules>,
    clients: Clients,
    breakers: Breakers,
    looks: Arc<Looks>,
}

/// The HTTP client could not be made; most likely the machine has no root certificates.
#[derive(Debug, thiserror::Error)]
#[error("no HTTP client: {0}")]
pub struct NetworkError(#[from] reqwest::Error);

/// A leave to send one request, where its operations have nothing against it.
pub(crate) struct Leave<'a> {
    pub(crate) clients: &'a Clients,
    pub(crate) judged: Judged<'a>,
    pub(crate) attempt: Attempt<'a>,
}

impl Network {
    /// Nothing at all.
    pub fn none() -> Self {
        Self(None)
    }

    /// What these rules allow.
    pub fn new(rules: Rules) -> Result<Self, NetworkError> {
        // What is asked and not granted must be told apart from what is not asked.
        let asks = !rules.asked.is_empty() || !rules.links.asked.is_empty();
        let is_looked_at = rules.learned.is_some() || rules.watched.is_some();
        if rules.open.is_empty() && !asks && !is_looked_at {
            return Ok(Self::none());
        }
        // Whoever was first wins, and it is the same provider everywhere in this project.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let rules = Arc::new(rules);
        let clients = Clients::new(&rules)?;
        let secrets = rules.credentials.values().flat_map(Credential::secrets);
        let looks = Arc::new(Looks::of(secrets));
        let reach = Reach {
            rules,
            clients,
            breakers: Breakers::default(),
            looks,
        };
        Ok(Self(Some(Arc::new(reach))))
    }

    /// For one call: what its credentials look like where they come back.
    pub(crate) fn masking(&self) -> Masking {
        let looks = self.0.as_ref().map(|reach| reach.looks.clone());
        Masking::new(looks.unwrap_or_default())
    }

    /// The leave to send this request, where it is allowed. The URL becomes what was matched.
    pub(crate) fn permit(&self, method: &Method, url: &mut Url) -> Result<Leave<'_>, Refusal> {
        let origin = origin_of(url)?;
        let Some(reach) = self.0.as_deref() else {
            return Err(Refusal::Denied(Denial::NotAsked(Box::new(Wanted {
                method: method.to_string(),
                origin,
                path: url.path().to_owned(),
                operations: Vec::new(),
            }))));
        };
        let judged = reach.rules.permit(method, origin.clone(), url)?;
        Ok(Leave {
            clients: &reach.clients,
            judged,
            attempt: reach.breakers.attempt(origin).map_err(Refusal::Down)?,
        })
    }

    /// The credential that a link to this is signed with, where it is allowed. The URL becomes what was
    /// matched.
    pub(crate) fn permit_link(
        &self,
        method: &Method,
        url: &mut Url,
    ) -> Result<&Credential, Refusal> {
        let wanted = Wanted::of(method, origin_of(url)?, url)?;
        match self.0.as_deref() {
            Some(reach) => reach.rules.permit_link(wanted).map_err(Refusal::Denied),
            None => Err(Refusal::Denied(Denial::LinkNotAsked(wanted.into()))),
        }
    }

    /// Upstreams that are left alone at this moment.
    pub fn upstreams_down(&self) -> usize {
        self.0.as_deref().map_or(0, |reach| reach.breakers.down())
    }

    /// Whether a server at this address may answer for this URL: asked once more when it has.
    pub(crate) fn admits_peer(&self, url: &Url, peer: Option<SocketAddr>) -> Result<(), Denial> {
        match (self.0.as_deref(), url.host_str(), peer) {
            (Some(reach), Some(host), Some(peer)) => reach.rules.admit(host, peer.ip()),
            _ => Ok(()),
        }
    }
}

/// Where a URL leads that may be sent at all.
fn origin_of(url: &Url) -> Result<Origin, Refusal> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err(malformed("a URL with a user or password in it is not sent"));
    }
    Origin::of(url).ok_or_else(|| malformed("only http and https are spoken here"))
}
