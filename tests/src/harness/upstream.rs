//! A server for guests to call. Everything it does is on the paths' names.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as STANDARD;
use futures::{StreamExt as _, stream};
use reqwest::Url;
use serde_json::json;
use tokio::sync::{Semaphore, oneshot, watch};

/// A local HTTP server that ends with this value.
pub(crate) struct Upstream {
    address: SocketAddr,
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    server: Option<thread::JoinHandle<()>>,
}

struct State {
    arrived: watch::Sender<usize>,
    /// Of the last request, as it came: guests see it masked.
    authorization: Mutex<Option<String>>,
    /// The other end of the connection that each request came on.
    peers: Mutex<Vec<SocketAddr>>,
    gate: Semaphore,
}

impl Upstream {
    /// In a thread of its own, so that it can be there before the host and its runtime.
    pub(crate) fn start() -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// The same, at this address.
    pub(crate) fn start_at(address: SocketAddr) -> Self {
        let state = Arc::new(State {
            arrived: watch::Sender::new(0),
            authorization: Mutex::default(),
            peers: Mutex::default(),
            gate: Semaphore::new(0),
        });
        let router = router(state.clone());
        let listener = TcpListener::bind(address).expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("bound");
        let (stop, stopped) = oneshot::channel();
        let server = thread::spawn(move || serve(listener, router, stopped));
        Self {
            address,
            state,
            stop: Some(stop),
            server: Some(server),
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its origin, to be allowed.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin())
    }

    /// Requests that have come so far.
    pub(crate) fn requests(&self) -> usize {
        *self.state.arrived.borrow()
    }

    /// What the last request showed in `Authorization`.
    pub(crate) fn authorization(&self) -> Option<String> {
        let shown = self.state.authorization.lock().expect("it is only set");
        shown.clone()
    }

    /// The connections that requests came on since this was asked last, one a request.
    pub(crate) fn take_peers(&self) -> Vec<SocketAddr> {
        let mut peers = self.state.peers.lock().expect("it is only added to");
        std::mem::take(&mut peers)
    }

    /// Waits until this many requests have come.
    pub(crate) async fn arrived(&self, requests: usize) {
        let mut arrived = self.state.arrived.subscribe();
        let wait = arrived.wait_for(|so_far| *so_far >= requests);
        let in_time = tokio::time::timeout(Duration::from_secs(60), wait).await;
        in_time
            .expect("the requests come")
            .expect("the server runs");
    }

    /// Lets this many requests to `/gate` go on.
    pub(crate) fn open_gate(&self, requests: usize) {
        self.state.gate.add_permits(requests);
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(server) = self.server.take() {
            let ended = server.join();
            assert!(
                ended.is_ok() || thread::panicking(),
                "the upstream panicked"
            );
        }
    }
}

fn serve(listener: TcpListener, router: Router, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        tokio::select! {
            ended = async { axum::serve(listener, service).await } => ended.expect("it serves"),
            _ = stopped => {}
        }
    });
}

fn router(state: Arc<State>) -> Router {
    let gate = state.clone();
    Router::new()
        .route("/hello", get(async || "hello"))
        .route("/", any(echo))
        .route("/echo", any(echo))
        .route("/graphql", any(echo))
        .route("/never", any(std::future::pending::<String>))
        .route(
            "/gate",
            any(async move |_whole: Bytes| {
                gate.gate.acquire().await.expect("never closed").forget();
                "through"
            }),
        )
        .route(
            "/redirect",
            get(async || (StatusCode::FOUND, [("location", "/hello")])),
        )
        .route(
            "/fail",
            get(async || (StatusCode::INTERNAL_SERVER_ERROR, "no")),
        )
        .route("/endless", get(endless))
        .route("/leak", any(leak))
        .layer(axum::middleware::from_fn(
            move |peer: ConnectInfo<SocketAddr>, request: Request, next: axum::middleware::Next| {
                let mut peers = state.peers.lock().expect("it is only taken");
                peers.push(peer.0);
                drop(peers);
                let shown = request.headers().get("authorization");
                let shown = shown.map(|it| String::from_utf8_lossy(it.as_bytes()).into_owned());
                *state.authorization.lock().expect("it is only read") = shown;
                state.arrived.send_modify(|requests| *requests += 1);
                next.run(request)
            },
        ))
}

/// What arrived, as JSON.
async fn echo(method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]))
        .collect();
    axum::Json(json!({
        "method": method.as_str(),
        "path": uri.path(),
        "query": uri.query(),
        "headers": headers,
        "body": String::from_utf8_lossy(&body),
    }))
    .into_response()
}

/// Gives back what authorized the request in each common encoding, in pieces that know of none.
async fn leak(headers: HeaderMap, _whole: Bytes) -> Response {
    let shown = headers.get("authorization");
    let shown = shown.and_then(|shown| shown.to_str().ok()?.strip_prefix("Bearer "));
    let shown = shown.unwrap_or_default().to_owned();
    let lines = encoded(&shown);
    let pieces: Vec<_> = lines
        .as_bytes()
        .chunks(7)
        .map(Bytes::copy_from_slice)
        .collect();
    let pieces = stream::iter(pieces).then(async |piece| {
        tokio::time::sleep(Duration::from_millis(1)).await;
        Ok::<_, std::convert::Infallible>(piece)
    });
    ([("x-leak", shown)], Body::from_stream(pieces)).into_response()
}

/// A text in each common encoding, one a line.
pub(crate) fn encoded(text: &str) -> String {
    let url = Url::parse_with_params("http://a", [("url", text)]).expect("a URL");
    format!(
        "raw={text}\njson={}\nbase64={}\ninner={}\nhex={}\n{}\nend\n",
        json!(text),
        STANDARD.encode(text),
        STANDARD.encode(format!("me:{text}")),
        hex::encode(text),
        url.query().expect("its query"),
    )
}

/// A body without an end.
async fn endless() -> Body {
    Body::from_stream(stream::repeat_with(|| {
        Ok::<_, std::convert::Infallible>(Bytes::from_static(&[b'x'; 1 << 16]))
    }))
}
