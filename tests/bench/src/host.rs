//! A real `soma serve`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::paths;

/// `soma serve` in a child process, which ends with this value.
pub(crate) struct Host {
    pub(crate) address: SocketAddr,
    data: PathBuf,
    _child: tokio::process::Child,
}

impl Host {
    pub(crate) async fn start(data: &Path) -> anyhow::Result<Self> {
        Self::start_with(data, &[]).await
    }

    pub(crate) async fn start_with(data: &Path, flags: &[&str]) -> anyhow::Result<Self> {
        let data = data.join("host");
        let url = data.join("host.url");
        if url.exists() {
            std::fs::remove_file(&url)?;
        }
        let child = tokio::process::Command::new(paths::soma())
            .arg("serve")
            .arg("--data")
            .arg(&data)
            .args(["--listen", "127.0.0.1:0"])
            .args(flags)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("soma serve: run `cargo build` first")?;
        let deadline = Instant::now() + Duration::from_secs(30);
        let address = loop {
            ensure!(Instant::now() < deadline, "the host did not start");
            if let Ok(text) = std::fs::read_to_string(&url)
                && let Some(address) = text.trim().strip_prefix("http://")
                && let Ok(address) = address.trim_end_matches('/').parse()
            {
                break address;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        Ok(Self {
            address,
            data,
            _child: child,
        })
    }

    pub(crate) fn install(&self, capsule: &Path) -> anyhow::Result<()> {
        let capsule = capsule.to_str().context("a path in UTF-8")?;
        self.soma(&["install", capsule])
    }

    /// A command of its operator.
    pub(crate) fn soma(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let status = std::process::Command::new(paths::soma())
            .args(arguments)
            .env("SOMA_DATA", &self.data)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()?;
        ensure!(status.success(), "soma {} failed", arguments.join(" "));
        Ok(())
    }

    pub(crate) fn invoke_key(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(self.data.join("keys/invoke.key"))?
            .trim()
            .to_owned())
    }
}
