//! (d) The first call after a restart with a warm code cache, for the largest sample capsule.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::client::{self, Connection};
use crate::paths;
use crate::ratio::median;

const RESTARTS: usize = 9;

pub(crate) async fn measure() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let largest = paths::capsules()?
        .into_iter()
        .max_by_key(|path| path.metadata().map_or(0, |file| file.len()))
        .context("no capsule built: run `just capsules` first")?;
    let package = soma_registry::Package::read(std::fs::read(&largest)?)?;
    let name = package.manifest().name.clone();
    let (tool, input) = match name.name() {
        "jq" => ("jq", r#"{"filter":".a","input":{"a":1}}"#),
        // A page that the host does not allow: the tool runs, and answers with an error.
        _ => ("read", r#"{"url":"http://127.0.0.1:9/"}"#),
    };
    Host::start(data.path()).await?.install(&largest)?;

    let (mut first, mut later) = (Vec::new(), Vec::new());
    for _ in 0..RESTARTS {
        let host = Host::start(data.path()).await?;
        let path = format!("/v1/capsules/{name}/tools/{tool}");
        let call = client::post(host.address, &path, &host.invoke_key()?, input);
        let mut connection = Connection::open(host.address).await?;
        first.push(time(&mut connection, &call).await);
        later.push(time(&mut connection, &call).await);
    }
    println!(
        "(d) first call of {name} after a restart, code cache warm: {:.1} ms (the next: {:.1} ms)",
        median(first) * 1e3,
        median(later) * 1e3
    );
    Ok(())
}

async fn time(connection: &mut Connection, call: &[u8]) -> f64 {
    let start = Instant::now();
    // The answer may be the tool's error; it is an answer all the same.
    let _ = connection.exchange(call).await;
    start.elapsed().as_secs_f64()
}

/// `soma serve` in a child process, which ends with this value.
pub(crate) struct Host {
    pub(crate) address: SocketAddr,
    data: PathBuf,
    _child: tokio::process::Child,
}

impl Host {
    pub(crate) async fn start(data: &Path) -> anyhow::Result<Self> {
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
            .env("RUST_LOG", "warn")
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
        let status = std::process::Command::new(paths::soma())
            .arg("install")
            .arg(capsule)
            .env("SOMA_DATA", &self.data)
            .stdout(Stdio::null())
            .status()?;
        ensure!(
            status.success(),
            "soma install {} failed",
            capsule.display()
        );
        Ok(())
    }

    pub(crate) fn invoke_key(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(self.data.join("keys/invoke.key"))?
            .trim()
            .to_owned())
    }
}
