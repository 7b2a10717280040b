//! Bodies that nobody reads. An answer that is sent while its request is still arriving is lost to
//! most clients: they find a broken connection and not the refusal. So what is left of a body is
//! read and thrown away first, within bounds.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Error;
use axum::body::{Body, Bytes};
use futures::StreamExt as _;
use http_body::{Frame, SizeHint};
use tokio::sync::oneshot;

/// Up to this many bytes arrive whether anybody reads them or not.
const ARRIVES_ANYWAY: u64 = 16 << 10;
/// Bytes, and time, that a refused request is worth.
const MOST_BYTES: usize = 64 << 20;
const MOST_TIME: Duration = Duration::from_secs(2);

/// What comes back of a body that its handler dropped before the end.
pub(crate) struct Unread(oneshot::Receiver<Body>);

/// A body that comes back when it is dropped.
struct Lent {
    body: Body,
    back: Option<oneshot::Sender<Body>>,
}

/// Lends a body that could still be arriving when its request is answered.
pub(crate) fn lend(body: Body) -> (Body, Option<Unread>) {
    let size = http_body::Body::size_hint(&body);
    if size.upper().is_some_and(|most| most <= ARRIVES_ANYWAY) {
        return (body, None);
    }
    let (back, unread) = oneshot::channel();
    let lent = Lent {
        body,
        back: Some(back),
    };
    (Body::new(lent), Some(Unread(unread)))
}

impl Unread {
    /// Reads what is left, and throws it away.
    pub(crate) async fn drain(mut self) {
        let Ok(body) = self.0.try_recv() else { return };
        let mut pieces = body.into_data_stream();
        let read = async {
            let mut bytes = 0;
            while let Some(Ok(piece)) = pieces.next().await
                && bytes < MOST_BYTES
            {
                bytes += piece.len();
            }
        };
        // Whoever sends more, or slower, is cut off: the answer goes out all the same.
        let _in_time = tokio::time::timeout(MOST_TIME, read).await;
    }
}

impl http_body::Body for Lent {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(back) = self.back.take()
            && !http_body::Body::is_end_stream(&self.body)
        {
            // Nobody waits for it where the request was answered well.
            let _ = back.send(std::mem::take(&mut self.body));
        }
    }
}
