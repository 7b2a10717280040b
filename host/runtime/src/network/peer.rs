//! Where a connection leads, looked at once more when it is made and before anything is sent on it.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::Extensions;
use hyper_util::client::legacy::connect::{Connection, HttpInfo};
use tower::{BoxError, Layer, Service};

use super::rules::Rules;

/// A connector's own check. Names were checked when they were resolved, and numbers when the request
/// was permitted: this one holds whatever a library does between there and the socket.
#[derive(Clone)]
pub(super) struct PeerCheck(pub(super) Arc<Rules>);

/// A connector that gives away no connection to where none may be.
#[derive(Clone)]
pub(super) struct Checked<S> {
    connector: S,
    rules: Arc<Rules>,
}

impl<S> Layer<S> for PeerCheck {
    type Service = Checked<S>;

    fn layer(&self, connector: S) -> Checked<S> {
        Checked {
            connector,
            rules: self.0.clone(),
        }
    }
}

impl<S, To> Service<To> for Checked<S>
where
    S: Service<To, Error = BoxError>,
    S::Response: Connection,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<S::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, to: To) -> Self::Future {
        let (rules, connecting) = (self.rules.clone(), self.connector.call(to));
        Box::pin(async move {
            let connection = connecting.await?;
            let mut about = Extensions::new();
            connection.connected().get_extras(&mut about);
            let peer = about.get::<HttpInfo>().map(HttpInfo::remote_addr);
            let peer =
                peer.ok_or_else(|| io::Error::other("a connection to nobody knows where"))?;
            rules.admit_peer(peer.ip())?;
            Ok(connection)
        })
    }
}
