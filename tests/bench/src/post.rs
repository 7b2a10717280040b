//! (b) `POST` of the echo tool, with authentication, validation, metrics and log on, against an
//! axum handler that parses and returns the same JSON; and against one that has the same component
//! do it on bare wasmtime, which shows how much of the difference is the sandbox and how much is
//! the host around it. Same client, both servers in processes of their own, in turns.

use std::time::Duration;

use crate::host::Host;
use crate::ratio::{Ratio, median};

use crate::{INPUT, client, paths};

const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(3);

/// What the host is held against: what to call it, and its path on the other server.
type Other = (&'static str, &'static str);

const AXUM: Other = ("bare axum", "/echo");
const AXUM_AND_WASMTIME: Other = ("axum with bare wasmtime", "/call");

pub(crate) async fn measure() -> anyhow::Result<()> {
    compare(&[], "PAGEMAP_SCAN", &[AXUM, AXUM_AND_WASMTIME]).await?;
    compare(&["--page-scan=false"], "as on kernels before 6.7", &[AXUM]).await
}

async fn compare(flags: &[&str], how: &str, others: &[Other]) -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let host = Host::start_with(data.path(), flags).await?;
    host.install(&pack_echo(data.path())?)?;
    let bare = bare_axum().await?;

    let path = "/v1/capsules/bench/echo/tools/run";
    let call = client::post(host.address, path, &host.invoke_key()?, INPUT);
    client::throughput(host.address, &call, Duration::from_secs(1)).await?;

    for (other, path) in others {
        let plain = client::post(bare.address, path, "none", INPUT);
        let mut pairs = Vec::new();
        for _ in 0..ROUNDS {
            let ours = client::throughput(host.address, &call, ROUND).await?;
            let theirs = client::throughput(bare.address, &plain, ROUND).await?;
            pairs.push((ours, theirs));
        }
        let (ours, theirs): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
        println!(
            "(b) POST of the echo tool, throughput over {other}, {how}: {}",
            Ratio::of(&pairs)
        );
        println!(
            "    ({:.0} calls a second, {other} {:.0})",
            median(ours),
            median(theirs)
        );
    }
    Ok(())
}

fn pack_echo(folder: &std::path::Path) -> anyhow::Result<std::path::PathBuf> {
    let manifest = soma_registry::Manifest::from_toml(
        "name = \"bench/echo\"\nversion = \"0.1.0\"\ndescription = \"Gives its input back.\"\n",
    )?;
    let tool = serde_json::from_value(serde_json::json!({
        "name": "run",
        "description": "Gives its input back.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "query": {"type": "string", "minLength": 1},
                "limit": {"type": "integer", "minimum": 1, "maximum": 100},
                "fields": {"type": "array", "items": {"type": "string"}},
                "page": {"type": "object", "required": ["size"]},
                "dry_run": {"type": "boolean"}
            },
            "required": ["query"],
            "additionalProperties": false
        },
        "annotations": {
            "readOnlyHint": true,
            "destructiveHint": false,
            "idempotentHint": true,
            "openWorldHint": false
        }
    }))?;
    let package = soma_registry::Package::pack(&paths::guest("echo")?, manifest, vec![tool])?;
    let path = folder.join("echo.wasm");
    std::fs::write(&path, package.bytes())?;
    Ok(path)
}

/// A server in a child process, which ends with this value.
struct BareAxum {
    address: std::net::SocketAddr,
    _child: tokio::process::Child,
}

async fn bare_axum() -> anyhow::Result<BareAxum> {
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
