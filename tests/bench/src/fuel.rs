//! (c) What counting fuel costs a guest that only computes, and which way of getting the thread
//! back from it is cheaper: fuel's own yields, or epochs beside it.

use std::time::{Duration, Instant};

use wasmtime::{Config, PoolingAllocationConfig, Store};

use crate::bare::{Bare, BareGuest};
use crate::paths;
use crate::ratio::{Ratio, median};

const ROUNDS: usize = 9;

/// Some hundred milliseconds of xorshift.
const INPUT: &str = r#"{"n":100000000}"#;

/// As the runtime does it.
const FUEL_BETWEEN_YIELDS: u64 = 10_000_000;

/// How often the epoch moves, and so how long a guest can keep its thread.
const EPOCH: Duration = Duration::from_millis(5);

pub(crate) async fn measure() -> anyhow::Result<()> {
    let component = paths::guest("compute")?;
    let guest = |config| BareGuest::pooled(config, PoolingAllocationConfig::new(), &component);

    let off = guest(Config::new())?;
    let mut counting = Config::new();
    counting.consume_fuel(true);
    let fuel = guest(counting.clone())?;
    counting.epoch_interruption(true);
    let epochs = guest(counting)?;
    let _ticker = Ticker::start(epochs.engine().clone());

    let (mut with_yields, mut with_epochs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let baseline = time(&off, |_| Ok(())).await?;
        with_yields.push((time(&fuel, fuel_and_yields).await?, baseline));
        with_epochs.push((time(&epochs, fuel_and_epochs).await?, baseline));
    }
    let seconds = median(with_yields.iter().map(|(_, baseline)| *baseline).collect());
    println!(
        "(c) fuel with async yields, time over none: {}",
        Ratio::of(&with_yields)
    );
    println!(
        "(c) fuel with epochs, time over none: {}",
        Ratio::of(&with_epochs)
    );
    println!("    (without fuel the guest takes {:.0} ms)", seconds * 1e3);
    Ok(())
}

async fn time(
    guest: &BareGuest,
    prepare: impl FnOnce(&mut Store<Bare>) -> wasmtime::Result<()>,
) -> anyhow::Result<f64> {
    let start = Instant::now();
    guest.call(INPUT, prepare).await?;
    Ok(start.elapsed().as_secs_f64())
}

fn fuel_and_yields(store: &mut Store<Bare>) -> wasmtime::Result<()> {
    store.set_fuel(u64::MAX)?;
    store.fuel_async_yield_interval(Some(FUEL_BETWEEN_YIELDS))
}

fn fuel_and_epochs(store: &mut Store<Bare>) -> wasmtime::Result<()> {
    store.set_fuel(u64::MAX)?;
    store.epoch_deadline_async_yield_and_update(1);
    store.set_epoch_deadline(1);
    Ok(())
}

/// Moves an engine's epoch until dropped.
struct Ticker(tokio::task::JoinHandle<()>);

impl Ticker {
    fn start(engine: wasmtime::Engine) -> Self {
        Self(tokio::spawn(async move {
            let mut ticks = tokio::time::interval(EPOCH);
            loop {
                ticks.tick().await;
                engine.increment_epoch();
            }
        }))
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.0.abort();
    }
}
