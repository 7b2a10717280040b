//! TLS: the certificate's files are read at the start, and again whenever they change.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use axum_server::tls_rustls::RustlsConfig;

use crate::config::TlsFiles;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// Picks the cryptography of this process. Whoever was first wins, and it is the same everywhere
/// in this project.
pub(crate) fn install_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

pub(crate) async fn load(files: &TlsFiles) -> anyhow::Result<RustlsConfig> {
    install_provider();
    let TlsFiles { cert, key } = files;
    let config = RustlsConfig::from_pem_file(cert, key).await;
    config.with_context(|| {
        let (cert, key) = (cert.display(), key.display());
        format!("the certificate {cert} with the key {key}")
    })
}

/// Reads both files again whenever one has changed. New ones that do not fit together, such as a
/// certificate whose key is yet to be written, leave the old ones in force.
pub(crate) async fn follow(files: TlsFiles, config: RustlsConfig) {
    let mut seen = stamps(&files);
    let mut refused = None;
    loop {
        tokio::time::sleep(LOOK).await;
        let now = stamps(&files);
        if now == seen {
            continue;
        }
        match config.reload_from_pem_file(&files.cert, &files.key).await {
            Ok(()) => {
                tracing::info!(cert = %files.cert.display(), "certificate reloaded");
                seen = now;
            }
            // Tried again each time, since what failed may be the reading; said once.
            Err(error) if refused != Some(now) => {
                refused = Some(now);
                tracing::warn!(cert = %files.cert.display(), %error, "the new certificate is refused, the old one stays");
            }
            Err(_) => {}
        }
    }
}

type Stamp = Option<(SystemTime, u64)>;

fn stamps(files: &TlsFiles) -> [Stamp; 2] {
    let stamp = |path: &Path| -> io::Result<_> {
        let about = fs::metadata(path)?;
        Ok((about.modified()?, about.len()))
    };
    [stamp(&files.cert).ok(), stamp(&files.key).ok()]
}
