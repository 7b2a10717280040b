//! A body on its way, counted and bounded.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use reqwest::Body;
use tokio::time::{Instant, Sleep, sleep_until};

use super::http::SendError;
use crate::meter::Traffic;

/// A request's or a response's body.
pub(crate) struct MeteredBody {
    body: Body,
    traffic: Arc<Traffic>,
    counter: fn(&Traffic) -> &AtomicU64,
    limit: u64,
    seen: u64,
    deadline: Pin<Box<Sleep>>,
}

impl MeteredBody {
    /// Bytes to the network; as many as the guest can make.
    pub(crate) fn sent(body: Body, traffic: Arc<Traffic>, deadline: Instant) -> Self {
        Self::new(body, traffic, |traffic| &traffic.sent, u64::MAX, deadline)
    }

    /// Bytes from the network, at most `limit`.
    pub(crate) fn received(
        body: Body,
        traffic: Arc<Traffic>,
        limit: u64,
        deadline: Instant,
    ) -> Self {
        Self::new(body, traffic, |traffic| &traffic.received, limit, deadline)
    }

    fn new(
        body: Body,
        traffic: Arc<Traffic>,
        counter: fn(&Traffic) -> &AtomicU64,
        limit: u64,
        deadline: Instant,
    ) -> Self {
        Self {
            body,
            traffic,
            counter,
            limit,
            seen: 0,
            deadline: Box::pin(sleep_until(deadline)),
        }
    }

    /// The next piece of data, or none at the end.
    pub(crate) fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, SendError>>> {
        use http_body::Body as _;
        loop {
            match Pin::new(&mut *self).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers end here: no door has a place for them.
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// In the shape that `wasi:http` wants.
    pub(crate) fn boxed(self) -> UnsyncBoxBody<Bytes, wasmtime_wasi_http::Error> {
        use http_body_util::BodyExt as _;
        self.map_err(Into::into).boxed_unsync()
    }
}

impl http_body::Body for MeteredBody {
    type Data = Bytes;
    type Error = SendError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, SendError>>> {
        let frame = match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => frame,
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => {
                return self
                    .deadline
                    .as_mut()
                    .poll(cx)
                    .map(|()| Some(Err(SendError::Timeout)));
            }
        };
        let size = frame.data_ref().map_or(0, Bytes::len);
        Traffic::add((self.counter)(&self.traffic), size);
        self.seen = self.seen.saturating_add(size as u64);
        if self.seen > self.limit {
            return Poll::Ready(Some(Err(SendError::TooLarge(self.limit))));
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}
