//! What a call does to the outside, for whoever keeps a record of it: announced before the first
//! byte goes out, and told at the end.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
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
    /// It was not sent: the guest was given a link to it, good for so long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_seconds: Option<u32>,
}

/// What became of a request that nothing went wrong with.
#[derive(Clone, Copy)]
pub(crate) enum Done {
    /// It had an answer, of this status.
    Answered(u16),
    /// It is a link, good for so many seconds.
    Linked(u32),
}

/// The effects of one call so far. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Effects(Arc<Inner>);

#[derive(Default)]
struct Inner {
    herald: Option<Arc<dyn Herald>>,
    announced: OnceCell<bool>,
    /// Whether a tool that was called within the call may have sent something.
    within: AtomicBool,
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
        let announced = self.0.announced.get().copied();
        announced.unwrap_or(false) || self.0.within.load(Relaxed)
    }

    /// A tool that was called within the call may have sent something.
    pub(crate) fn within(&self) {
        self.0.within.store(true, Relaxed);
    }

    /// Tells of a request, where its URL is one, and of what became of it.
    pub(crate) fn tell(&self, method: &str, url: &str, outcome: Result<Done, String>) {
        let mut told = self.0.egress.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= TOLD {
            return;
        }
        let Ok(url) = Url::parse(url) else {
            return;
        };
        let (status, link_seconds) = match outcome {
            Ok(Done::Answered(status)) => (Some(status), None),
            Ok(Done::Linked(seconds)) => (None, Some(seconds)),
            Err(_) => (None, None),
        };
        let short = |text: &str| text.chars().take(CHARACTERS).collect::<String>();
        told.push(Egress {
            method: short(method),
            origin: short(&url.origin().ascii_serialization()),
            path: short(url.path()),
            status,
            error: outcome.err().map(|error| short(&error)),
            link_seconds,
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
