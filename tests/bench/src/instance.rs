//! (a) One call in a fresh instance, in process: the runtime against bare wasmtime.

use std::sync::Arc;
use std::time::{Duration, Instant};

use soma_capability::{Digest, Limits, Prices};
use soma_runtime::{Allowance, Call, Capsule, Engine, EngineConfig, Given, Loader};
use tokio::task::JoinSet;
use wasmtime::{Config, PoolingAllocationConfig};

use crate::bare::BareGuest;
use crate::ratio::{Ratio, median};
use crate::{CONCURRENCY, INPUT, paths};

const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(2);

pub(crate) async fn measure() -> anyhow::Result<()> {
    let component = paths::guest("echo")?;
    let engine = Engine::new(&EngineConfig::default())?;
    let capsule = load(engine.clone(), &component).await?;
    let same = Arc::new(BareGuest::on(engine.wasmtime(), &component)?);
    let stock = BareGuest::pooled(Config::new(), PoolingAllocationConfig::new(), &component)
        .map(Arc::new)?;

    for (against, bare, fuel) in [
        ("the same engine and pool", same, Some(u64::MAX)),
        ("the pooling allocator as it comes, no fuel", stock, None),
    ] {
        let mut pairs = Vec::new();
        for _ in 0..ROUNDS {
            let capsule = capsule.clone();
            let ours = time_per_call(move || call(capsule.clone())).await;
            let bare = bare.clone();
            let theirs = time_per_call(move || bare_call(bare.clone(), fuel)).await;
            pairs.push((ours, theirs));
        }
        let ours = median(pairs.iter().map(|(ours, _)| *ours).collect());
        println!(
            "(a) instance + call, time over bare wasmtime on {against}: {}",
            Ratio::of(&pairs)
        );
        println!("    ({:.1} µs a call, all cores together)", ours * 1e6);
    }
    Ok(())
}

/// A guest of the tests, on an engine of its own.
pub(crate) async fn load_guest(name: &str) -> anyhow::Result<Arc<Capsule>> {
    let engine = Engine::new(&EngineConfig::default())?;
    load(engine, &paths::guest(name)?).await
}

async fn load(engine: Engine, component: &[u8]) -> anyhow::Result<Arc<Capsule>> {
    let cache = tempfile::tempdir()?;
    let loader = Loader::new(engine, &cache.path().join("code"), paths::compiler()?)?;
    let component = component.to_owned();
    Ok(loader
        .load(&Digest::of(&component), move || Ok(component))
        .await?)
}

async fn call(capsule: Arc<Capsule>) {
    let outcome = capsule
        .call(Call {
            tool: "run".to_owned(),
            input: INPUT.to_owned(),
            limits: Limits::default(),
            allowance: Allowance::unbounded(Prices::default()),
            given: Given::default(),
            herald: None,
            progress: None,
        })
        .await;
    assert!(outcome.result.is_ok(), "{outcome:?}");
}

async fn bare_call(guest: Arc<BareGuest>, fuel: Option<u64>) {
    let called = guest
        .call(INPUT, |store| {
            fuel.map_or(Ok(()), |fuel| store.set_fuel(fuel))
        })
        .await;
    assert!(called.is_ok(), "{called:?}");
}

/// Seconds a call, with as many in flight as there are connections elsewhere.
async fn time_per_call<F: Future<Output = ()> + Send + 'static>(
    call: impl Fn() -> F + Clone + Send + Sync + 'static,
) -> f64 {
    let end = Instant::now() + ROUND;
    let mut tasks = JoinSet::new();
    for _ in 0..CONCURRENCY {
        let call = call.clone();
        tasks.spawn(async move {
            let mut calls = 0_u32;
            while Instant::now() < end {
                call().await;
                calls += 1;
                tokio::task::yield_now().await;
            }
            calls
        });
    }
    let calls: u32 = tasks.join_all().await.into_iter().sum();
    ROUND.as_secs_f64() / f64::from(calls)
}
