//! Exchanges with streamed bodies, several in flight at once. For small bodies
//! [`Request::send`](super::Request::send) is simpler.
//!
//! ```
//! use std::io::{BufRead, BufReader};
//! use soma_sdk::{http, testing};
//! # let _net = testing::Http::new()
//! #     .on_get("https://api.test/events", testing::reply(200).chunk("one\nt").chunk("wo\n"));
//!
//! let mut events = http::get("https://api.test/events").stream()?;
//! assert_eq!(events.head()?.status, 200);
//! let lines: Vec<String> = BufReader::new(events).lines().collect::<Result<_, _>>()?;
//! assert_eq!(lines, ["one", "two"]);
//! # Ok::<(), soma_sdk::Error>(())
//! ```
//!
//! ```
//! # use soma_sdk::{http, testing};
//! # let _net = testing::Http::new().on("PUT", "https://api.test/file", testing::reply(200));
//! // A body that has ended takes no more.
//! let mut file = http::put("https://api.test/file").upload()?;
//! file.write(b"all of it")?;
//! file.finish()?;
//! assert!(matches!(file.write(b"more"), Err(http::Error::InvalidRequest(_))));
//! # Ok::<(), soma_sdk::Error>(())
//! ```

use std::io;

use super::Parts;
use super::{Error, Headers};

#[cfg(not(target_family = "wasm"))]
use crate::testing::ScriptedExchange as Inner;
#[cfg(target_family = "wasm")]
use host::HostExchange as Inner;

/// The most bytes that one read asks for.
const PIECE: u32 = 64 * 1024;

/// One request under way, and its response. Dropping it gives up the exchange. It also is
/// [`io::Read`] (the response's body) and [`io::Write`] (the request's).
pub struct Exchange(Inner);

/// A response's status and header fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The status code, 100–599.
    pub status: u16,
    /// The header fields.
    pub headers: Headers,
}

impl Exchange {
    pub(super) fn start(mut parts: Parts) -> Result<Self, Error> {
        let body = std::mem::take(&mut parts.body);
        let mut exchange = Self(Inner::start(parts)?);
        if !body.is_empty() {
            exchange.write(&body)?;
        }
        Ok(exchange)
    }

    /// Sends one piece of the request's body; waits while the peer is slower.
    pub fn write(&mut self, piece: &[u8]) -> Result<(), Error> {
        self.0.write(piece)
    }

    /// Ends the request's body. Writing after it is an [`Error::InvalidRequest`].
    pub fn finish(&mut self) -> Result<(), Error> {
        self.0.finish()
    }

    /// Waits for the response's status and header fields. May be called again.
    pub fn head(&mut self) -> Result<Head, Error> {
        self.0.head()
    }

    /// Waits for the next piece of the response's body, 64 KiB at most; none at its end.
    pub fn next_piece(&mut self) -> Result<Option<Vec<u8>>, Error> {
        self.0.read(PIECE)
    }
}

/// Waits until at least one of the exchanges can go on without waiting: its response has begun,
/// has more to read, has ended or has failed. Gives their positions.
pub fn wait(exchanges: &[&Exchange]) -> Vec<usize> {
    let inner: Vec<&Inner> = exchanges.iter().map(|exchange| &exchange.0).collect();
    Inner::wait(&inner)
}

impl io::Read for Exchange {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let max = u32::try_from(into.len()).unwrap_or(u32::MAX).min(PIECE);
        if max == 0 {
            return Ok(0);
        }
        let piece = self.0.read(max).map_err(io::Error::other)?;
        let piece = piece.unwrap_or_default();
        into[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}

impl io::Write for Exchange {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.0.write(from).map_err(io::Error::other)?;
        Ok(from.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(target_family = "wasm")]
mod host {
    //! The exchange as the host keeps it.

    use super::{Error, Head, Parts};
    use crate::bindings::soma::capsule::http_stream as wit;

    pub(super) struct HostExchange(wit::Exchange);

    impl HostExchange {
        pub(super) fn start(parts: Parts) -> Result<Self, Error> {
            let exchange = wit::start(&wit::RequestHead {
                method: parts.method,
                url: parts.url,
                headers: parts.headers.into(),
                timeout_ms: parts.timeout_ms,
            })?;
            Ok(Self(exchange))
        }

        pub(super) fn write(&mut self, piece: &[u8]) -> Result<(), Error> {
            Ok(self.0.write(piece)?)
        }

        pub(super) fn finish(&mut self) -> Result<(), Error> {
            Ok(self.0.finish()?)
        }

        pub(super) fn head(&mut self) -> Result<Head, Error> {
            let head = self.0.head()?;
            Ok(Head {
                status: head.status,
                headers: head.headers.into(),
            })
        }

        pub(super) fn read(&mut self, max: u32) -> Result<Option<Vec<u8>>, Error> {
            Ok(self.0.read(max)?)
        }

        pub(super) fn wait(exchanges: &[&Self]) -> Vec<usize> {
            let exchanges: Vec<&wit::Exchange> = exchanges.iter().map(|e| &e.0).collect();
            let ready = wit::wait(&exchanges);
            ready
                .into_iter()
                .map(|position| position as usize)
                .collect()
        }
    }
}
