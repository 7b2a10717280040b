//! (j) How long a tenant's calls take while another floods the host, against alone. There are few
//! slots and calls wait in the host, so that slots are what is short and not the machine. Both tenants
//! call in an open loop: at a rate that does not depend on the answers, and a call's time counts from
//! when it was due, so that what is late on its way in is counted too.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use crate::client::{self, Connection};
use crate::host::Host;
use crate::packed;
use crate::ratio::{Ratio, median, medians};

/// A tenant may wait in half of the places.
const PLACES: [&str; 4] = ["--concurrent-calls", "4", "--waiting-calls", "64"];
/// Calls a second of the tenant that is measured: a quarter of the slots.
const SHARE: u32 = 50;
const CALL_MS: u64 = 20;
/// Calls a second that the other offers. The connections bound those in flight; they are more than
/// can wait, so that the rest is free to be refused.
const FLOOD: u32 = 100 * SHARE;
const FLOODING_CONNECTIONS: u32 = 96;
/// Enough that none is in use when its next call is due.
const CONNECTIONS: u32 = 8;

const PAIRS: usize = 5;
const SECONDS: u32 = 4;
/// For connections to open, a flood to rise, and its last calls to end.
const MOMENT: Duration = Duration::from_millis(200);

pub(crate) async fn measure() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let host = Host::start_with(data.path(), &PLACES).await?;
    let capsule = packed::sleep(data.path())?;
    let (steady, flooding) = (
        tenant(&host, "steady", &capsule)?,
        tenant(&host, "flooding", &capsule)?,
    );
    let call = |key: &str, ms: u64| {
        let input = format!("{{\"ms\":{ms}}}");
        client::post(host.address, packed::SLEEP, key, &input)
    };
    let steady = call(&steady, CALL_MS);
    // Of as many lengths, so that slots do not come free all at the same moment.
    let lengths = CALL_MS / 2..=CALL_MS * 3 / 2;
    let flooding: Vec<_> = lengths.map(|ms| call(&flooding, ms)).collect();
    let flooding: Arc<[Vec<u8>]> = flooding.into();

    let (mut pairs, mut sent, mut ran) = (Vec::new(), Vec::new(), Vec::new());
    // The first of each is for the warmth.
    for round in 0..=PAIRS {
        let seconds = if round == 0 { 1 } else { SECONDS };
        let alone = p99(host.address, &steady, seconds).await?;
        let mut flood = Flood::start(host.address, &flooding);
        tokio::time::sleep(MOMENT).await;
        let flooded = p99(host.address, &steady, seconds).await?;
        let rates = flood.rates()?;
        drop(flood);
        tokio::time::sleep(MOMENT).await;
        if round > 0 {
            pairs.push((flooded, alone));
            sent.push(rates.0);
            ran.push(rates.1);
        }
    }
    report(&pairs, median(sent), median(ran));
    Ok(())
}

fn report(pairs: &[(f64, f64)], sent: f64, ran: f64) {
    let (flooded, alone) = medians(pairs);
    println!(
        "(j) p99 of a tenant's calls while another floods, time over alone: {} (wanted 2.00 at most)",
        Ratio::of(pairs)
    );
    println!(
        "    ({:.1} ms, alone {:.1} ms, at {SHARE} calls a second; the other sent {sent:.0} a second, \
         of which {ran:.0} ran)",
        flooded * 1e3,
        alone * 1e3
    );
}

/// Makes a tenant that has the capsule, and gives the key that calls it.
fn tenant(host: &Host, name: &str, capsule: &Path) -> anyhow::Result<String> {
    host.soma(&["tenant", "create", name])?;
    let key = host.soma_json(&[
        "key", "create", "--tenant", name, "--scope", "install", "--scope", "invoke",
    ])?;
    let key = key["secret"].as_str().context("a key's secret")?.to_owned();
    host.install_as(&key, capsule)?;
    Ok(key)
}

/// What one in a hundred calls takes longer than, in seconds, where they come at the tenant's rate.
async fn p99(address: SocketAddr, request: &[u8], seconds: u32) -> anyhow::Result<f64> {
    let begin = Instant::now() + MOMENT;
    let mut connections = JoinSet::new();
    for first in 0..CONNECTIONS {
        let request = request.to_owned();
        connections.spawn(async move {
            let mut connection = Connection::open(address).await?;
            let mut times = Vec::new();
            for call in (first..SHARE * seconds).step_by(CONNECTIONS as usize) {
                let due = due(begin, call, SHARE);
                sleep_until(due.into()).await;
                let status = connection.exchange(&request).await?;
                ensure!(status == 200, "{status} in place of an answer");
                times.push(due.elapsed().as_secs_f64());
            }
            anyhow::Ok(times)
        });
    }
    let mut times = Vec::new();
    while let Some(connection) = connections.join_next().await {
        times.extend(connection??);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[(times.len() - 1) * 99 / 100])
}

fn due(begin: Instant, call: u32, a_second: u32) -> Instant {
    begin + Duration::from_secs(1) * call / a_second
}

/// More calls than the host has slots for, until dropped.
struct Flood {
    begin: Instant,
    counts: Arc<Counts>,
    connections: JoinSet<anyhow::Result<()>>,
}

#[derive(Default)]
struct Counts {
    sent: AtomicU32,
    ran: AtomicU32,
}

impl Flood {
    fn start(address: SocketAddr, requests: &Arc<[Vec<u8>]>) -> Self {
        let (begin, counts) = (Instant::now(), Arc::<Counts>::default());
        let mut connections = JoinSet::new();
        for first in 0..FLOODING_CONNECTIONS {
            let (requests, counts) = (requests.clone(), counts.clone());
            connections
                .spawn(async move { flood(address, &requests, begin, first, &counts).await });
        }
        Self {
            begin,
            counts,
            connections,
        }
    }

    /// Calls a second that were sent, and of those that ran. An error where one of the connections has
    /// failed: then it was less of a flood than it should have been.
    fn rates(&mut self) -> anyhow::Result<(f64, f64)> {
        while let Some(ended) = self.connections.try_join_next() {
            ended??;
        }
        let a_second =
            |count: &AtomicU32| f64::from(count.load(Relaxed)) / self.begin.elapsed().as_secs_f64();
        Ok((a_second(&self.counts.sent), a_second(&self.counts.ran)))
    }
}

/// One connection's calls. Those that are late, since others waited before them, follow at once.
async fn flood(
    address: SocketAddr,
    requests: &[Vec<u8>],
    begin: Instant,
    first: u32,
    counts: &Counts,
) -> anyhow::Result<()> {
    let mut connection = Connection::open(address).await?;
    for call in (first..).step_by(FLOODING_CONNECTIONS as usize) {
        sleep_until(due(begin, call, FLOOD).into()).await;
        counts.sent.fetch_add(1, Relaxed);
        let request = &requests[call as usize % requests.len()];
        match connection.exchange(request).await? {
            200 => {
                counts.ran.fetch_add(1, Relaxed);
            }
            // The host ends the connection with a refusal like this.
            503 => connection = Connection::open(address).await?,
            status => bail!("{status} in place of an answer"),
        }
    }
    Ok(())
}
