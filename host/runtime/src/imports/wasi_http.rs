//! `wasi:http/outgoing-handler`, for components built on ordinary HTTP libraries. It only
//! translates: what may be sent is decided in [`SendHook::send`].

use futures::StreamExt as _;
use http_body_util::BodyExt as _;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::http::{GuestRequest, SendError, SendHook, Timeouts};

/// Bytes that a guest writes to a body at once. What waits of them in each request, two such
/// writes, is not yet counted as in flight.
const CHUNK_BYTES: usize = 16 << 10;

type Driver = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for SendHook {
    /// The client sets it, from the URL that was matched.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK_BYTES
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Driver,
    ) -> Box<dyn Future<Output = Result<(http::Response<WasiBody>, Driver), Error>> + Send> {
        let hook = self.clone();
        Box::new(async move {
            let (parts, body) = request.into_parts();
            let in_flight = hook.in_flight();
            let pieces = body.into_data_stream().then(move |piece| {
                let in_flight = in_flight.clone();
                async move { Ok::<_, Error>(in_flight.hold(piece?).await) }
            });
            // Connections are shared by requests that do not know of each other, so that the
            // time to make one is not this guest's alone: it counts to the wait for the head.
            let options = options.unwrap_or_default();
            let request = GuestRequest {
                method: parts.method.to_string(),
                url: parts.uri.to_string(),
                headers: parts.headers,
                body: reqwest::Body::wrap_stream(pieces),
                timeouts: Timeouts {
                    exchange: None,
                    head: options.first_byte_timeout,
                    piece: options.between_bytes_timeout,
                },
            };
            let response = hook.send(request).await?;
            // Nothing is left to drive: the client's own tasks do it.
            let driver: Driver = Box::new(async { Ok(()) });
            Ok((response.map(super::body::MeteredBody::boxed), driver))
        })
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Denied(_) => Self::HttpRequestDenied,
            SendError::InvalidRequest(_) => Self::HttpRequestUriInvalid,
            SendError::Connect(_) => Self::ConnectionRefused,
            SendError::Tls(_) => Self::TlsCertificateError,
            SendError::Timeout => Self::ConnectionTimeout,
            SendError::TooLarge(limit) => Self::HttpResponseBodySize(Some(limit)),
            SendError::Protocol(_) => Self::HttpProtocolError,
        }
    }
}
