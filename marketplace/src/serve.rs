//! A marketplace that listens: from its [`Config`] to its last answer.

use std::fs::{self, File, TryLockError};
use std::io::IsTerminal as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum_server::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tracing_subscriber::EnvFilter;

use crate::app::App;
use crate::config::Config;
use crate::router::router;
use crate::sweep;

/// A connection on which nothing arrives for this long is closed.
const IDLE: Duration = Duration::from_secs(60);
/// Requests in flight get this long to finish.
pub(crate) const GRACE: Duration = Duration::from_secs(30);

/// A marketplace that is up. Dropping it cuts every connection; see [`Running::shutdown`].
pub struct Running {
    app: Arc<App>,
    address: SocketAddr,
    handle: Handle<SocketAddr>,
    server: Option<JoinHandle<std::io::Result<()>>>,
    sweeper: JoinHandle<()>,
    /// Held as long as it runs: two of them would each take the other's traces away.
    _lock: File,
}

/// Runs a marketplace until it is told to stop (SIGTERM, SIGINT).
/// Sets up the process's logging.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    log_to_stderr();
    let told = told_to_stop()?;
    let running = start(config).await?;
    tracing::info!(url = running.url(), log = running.log_key(), "listening");
    told.await;
    running.shutdown().await
}

/// Sets up the process's logging.
pub(crate) fn log_to_stderr() {
    let filter = EnvFilter::try_from_env("SOMA_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}

/// Ends at SIGTERM or SIGINT; both are caught from now on.
pub(crate) fn told_to_stop() -> std::io::Result<impl Future<Output = ()>> {
    let (mut term, mut int) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    })
}

/// Serves these routes until the handle says otherwise.
pub(crate) async fn listen(
    listener: TcpListener,
    handle: &Handle<SocketAddr>,
    routes: Router,
) -> anyhow::Result<JoinHandle<std::io::Result<()>>> {
    let mut server = axum_server::from_tcp(listener)?
        .handle(handle.clone())
        .first_request_timeout(IDLE);
    server.http_builder().http1().header_read_timeout(IDLE);
    // A client keeps no more answers waiting than it has sockets: there is one at a time in HTTP/1.1.
    *server.http_builder() = server.http_builder().clone().http1_only();
    let service = routes.into_make_service_with_connect_info::<SocketAddr>();
    let server = tokio::spawn(server.serve(service));
    handle.listening().await.context("the server")?;
    Ok(server)
}

/// Starts a marketplace in this process, and gives it back once it listens.
pub async fn start(config: Config) -> anyhow::Result<Running> {
    // Bound before anything is made, so that a taken port leaves no trace.
    let listener = TcpListener::bind(config.listen)
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    let address = listener.local_addr()?;
    let config = Config {
        listen: address,
        ..config
    };
    let app = Arc::new(App::new(config).await?);
    let lock = claim(&app.config.data_folder()?)?;
    let handle = Handle::new();
    let server = listen(listener, &handle, router(app.clone())).await?;
    let sweeper = {
        let app = app.clone();
        tokio::spawn(async move { sweep::run(&app).await })
    };
    fs::write(url_file(&app)?, format!("http://{address}\n"))?;
    Ok(Running {
        app,
        address,
        handle,
        server: Some(server),
        sweeper,
        _lock: lock,
    })
}

/// Takes the data folder for this process.
fn claim(data: &Path) -> anyhow::Result<File> {
    let lock = File::create(data.join("marketplace.lock"))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => anyhow::bail!(
            "another marketplace is running on the data folder {}",
            data.display()
        ),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

fn url_file(app: &App) -> anyhow::Result<PathBuf> {
    Ok(app.config.data_folder()?.join("marketplace.url"))
}

impl Running {
    /// The base of its API.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The log's key, for others to pin.
    pub fn log_key(&self) -> String {
        self.app.log.key().to_string()
    }

    /// Takes no more requests, lets those in flight finish, and stops.
    pub async fn shutdown(mut self) -> anyhow::Result<()> {
        self.handle.graceful_shutdown(Some(GRACE));
        if let Some(server) = self.server.take() {
            server.await??;
        }
        self.app.pool.close().await;
        fs::remove_file(url_file(&self.app)?)?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.shutdown();
        self.sweeper.abort();
    }
}
