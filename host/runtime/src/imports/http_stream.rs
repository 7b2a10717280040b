//! `soma:capsule/http-stream`: bodies in pieces, several exchanges in flight.

use std::future::poll_fn;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use tokio::sync::mpsc;
use wasmtime::component::Resource;
use wasmtime_wasi::runtime::AbortOnDropJoinHandle;

use super::body::MeteredBody;
use super::fields::{headers_in, headers_out};
use super::http::{GuestRequest, SendError, invalid, timeouts};
use super::in_flight::{InFlight, pieces};
use crate::bindings::soma::capsule::http as wit_http;
use crate::bindings::soma::capsule::http_stream as wit;
use crate::state::InvocationState;

/// Pieces of a request body that wait while the peer is slower than the guest. They are of the
/// size that [`pieces`] gives, and count against the call's [`InFlight`].
const PIECES_WAITING: usize = 2;

/// One request under way, and its response. Dropping it ends both.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Exchange {
    /// Where the request body goes; none once it has ended.
    request: Option<mpsc::Sender<Bytes>>,
    in_flight: InFlight,
    response: Progress,
}

/// How far the response has come.
enum Progress {
    Waiting(AbortOnDropJoinHandle<Result<Response<MeteredBody>, SendError>>),
    Begun {
        head: wit::ResponseHead,
        head_taken: bool,
        body: MeteredBody,
        next: Next,
    },
    Failed(SendError),
}

/// What is known of the rest of the body.
enum Next {
    Unknown,
    Piece(Bytes),
    End,
}

impl Exchange {
    /// Goes as far as it can without waiting. Ready once the guest could take something: a head
    /// it has not seen, a piece, the end, a failure.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Progress::Waiting(send) = &mut self.response {
            let Poll::Ready(sent) = std::pin::Pin::new(send).poll(cx) else {
                return Poll::Pending;
            };
            self.response = match sent {
                Ok(response) => {
                    let (parts, body) = response.into_parts();
                    let head = wit::ResponseHead {
                        status: parts.status.as_u16(),
                        headers: headers_out(&parts.headers),
                    };
                    Progress::Begun {
                        head,
                        head_taken: false,
                        body,
                        next: Next::Unknown,
                    }
                }
                Err(error) => Progress::Failed(error),
            };
        }
        match &mut self.response {
            Progress::Begun {
                head_taken: true, ..
            } => self.poll_piece(cx),
            _ => Poll::Ready(()),
        }
    }

    /// Fills `next`, once the response has begun.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Progress::Begun {
            body,
            next: next @ Next::Unknown,
            ..
        } = &mut self.response
        else {
            return Poll::Ready(());
        };
        match body.poll_chunk(cx) {
            Poll::Ready(Some(Ok(piece))) => *next = Next::Piece(piece),
            Poll::Ready(None) => *next = Next::End,
            Poll::Ready(Some(Err(error))) => self.response = Progress::Failed(error),
            Poll::Pending => return Poll::Pending,
        }
        Poll::Ready(())
    }

    async fn write(&mut self, chunk: &[u8]) -> Result<(), SendError> {
        let Some(request) = &self.request else {
            return Err(invalid("this request has no body, or it has ended"));
        };
        for piece in pieces(chunk) {
            let piece = tokio::select! {
                piece = self.in_flight.clone().hold(piece) => piece,
                () = request.closed() => return Err(self.not_taken()),
            };
            if request.send(piece).await.is_err() {
                return Err(self.not_taken());
            }
        }
        Ok(())
    }

    /// Nobody reads the request's body any more: the exchange failed, or the peer has answered.
    fn not_taken(&self) -> SendError {
        match &self.response {
            Progress::Failed(error) => error.clone(),
            _ => SendError::Protocol("the peer takes no more of the body".to_owned()),
        }
    }

    async fn head(&mut self) -> Result<wit::ResponseHead, SendError> {
        if let Progress::Waiting(_) = self.response {
            poll_fn(|cx| self.poll_ready(cx)).await;
        }
        match &mut self.response {
            Progress::Begun {
                head, head_taken, ..
            } => {
                *head_taken = true;
                Ok(head.clone())
            }
            Progress::Failed(error) => Err(error.clone()),
            Progress::Waiting(_) => Err(SendError::Timeout),
        }
    }

    async fn read(&mut self, max: u32) -> Result<Option<Vec<u8>>, SendError> {
        self.head().await?;
        poll_fn(|cx| self.poll_piece(cx)).await;
        match &mut self.response {
            Progress::Begun { next, .. } => Ok(next.take(max as usize)),
            Progress::Failed(error) => Err(error.clone()),
            Progress::Waiting(_) => Err(SendError::Timeout),
        }
    }
}

impl Next {
    fn take(&mut self, max: usize) -> Option<Vec<u8>> {
        let Self::Piece(piece) = self else {
            return None;
        };
        let taken = piece.split_to(max.min(piece.len()));
        if piece.is_empty() {
            *self = Self::Unknown;
        }
        Some(taken.into())
    }
}

impl wit::Host for InvocationState {
    async fn start(
        &mut self,
        head: wit::RequestHead,
    ) -> wasmtime::Result<Result<Resource<Exchange>, wit_http::Error>> {
        let headers = match headers_in(&head.headers) {
            Ok(headers) => headers,
            Err(error) => return Ok(Err(error.into())),
        };
        let (request, body) = match head.method.as_str() {
            "GET" | "HEAD" => (None, reqwest::Body::default()),
            _ => {
                let (sender, mut receiver) = mpsc::channel(PIECES_WAITING);
                let pieces = futures::stream::poll_fn(move |cx| {
                    receiver
                        .poll_recv(cx)
                        .map(|piece| piece.map(Ok::<Bytes, SendError>))
                });
                (Some(sender), reqwest::Body::wrap_stream(pieces))
            }
        };
        let asked = GuestRequest {
            method: head.method,
            url: head.url,
            headers,
            body,
            timeouts: timeouts(head.timeout_ms),
        };
        let hook = self.hook.clone();
        let sending = wasmtime_wasi::runtime::spawn(async move { hook.send(asked).await });
        let exchange = Exchange {
            request,
            in_flight: self.hook.in_flight(),
            response: Progress::Waiting(sending),
        };
        Ok(Ok(self.table.push(exchange)?))
    }

    async fn wait(&mut self, exchanges: Vec<Resource<Exchange>>) -> wasmtime::Result<Vec<u32>> {
        if exchanges.is_empty() {
            wasmtime::bail!("waiting for no exchange would never end");
        }
        poll_fn(|cx| {
            let mut ready = Vec::new();
            for (position, exchange) in (0..).zip(&exchanges) {
                let state = match self.table.get_mut(exchange) {
                    Ok(exchange) => exchange.poll_ready(cx),
                    Err(error) => return Poll::Ready(Err(error.into())),
                };
                if state.is_ready() {
                    ready.push(position);
                }
            }
            if ready.is_empty() {
                Poll::Pending
            } else {
                Poll::Ready(Ok(ready))
            }
        })
        .await
    }
}

impl wit::HostExchange for InvocationState {
    async fn write(
        &mut self,
        exchange: Resource<Exchange>,
        chunk: Vec<u8>,
    ) -> wasmtime::Result<Result<(), wit_http::Error>> {
        Ok(self
            .table
            .get_mut(&exchange)?
            .write(&chunk)
            .await
            .map_err(Into::into))
    }

    async fn finish(
        &mut self,
        exchange: Resource<Exchange>,
    ) -> wasmtime::Result<Result<(), wit_http::Error>> {
        self.table.get_mut(&exchange)?.request = None;
        Ok(Ok(()))
    }

    async fn head(
        &mut self,
        exchange: Resource<Exchange>,
    ) -> wasmtime::Result<Result<wit::ResponseHead, wit_http::Error>> {
        Ok(self
            .table
            .get_mut(&exchange)?
            .head()
            .await
            .map_err(Into::into))
    }

    async fn read(
        &mut self,
        exchange: Resource<Exchange>,
        max: u32,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, wit_http::Error>> {
        Ok(self
            .table
            .get_mut(&exchange)?
            .read(max)
            .await
            .map_err(Into::into))
    }

    async fn drop(&mut self, exchange: Resource<Exchange>) -> wasmtime::Result<()> {
        self.table.delete(exchange)?;
        Ok(())
    }
}
