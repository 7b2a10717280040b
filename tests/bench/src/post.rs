//! (b) `POST` of the echo tool, with authentication, validation, metrics and log on, against an
//! axum handler that parses and returns the same JSON; and against one that has the same component
//! do it on bare wasmtime, which shows how much of the difference is the sandbox and how much is
//! the host around it. Same client, both servers in processes of their own, in turns.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::host::Host;
use crate::ratio::{Ratio, medians};

use crate::{INPUT, client, packed};

pub(crate) const ROUNDS: usize = 21;
pub(crate) const ROUND: Duration = Duration::from_secs(1);

const ASKS: &str = r#"
[[capabilities.http]]
origin = "https://api.example.com"
methods = ["GET", "POST"]
paths = ["/v1/{city}/**"]
why = "A benchmark."

[[capabilities.config]]
key = "region"
why = "A benchmark."
"#;

/// What the host is held against: what to call it, and its path on the other server.
type Other = (&'static str, &'static str);

const AXUM: Other = ("bare axum", "/echo");
const AXUM_AND_WASMTIME: Other = ("axum with bare wasmtime", "/call");

pub(crate) async fn measure() -> anyhow::Result<()> {
    compare(&[], "PAGEMAP_SCAN", &[AXUM, AXUM_AND_WASMTIME]).await?;
    compare(&["--page-scan=false"], "as on kernels before 6.7", &[AXUM]).await
}

/// (f) What policy and the audit log cost: a capsule that asks for requests and a setting, which are
/// granted, on a host that records each call, against one that asks for nothing on a host that does
/// not.
pub(crate) async fn measure_governed() -> anyhow::Result<()> {
    let (governed, free) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let with = Host::start(governed.path()).await?;
    install_governed(&with, governed.path())?;
    let without = Host::start_with(free.path(), &["--audit-calls", "false"]).await?;
    without.install(&packed::echo(free.path(), "")?)?;

    let call = |host: &Host| {
        let key = host.invoke_key()?;
        anyhow::Ok(client::post(host.address, packed::ECHO, &key, INPUT))
    };
    let (governed, free) = (call(&with)?, call(&without)?);
    let pairs = in_turns((with.address, &governed), (without.address, &free)).await?;
    let (with, without) = medians(&pairs);
    println!(
        "(f) POST of the echo tool with policy and audit log, throughput over without: {}",
        Ratio::of(&pairs)
    );
    println!("    ({with:.0} calls a second, without {without:.0})");
    Ok(())
}

/// The echo tool as one that asks for requests and a setting, and is given both.
pub(crate) fn install_governed(host: &Host, folder: &Path) -> anyhow::Result<()> {
    host.install(&packed::echo(folder, ASKS)?)?;
    host.soma(&["grant", "set", "bench/echo", "--all", "--yes"])?;
    host.soma(&["config", "set", "bench/echo", "region=eu-1"])
}

async fn compare(flags: &[&str], how: &str, others: &[Other]) -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let host = Host::start_with(data.path(), flags).await?;
    host.install(&packed::echo(data.path(), "")?)?;
    let bare = bare_axum().await?;

    let call = client::post(host.address, packed::ECHO, &host.invoke_key()?, INPUT);
    for (other, path) in others {
        let plain = client::post(bare.address, path, "none", INPUT);
        let pairs = in_turns((host.address, &call), (bare.address, &plain)).await?;
        let (ours, theirs) = medians(&pairs);
        println!(
            "(b) POST of the echo tool, throughput over {other}, {how}: {}",
            Ratio::of(&pairs)
        );
        println!("    ({ours:.0} calls a second, {other} {theirs:.0})");
    }
    Ok(())
}

/// Requests a second that two servers answer, in turns, once both are warm.
pub(crate) async fn in_turns(
    ours: (SocketAddr, &[u8]),
    theirs: (SocketAddr, &[u8]),
) -> anyhow::Result<Vec<(f64, f64)>> {
    for (address, request) in [ours, theirs] {
        client::throughput(address, request, Duration::from_secs(1)).await?;
    }
    let mut pairs = Vec::new();
    for _ in 0..ROUNDS {
        let ours = client::throughput(ours.0, ours.1, ROUND).await?;
        let theirs = client::throughput(theirs.0, theirs.1, ROUND).await?;
        pairs.push((ours, theirs));
    }
    Ok(pairs)
}

/// A server in a child process, which ends with this value.
pub(crate) struct BareAxum {
    pub(crate) address: SocketAddr,
    _child: tokio::process::Child,
}

pub(crate) async fn bare_axum() -> anyhow::Result<BareAxum> {
    use tokio::io::{AsyncBufReadExt as _, BufReader};

    let mut child = tokio::process::Command::new(std::env::current_exe()?)
        .arg("--serve-bare")
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let stdout = child.stdout.take();
    let mut line = String::new();
    if let Some(stdout) = stdout {
        BufReader::new(stdout).read_line(&mut line).await?;
    }
    Ok(BareAxum {
        address: line.trim().parse()?,
        _child: child,
    })
}
