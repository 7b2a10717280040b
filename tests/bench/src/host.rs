//! A real `soma serve`.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

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
        let child = tokio::process::Command::new(paths::soma()?)
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

    /// The same by whoever has this key, for its tenant.
    pub(crate) fn install_as(&self, key: &str, capsule: &Path) -> anyhow::Result<()> {
        let capsule = capsule.to_str().context("a path in UTF-8")?;
        let mut command = self.command(&["install", capsule])?;
        said(command.env("SOMA_KEY", key)).map(drop)
    }

    /// A command of its operator.
    pub(crate) fn soma(&self, arguments: &[&str]) -> anyhow::Result<()> {
        said(&mut self.command(arguments)?).map(drop)
    }

    /// The same, for what it says.
    pub(crate) fn soma_json(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let said = said(self.command(arguments)?.arg("--json"))?;
        Ok(serde_json::from_slice(&said)?)
    }

    fn command(&self, arguments: &[&str]) -> anyhow::Result<Command> {
        let mut command = Command::new(paths::soma()?);
        command.args(arguments).env("SOMA_DATA", &self.data);
        Ok(command)
    }

    pub(crate) fn invoke_key(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(self.data.join("keys/invoke.key"))?
            .trim()
            .to_owned())
    }

    /// What the key of the calls is called.
    pub(crate) fn invoke_key_id(&self) -> anyhow::Result<String> {
        let key = self.invoke_key()?;
        let id = key.split('_').nth(1);
        Ok(id.context("a key with an id")?.to_owned())
    }
}

/// What a command says on its standard output, where it goes well.
fn said(command: &mut Command) -> anyhow::Result<Vec<u8>> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        // Without its environment, which may hold a key.
        let arguments: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
        bail!("soma {} failed", arguments.join(" "));
    }
    Ok(output.stdout)
}
