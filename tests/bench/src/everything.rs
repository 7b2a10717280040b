//! (i) `POST` of the echo tool with everything on: a grant in force, each call in the audit log,
//! budgets, rates and usage as in (h), and the metrics read once a second, as Prometheus would. Against
//! an axum handler that parses the same JSON and returns it in the same envelope.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::ensure;

use crate::INPUT;
use crate::budget::{RATES, call_in_session, set_everywhere};
use crate::client::{self, Connection};
use crate::host::Host;
use crate::post::{ROUND, ROUNDS, bare_axum, install_governed};
use crate::ratio::{Ratio, medians};

const WARM_UP: Duration = Duration::from_secs(1);
const SCRAPED_EVERY: Duration = Duration::from_secs(1);

pub(crate) async fn measure() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let host = Host::start_with(data.path(), &RATES).await?;
    install_governed(&host, data.path())?;
    set_everywhere(&host)?;
    let bare = bare_axum().await?;

    let call = call_in_session(&host)?;
    let plain = client::post(bare.address, "/envelope", "none", INPUT);
    client::throughput(host.address, &call, WARM_UP).await?;
    client::throughput(bare.address, &plain, WARM_UP).await?;
    let mut pairs = Vec::new();
    for _ in 0..ROUNDS {
        let ours = throughput_while_scraped(host.address, &call).await?;
        let theirs = client::throughput(bare.address, &plain, ROUND).await?;
        pairs.push((ours, theirs));
    }
    let (ours, theirs) = medians(&pairs);
    println!(
        "(i) POST of the echo tool with everything on, throughput over bare axum: {} (wanted 0.55)",
        Ratio::of(&pairs)
    );
    println!("    ({ours:.0} calls a second, bare axum {theirs:.0})");
    Ok(())
}

async fn throughput_while_scraped(address: SocketAddr, call: &[u8]) -> anyhow::Result<f64> {
    tokio::select! {
        measured = client::throughput(address, call, ROUND) => measured,
        failed = scrape(address) => failed.map(|never| match never {}),
    }
}

/// Reads the metrics over and over.
async fn scrape(address: SocketAddr) -> anyhow::Result<Infallible> {
    let request = client::get(address, "/metrics");
    let mut connection = Connection::open(address).await?;
    let mut due = tokio::time::interval(SCRAPED_EVERY);
    loop {
        due.tick().await;
        let status = connection.exchange(&request).await?;
        ensure!(status == 200, "{status} in place of the metrics");
    }
}
