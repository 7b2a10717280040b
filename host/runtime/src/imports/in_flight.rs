//! Bytes of request bodies that the host holds for one call, bounded whatever door they came by.
//! A peer that does not read would otherwise make the host hold what the guest need not.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::http::SendError;

/// Bytes of request bodies on their way, all exchanges of one call together: more than that
/// waits until some have gone out.
const MOST_BYTES: u32 = 4 << 20;

/// Bytes that go to the client at once.
const PIECE_BYTES: usize = 64 << 10;

/// Bytes of a body that is collected whole.
pub(super) const MOST_WHOLE: u32 = 1 << 20;

/// One call's share. Clones are the same share.
#[derive(Clone)]
pub(crate) struct InFlight(Arc<Semaphore>);

/// A piece with its part of the share, which goes back when the last of its bytes is let go: by
/// the connection that wrote it, or with the exchange that ended before.
struct Held {
    bytes: Bytes,
    _part: Option<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl InFlight {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MOST_BYTES as usize)))
    }

    /// The same bytes, once there is room for them.
    pub(crate) async fn hold(self, bytes: Bytes) -> Bytes {
        let size = u32::try_from(bytes.len()).map_or(MOST_BYTES, |size| size.min(MOST_BYTES));
        // Nobody closes it, so there is always a part to have.
        let part = self.0.acquire_many_owned(size).await.ok();
        Bytes::from_owner(Held { bytes, _part: part })
    }

    /// A body that comes in pieces, whole; there is room for the largest before it is asked for the
    /// first piece.
    pub(super) async fn collect(self, body: reqwest::Body) -> Result<Bytes, SendError> {
        let part = self.0.acquire_many_owned(MOST_WHOLE).await.ok();
        let whole = Limited::new(body, MOST_WHOLE as usize).collect().await;
        let whole = whole.map_err(|_| SendError::TooLarge(MOST_WHOLE.into()))?;
        let bytes = whole.to_bytes();
        Ok(Bytes::from_owner(Held { bytes, _part: part }))
    }
}

/// Copies, so that one piece does not keep the whole alive.
pub(crate) fn pieces(whole: &[u8]) -> impl Iterator<Item = Bytes> {
    whole.chunks(PIECE_BYTES).map(Bytes::copy_from_slice)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn what_is_held_is_bounded() {
        let share = InFlight::new();
        let piece = Bytes::from_static(&[0; PIECE_BYTES]);
        let hold = || share.clone().hold(piece.clone()).now_or_never();
        let mut held: Vec<Bytes> = std::iter::from_fn(hold).collect();
        assert_eq!(held.len() * PIECE_BYTES, MOST_BYTES as usize);
        // A part of a piece keeps all of it.
        let rest = held.pop().map(|mut last| last.split_off(1));
        assert!(hold().is_none());
        drop(rest);
        assert!(hold().is_some());
    }

    #[test]
    fn a_piece_larger_than_the_share_passes_alone() {
        let share = InFlight::new();
        let large = Bytes::from(vec![0; MOST_BYTES as usize + 1]);
        let held = share.clone().hold(large.clone()).now_or_never();
        assert_eq!(held.as_ref(), Some(&large));
        assert!(share.clone().hold(large).now_or_never().is_none());
    }
}
