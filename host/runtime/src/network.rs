//! What a call may reach on the network, and the client it goes through.

use std::sync::Arc;

use soma_capability::Origin;

/// The origins a call may send requests to. Cheap to clone; clones share one connection pool.
#[derive(Clone, Debug, Default)]
pub struct Network(Option<Arc<Reach>>);

#[derive(Debug)]
struct Reach {
    allowed: Vec<Origin>,
    client: reqwest::Client,
}

/// The HTTP client could not be made; most likely the machine has no root certificates.
#[derive(Debug, thiserror::Error)]
#[error("no HTTP client: {0}")]
pub struct NetworkError(#[from] reqwest::Error);

impl Network {
    /// Nothing at all.
    pub fn none() -> Self {
        Self(None)
    }

    /// Exactly these origins.
    pub fn new(allowed: impl IntoIterator<Item = Origin>) -> Result<Self, NetworkError> {
        let allowed: Vec<Origin> = allowed.into_iter().collect();
        if allowed.is_empty() {
            return Ok(Self::none());
        }
        // Whoever was first wins, and it is the same provider everywhere in this project.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            // A proxy from the environment would see what was granted to somebody else.
            .no_proxy()
            .referer(false)
            .user_agent(concat!("soma/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self(Some(Arc::new(Reach { allowed, client }))))
    }

    /// The client, where this origin is allowed.
    pub(crate) fn client_for(&self, origin: &Origin) -> Option<&reqwest::Client> {
        let reach = self.0.as_deref()?;
        reach.allowed.contains(origin).then_some(&reach.client)
    }
}
