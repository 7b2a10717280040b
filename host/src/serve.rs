//! A host that listens: from its [`Config`] to its last answer.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use axum_server::accept::NoDelayAcceptor;
use axum_server::tls_rustls::RustlsAcceptor;
use axum_server::{Handle, Server};
use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{AbortHandle, JoinHandle};

use crate::app::App;
use crate::config::Config;
use crate::router::router;
use crate::settings::{Reloaded, Settings};
use crate::telemetry::Telemetry;
use crate::{answers, audit, budget, follow, tls, updates, watches};

/// A connection on which nothing arrives for this long is closed.
const IDLE: Duration = Duration::from_secs(60);

/// A host that is up. Dropping it cuts every connection; see [`Running::shutdown`].
pub struct Running {
    app: Arc<App>,
    config: Config,
    address: SocketAddr,
    url: String,
    handle: Handle<SocketAddr>,
    server: Option<JoinHandle<std::io::Result<()>>>,
    certificate: Option<JoinHandle<()>>,
    /// What goes on beside the calls, over and over.
    rounds: [AbortHandle; 8],
}

/// Runs a host until it is told to stop (SIGTERM, SIGINT); a second time stops it at once.
/// SIGHUP reloads its configuration. Sets up the process's logging.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    let settings = config.settings()?;
    let telemetry = Telemetry::start(&settings)?;
    let (mut term, mut int, mut hup) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
        signal(SignalKind::hangup())?,
    );
    // A limit on the size of files is an error to be answered, like a full disk, not the end.
    let file_size = SignalKind::from_raw(Signal::XFSZ.as_raw());
    let _answered = signal(file_size)?;
    let running = start_with(config, settings).await?;
    tracing::info!(url = running.url(), data = %running.data().display(), "listening");
    loop {
        tokio::select! {
            _ = term.recv() => break,
            _ = int.recv() => break,
            _ = hup.recv() => running.reload_logged(&telemetry),
        }
    }
    tracing::info!(in_flight = running.calls_in_flight(), "stopping");
    let app = running.app.clone();
    let stopped = tokio::select! {
        stopped = running.shutdown() => stopped,
        _ = term.recv() => cut_off(&app),
        _ = int.recv() => cut_off(&app),
    };
    telemetry.stop().await;
    stopped
}

/// What is to be said of calls that are not finished: the process's exit code tells whoever
/// stopped it.
fn cut_off(app: &App) -> anyhow::Result<()> {
    match app.admission.inside() {
        0 => Ok(()),
        calls => bail!("stopped before {calls} calls in flight were finished"),
    }
}

/// Starts a host in this process, and gives it back once it listens.
pub async fn start(config: Config) -> anyhow::Result<Running> {
    let settings = config.settings()?;
    start_with(config, settings).await
}

async fn start_with(config: Config, settings: Settings) -> anyhow::Result<Running> {
    let certificate = match &settings.tls {
        Some(files) => Some((files.clone(), tls::load(files).await?)),
        None => None,
    };
    // Bound before anything is made, so that a taken port leaves no trace.
    let listener = TcpListener::bind(settings.listen)
        .with_context(|| format!("cannot listen on {}", settings.listen))?;
    let address = listener.local_addr()?;
    let app = Arc::new(App::new(settings, address).await?);
    app.watches.settle().await?;

    let handle = Handle::new();
    let server = axum_server::from_tcp(listener)?.handle(handle.clone());
    let service = router(app.clone()).into_make_service();
    let scheme = if certificate.is_some() {
        "https"
    } else {
        "http"
    };
    let (server, certificate) = match certificate {
        Some((files, config)) => {
            let acceptor = RustlsAcceptor::new(config.clone()).acceptor(NoDelayAcceptor::new());
            let server = patient(server.acceptor(acceptor)).serve(service);
            let follow = tokio::spawn(tls::follow(files, config));
            (tokio::spawn(server), Some(follow))
        }
        None => {
            let server = patient(server.acceptor(NoDelayAcceptor::new())).serve(service);
            (tokio::spawn(server), None)
        }
    };
    handle.listening().await.context("the server")?;
    let running = Running {
        url: format!("{scheme}://{}", reachable(address)),
        rounds: [
            tokio::spawn(follow::run(app.clone())).abort_handle(),
            tokio::spawn(updates::run(app.clone())).abort_handle(),
            tokio::spawn(audit::sweep(app.clone())).abort_handle(),
            tokio::spawn(app.keepers.clone().keep_logged_in()).abort_handle(),
            tokio::spawn(watches::run(app.clone())).abort_handle(),
            tokio::spawn(budget::run(app.clone())).abort_handle(),
            tokio::spawn(budget::sweep(app.clone())).abort_handle(),
            tokio::spawn(answers::sweep(app.clone())).abort_handle(),
        ],
        app,
        config,
        address,
        handle,
        server: Some(server),
        certificate,
    };
    fs::write(running.url_file(), format!("{}\n", running.url))?;
    Ok(running)
}

/// Bounds how long a connection may take to say what it wants.
fn patient<A>(server: Server<SocketAddr, A>) -> Server<SocketAddr, A> {
    let mut server = server.first_request_timeout(IDLE);
    server.http_builder().http1().header_read_timeout(IDLE);
    server
        .http_builder()
        .http2()
        .keep_alive_interval(IDLE)
        .keep_alive_timeout(IDLE);
    server
}

/// An address that a client on this machine can use: not 0.0.0.0.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base of its API, such as `http://127.0.0.1:7711`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its data folder.
    pub fn data(&self) -> &Path {
        &self.app.settings.data
    }

    /// Calls that run, wait or are being received at this moment.
    pub fn calls_in_flight(&self) -> usize {
        self.app.admission.inside()
    }

    /// Guest instances alive at this moment.
    pub fn instances_in_use(&self) -> u64 {
        self.app.engine.instances_in_use()
    }

    /// Reads the configuration again. On an error all settings keep their old value.
    pub fn reload(&self) -> anyhow::Result<Reloaded> {
        self.app.reload(self.config.settings()?)
    }

    fn reload_logged(&self, telemetry: &Telemetry) {
        let reloaded = self.reload().and_then(|reloaded| {
            telemetry.set_filter(&self.app.live().settings.log)?;
            Ok(reloaded)
        });
        match reloaded {
            Ok(Reloaded { changed, held }) => {
                let changed = match changed.as_slice() {
                    [] => "nothing changed".to_owned(),
                    names => format!("changed: {}", names.join(", ")),
                };
                if held.is_empty() {
                    tracing::info!("configuration reloaded, {changed}");
                } else {
                    tracing::warn!(
                        until_restart = held.join(", "),
                        "configuration reloaded, in part, {changed}; the others keep their old \
                         value until the next start"
                    );
                }
            }
            Err(error) => tracing::error!(
                error = format!("{error:#}"),
                "the new configuration is refused, the old one stays"
            ),
        }
    }

    /// Takes no more requests, lets those in flight finish within the grace, and stops. An error
    /// where some did not.
    pub async fn shutdown(mut self) -> anyhow::Result<()> {
        let grace = self.app.settings.shutdown_grace;
        let end = Instant::now() + grace;
        self.app.stop();
        self.rounds.iter().for_each(AbortHandle::abort);
        self.handle.graceful_shutdown(Some(grace));
        if let Some(server) = self.server.take() {
            server.await??;
        }
        // Calls whose client hung up are not connections any more, and are finished all the same.
        let is_busy = || self.app.admission.inside() + self.app.answers.under_way() > 0;
        while is_busy() && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let cut_off = cut_off(&self.app);
        self.app.audit.checkpoint().await?;
        if let Err(error) = self.app.watches.settle().await {
            tracing::error!(%error, "what capsules sent last could not be kept");
        }
        if let Err(error) = self.app.budgets.close().await {
            tracing::error!(%error, "what is leased of budgets counts as spent from now on");
        }
        if let Err(error) = self.app.usage.settle().await {
            tracing::error!(%error, "what calls used last could not be written down");
        }
        self.app.pool.close().await;
        cut_off
    }

    fn url_file(&self) -> PathBuf {
        self.data().join("host.url")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.shutdown();
        self.rounds.iter().for_each(AbortHandle::abort);
        if let Some(certificate) = self.certificate.take() {
            certificate.abort();
        }
        if let Err(error) = fs::remove_file(self.url_file()) {
            tracing::warn!(%error, "host.url could not be removed");
        }
    }
}
