//! (d) The first call after a restart with a warm code cache, for the largest sample capsule.

use std::time::Instant;

use anyhow::{Context as _, ensure};

use crate::client::{self, Connection};
use crate::host::Host;
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
    // A page that the host does not allow: the tool runs, and answers that it was denied.
    let (tool, input, status) = match name.name() {
        "web" => ("read", r#"{"url":"http://127.0.0.1:9/"}"#, 424),
        _ => ("jq", r#"{"filter":".a","input":{"a":1}}"#, 200),
    };
    Host::start(data.path()).await?.install(&largest)?;

    let (mut first, mut later) = (Vec::new(), Vec::new());
    for _ in 0..RESTARTS {
        let host = Host::start(data.path()).await?;
        let path = format!("/v1/capsules/{name}/tools/{tool}");
        let call = client::post(host.address, &path, &host.invoke_key()?, input);
        let mut connection = Connection::open(host.address).await?;
        for times in [&mut first, &mut later] {
            let start = Instant::now();
            let answered = connection.exchange(&call).await?;
            times.push(start.elapsed().as_secs_f64());
            ensure!(
                answered == status,
                "{name} answered {answered}, not {status}"
            );
        }
    }
    println!(
        "(d) first call of {name} after a restart, code cache warm: {:.1} ms (the next: {:.1} ms)",
        median(first) * 1e3,
        median(later) * 1e3
    );
    Ok(())
}
