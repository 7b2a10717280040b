//! A body on its way, counted and bounded.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use reqwest::Body;
use tokio::time::{Instant, Sleep, sleep_until};

use super::http::{SendError, invalid};
use crate::mask;
use crate::traffic::{Direction, Traffic};

/// A request's or a response's body.
pub(crate) struct MeteredBody {
    body: Body,
    traffic: Arc<Traffic>,
    direction: Direction,
    limit: u64,
    /// Bytes that there must be, where that was said beforehand.
    length: Option<u64>,
    seen: u64,
    deadline: Instant,
    /// How long the next piece may take, and whether that time is running.
    between: Option<Duration>,
    waiting: bool,
    timer: Pin<Box<Sleep>>,
    /// What looks for credentials in it.
    mask: Option<Box<Mask>>,
}

struct Mask {
    stream: mask::Stream,
    /// Trailers, which come after what the stream held.
    trailers: Option<Frame<Bytes>>,
}

impl MeteredBody {
    /// Bytes to the network: exactly `length`, or as many as the guest can make where it did not
    /// say. The client tells the peer what `size_hint` tells the client.
    pub(crate) fn sent(
        body: Body,
        length: Option<u64>,
        traffic: Arc<Traffic>,
        deadline: Instant,
    ) -> Result<Self, SendError> {
        use http_body::Body as _;
        if let (Some(length), Some(size)) = (length, body.size_hint().exact())
            && length != size
        {
            return Err(wrong_length(length));
        }
        let sent = Self::new(body, traffic, Direction::Out, u64::MAX, deadline);
        Ok(Self { length, ..sent })
    }

    /// Bytes from the network, at most `limit`.
    pub(crate) fn received(
        body: Body,
        traffic: Arc<Traffic>,
        limit: u64,
        deadline: Instant,
    ) -> Self {
        Self::new(body, traffic, Direction::In, limit, deadline)
    }

    fn new(
        body: Body,
        traffic: Arc<Traffic>,
        direction: Direction,
        limit: u64,
        deadline: Instant,
    ) -> Self {
        Self {
            body,
            traffic,
            direction,
            limit,
            length: None,
            seen: 0,
            deadline,
            between: None,
            waiting: false,
            timer: Box::pin(sleep_until(deadline)),
            mask: None,
        }
    }

    /// Bounds the wait for each piece too.
    pub(crate) fn at_most_between_pieces(self, between: Option<Duration>) -> Self {
        Self { between, ..self }
    }

    /// Looks for credentials in it.
    pub(crate) fn masked(self, stream: Option<mask::Stream>) -> Self {
        let mask = stream.map(|stream| {
            Box::new(Mask {
                stream,
                trailers: None,
            })
        });
        Self { mask, ..self }
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(between) = self.between
            && !self.waiting
        {
            let next = Instant::now().checked_add(between);
            let next = next.map_or(self.deadline, |next| next.min(self.deadline));
            self.timer.as_mut().reset(next);
        }
        self.waiting = true;
        self.timer.as_mut().poll(cx)
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

    /// The next frame as it came, counted.
    fn poll_metered(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, SendError>>> {
        use http_body::Body as _;
        let frame = match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => frame,
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(None) => {
                return Poll::Ready(match self.length {
                    Some(length) if self.seen < length => Some(Err(wrong_length(length))),
                    _ => None,
                });
            }
            Poll::Pending => {
                return self.poll_timer(cx).map(|()| Some(Err(SendError::Timeout)));
            }
        };
        self.waiting = false;
        let size = frame.data_ref().map_or(0, Bytes::len);
        let is_paid = self.traffic.count(self.direction, size);
        self.seen = self.seen.saturating_add(size as u64);
        if !is_paid {
            return Poll::Ready(Some(Err(unpaid())));
        }
        if self.seen > self.limit {
            return Poll::Ready(Some(Err(SendError::TooLarge(self.limit))));
        }
        if let Some(length) = self.length
            && self.seen > length
        {
            return Poll::Ready(Some(Err(wrong_length(length))));
        }
        Poll::Ready(Some(Ok(frame)))
    }
}

impl http_body::Body for MeteredBody {
    type Data = Bytes;
    type Error = SendError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, SendError>>> {
        loop {
            if let Some(trailers) = self.mask.as_mut().and_then(|mask| mask.trailers.take()) {
                return Poll::Ready(Some(Ok(trailers)));
            }
            let frame = ready!(self.poll_metered(cx)?);
            let Some(mask) = &mut self.mask else {
                return Poll::Ready(frame.map(Ok));
            };
            let data = match frame.map(Frame::into_data) {
                Some(Ok(data)) => mask.stream.push(&data),
                Some(Err(mut trailers)) => {
                    if let Some(fields) = trailers.trailers_mut() {
                        mask.stream.trailers(fields);
                    }
                    mask.trailers = Some(trailers);
                    mask.stream.end().unwrap_or_default()
                }
                None => return Poll::Ready(mask.stream.end().map(Frame::data).map(Ok)),
            };
            // All of it may have to wait for what comes next.
            if !data.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let holds = |mask: &Mask| mask.stream.holds() || mask.trailers.is_some();
        self.body.is_end_stream() && !self.mask.as_deref().is_some_and(holds)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        if self.mask.is_some() {
            // Some of what the body has given may be held.
            return http_body::SizeHint::new();
        }
        match self.length {
            Some(length) => http_body::SizeHint::with_exact(length.saturating_sub(self.seen)),
            None => self.body.size_hint(),
        }
    }
}

/// The guest hardly reads it: it is stopped where it would pay.
fn unpaid() -> SendError {
    SendError::Protocol("the call has no tokens left for the body".to_owned())
}

fn wrong_length(length: u64) -> SendError {
    invalid(format!(
        "`content-length` says {length} bytes, and the body has more or less"
    ))
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures::stream::{self, StreamExt as _};
    use http_body_util::{BodyExt as _, Collected};

    use super::*;

    fn in_an_hour() -> Instant {
        Instant::now() + Duration::from_secs(3600)
    }

    /// A body of one and two bytes, whose length nobody knows beforehand.
    fn two_pieces() -> Body {
        let pieces = [&b"a"[..], b"bc"].map(|piece| Ok::<_, SendError>(Bytes::from_static(piece)));
        Body::wrap_stream(stream::iter(pieces))
    }

    #[tokio::test]
    async fn what_is_sent_has_the_length_that_was_said() {
        let send = async |length| {
            let body = MeteredBody::sent(two_pieces(), length, Arc::default(), in_an_hour());
            body.unwrap().collect().await.map(Collected::to_bytes)
        };
        for right in [None, Some(3)] {
            assert_eq!(send(right).await.unwrap(), "abc");
        }
        for wrong in [0, 1, 2, 4, u64::MAX] {
            let error = send(Some(wrong)).await.unwrap_err();
            assert!(matches!(error, SendError::InvalidRequest(_)), "{error}");
        }
        for (length, known) in [(0, ""), (1, "a"), (100, "")] {
            let sent = MeteredBody::sent(known.into(), Some(length), Arc::default(), in_an_hour());
            assert_eq!(sent.is_ok(), length == known.len() as u64);
        }
    }

    #[tokio::test]
    async fn what_is_held_comes_before_trailers() {
        let secret = "a-secret-of-the-tests".to_owned();
        let looks = Arc::new(mask::Looks::of([secret.clone().into()]));
        let mut trailers = http::HeaderMap::new();
        trailers.insert("x-echo", secret.parse().unwrap());
        let frames = [
            Frame::data(Bytes::from_static(b"it begins with a")),
            Frame::trailers(trailers),
        ];
        let frames = stream::iter(frames.map(Ok::<_, SendError>));
        let body = Body::wrap(http_body_util::StreamBody::new(frames));
        let body = MeteredBody::received(body, Arc::default(), u64::MAX, in_an_hour())
            .masked(mask::Masking::new(looks).stream());
        let whole = body.collect().await.unwrap();
        assert_eq!(
            whole.trailers().unwrap()["x-echo"],
            "*".repeat(secret.len())
        );
        assert_eq!(whole.to_bytes(), "it begins with a");
    }

    #[tokio::test]
    async fn a_piece_is_waited_for_as_long_as_was_said() {
        let first = stream::iter([Ok::<_, SendError>(Bytes::from_static(b"one"))]);
        let body = Body::wrap_stream(first.chain(stream::pending()));
        let mut body = MeteredBody::received(body, Arc::default(), u64::MAX, in_an_hour())
            .at_most_between_pieces(Some(Duration::from_millis(5)));
        let mut next = async || poll_fn(|cx| body.poll_chunk(cx)).await;
        assert_eq!(next().await, Some(Ok(Bytes::from_static(b"one"))));
        assert_eq!(next().await, Some(Err(SendError::Timeout)));
    }
}
