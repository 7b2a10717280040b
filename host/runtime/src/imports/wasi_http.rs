//! `wasi:http/outgoing-handler`, for components built on ordinary HTTP libraries. It only
//! translates: what may be sent is decided in [`SendHook::send`].

use http_body_util::BodyExt as _;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::http::{GuestRequest, SendError, SendHook};

type Driver = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for SendHook {
    /// The client sets it, from the URL that was matched.
    fn set_host_header(&mut self) -> bool {
        false
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
            let request = GuestRequest {
                method: parts.method.to_string(),
                url: parts.uri.to_string(),
                headers: parts.headers,
                body: reqwest::Body::wrap_stream(body.into_data_stream()),
                timeout: options.and_then(|options| options.first_byte_timeout),
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
