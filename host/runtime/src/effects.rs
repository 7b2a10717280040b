//! What a call does to the outside, for whoever keeps a record of it: announced before the first
//! byte goes out, and told at the end.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tokio::sync::OnceCell;
use url::Url;

use crate::imports::http::SendError;

/// Requests that are told one by one; further ones are only counted.
const TOLD: usize = 32;
/// Characters of a path or of an error that are told.
const CHARACTERS: usize = 256;

/// Is told that a call is about to send its first byte; what it answers goes, or nothing does.
pub trait Herald: Send + Sync {
    /// Whether the call may send something.
    fn announce(&self) -> Pin<Box<dyn Future<Output = bool> + Send + '_>>;
}

/// One request, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Egress {
    /// As the guest wrote it.
    pub method: String,
    /// Scheme, host and port.
    pub origin: String,
    /// Without the query, which may hold a credential; shortened.
    pub path: String,
    /// Of the response, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The effects of one call so far. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Effects(Arc<Inner>);

#[derive(Default)]
struct Inner {
    herald: Option<Arc<dyn Herald>>,
    announced: OnceCell<bool>,
    egress: Mutex<Vec<Egress>>,
}

impl Effects {
    pub(crate) fn new(herald: Option<Arc<dyn Herald>>) -> Self {
        Self(Arc::new(Inner {
            herald,
            ..Inner::default()
        }))
    }

    /// Goes on where something may be sent. Asked of the herald once a call, however many requests
    /// come at once.
    pub(crate) async fn announce(&self) -> Result<(), SendError> {
        let ask = async || match &self.0.herald {
            Some(herald) => herald.announce().await,
            None => true,
        };
        if *self.0.announced.get_or_init(ask).await {
            return Ok(());
        }
        let why = "the host cannot record that something is sent, so nothing is";
        Err(SendError::Connect(why.to_owned()))
    }

    /// Whether something may have been sent.
    pub(crate) fn any(&self) -> bool {
        self.0.announced.get().copied().unwrap_or(false)
    }

    /// Tells of a request, where its URL is one, and of the status that it had or why there was none.
    pub(crate) fn tell(&self, method: &str, url: &str, outcome: Result<u16, String>) {
        let mut told = self.0.egress.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= TOLD {
            return;
        }
        let Ok(url) = Url::parse(url) else {
            return;
        };
        let short = |text: &str| text.chars().take(CHARACTERS).collect::<String>();
        told.push(Egress {
            method: short(method),
            origin: short(&url.origin().ascii_serialization()),
            path: short(url.path()),
            status: outcome.as_ref().ok().copied(),
            error: outcome.err().map(|error| short(&error)),
        });
    }

    /// The requests told of.
    pub(crate) fn take(&self) -> Vec<Egress> {
        std::mem::take(&mut *self.0.egress.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for dyn Herald {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Herald")
    }
}
