//! One call, from a fresh store to its outcome.

use std::time::{Duration, Instant};

use soma_capability::Limits;
use tokio::sync::mpsc;
use wasmtime::{CallHook, Store};

use crate::bindings::{CapsulePre, tools};
use crate::clock::Surroundings;
use crate::meter::Meter;
use crate::network::Network;
use crate::outcome::{Failure, Outcome, Usage};
use crate::output::Output;
use crate::state::InvocationState;

/// Fuel between two looks at the clock: some milliseconds of computing. A guest that spins gives
/// its thread back this often, which is what lets the deadline end it and others go on
/// (docs/adr/0002-fuel-and-time.md).
const FUEL_BETWEEN_YIELDS: u64 = 10_000_000;

/// One call of one tool.
#[derive(Debug)]
pub struct Call {
    /// The tool's name.
    pub tool: String,
    /// One JSON text, already checked against the tool's schema.
    pub input: String,
    /// The bounds on this call.
    pub limits: Limits,
    /// What it may reach.
    pub network: Network,
    /// Who hears how far the call has come. A full channel misses a step.
    pub progress: Option<mpsc::Sender<Progress>>,
}

/// How far a call has come, in the guest's words.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// Grows from report to report.
    pub done: f64,
    /// In the same unit as `done`, where it is known.
    pub total: Option<f64>,
    /// For people.
    pub message: Option<String>,
}

/// Runs a call in an instance of its own.
pub(crate) async fn run(capsule: &CapsulePre<InvocationState>, call: Call) -> Outcome {
    let start = Instant::now();
    let Call {
        tool,
        input,
        limits,
        network,
        progress,
    } = call;
    let input_bytes = input.len() as u64;
    if input_bytes > limits.input_bytes {
        let failure = Failure::InputTooLarge {
            limit: limits.input_bytes,
        };
        let usage = Usage {
            input_bytes,
            ..Usage::default()
        };
        return Outcome {
            result: Err(failure),
            usage,
        };
    }
    let state = InvocationState::new(&limits, Surroundings::real(), network, progress);
    let mut store = match open(capsule, state) {
        Ok(store) => store,
        Err(error) => {
            return Outcome {
                result: Err(Failure::Host(error.to_string())),
                usage: Usage::default(),
            };
        }
    };

    let answer = bounded(&mut store, &limits, async |store| {
        let instance = capsule.instantiate_async(&mut *store).await?;
        instance
            .soma_capsule_tools()
            .call_call(store, &tool, &input)
            .await
    })
    .await;
    let output_bytes = match &answer {
        Ok(Ok(output)) => output.size(),
        Ok(Err(error)) => error.size(),
        Err(_) => 0,
    };
    let result = answer.and_then(|answer| accept(answer, output_bytes, limits.output_bytes));

    let fuel = limits.fuel - store.get_fuel().unwrap_or(0);
    let state = store.into_data();
    let usage = Usage {
        input_bytes,
        output_bytes,
        ..usage(&state, fuel, start)
    };
    Outcome { result, usage }
}

/// A fresh store under the limits in `state`.
pub(crate) fn open(
    capsule: &CapsulePre<InvocationState>,
    state: InvocationState,
) -> wasmtime::Result<Store<InvocationState>> {
    let limits = *state.meter.limits();
    let mut store = Store::try_new(capsule.engine(), state)?;
    store.set_fuel(limits.fuel)?;
    store.fuel_async_yield_interval(Some(FUEL_BETWEEN_YIELDS))?;
    store.set_hostcall_fuel(usize::try_from(limits.copy_bytes).unwrap_or(usize::MAX));
    store.set_max_component_handles(limits.handles as usize);
    store.limiter(|state| &mut state.meter);
    // Below every import, WASI's included, so that none can be forgotten.
    store.call_hook(|mut context, hook| match hook {
        CallHook::CallingHost => Ok(context.data_mut().meter.host_call()?),
        _ => Ok(()),
    });
    Ok(store)
}

/// Runs guest code until it ends, fails, or is out of time.
pub(crate) async fn bounded<T>(
    store: &mut Store<InvocationState>,
    limits: &Limits,
    guest: impl AsyncFnOnce(&mut Store<InvocationState>) -> wasmtime::Result<T>,
) -> Result<T, Failure> {
    let (start, time) = (Instant::now(), Duration::from_millis(limits.time_ms));
    match tokio::time::timeout(time, guest(&mut *store)).await {
        // A request that the same bound ends may wake the guest first: late all the same.
        Ok(Ok(_)) if start.elapsed() >= time => Err(Failure::OutOfTime),
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Failure::from_wasmtime(&error, &store.data().meter)),
        Err(_) => Err(Failure::OutOfTime),
    }
}

fn accept(
    answer: Result<tools::Output, tools::ToolError>,
    size: u64,
    limit: u64,
) -> Result<Output, Failure> {
    if size > limit {
        return Err(Failure::OutputTooLarge { limit });
    }
    let output = answer.map_err(|error| Failure::Tool(error.into()))?;
    Output::try_from(output).map_err(|error| Failure::InvalidOutput(error.to_string()))
}

fn usage(state: &InvocationState, fuel: u64, start: Instant) -> Usage {
    use std::sync::atomic::Ordering::Relaxed;
    let meter: &Meter = &state.meter;
    let log = state.log.totals();
    Usage {
        fuel,
        time_us: u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX),
        memory_bytes: meter.memory_peak(),
        host_calls: meter.host_calls(),
        log_lines: log.lines,
        log_bytes: log.bytes,
        log_dropped: log.dropped,
        requests: meter.traffic().requests.load(Relaxed),
        sent_bytes: meter.traffic().sent.load(Relaxed),
        received_bytes: meter.traffic().received.load(Relaxed),
        ..Usage::default()
    }
}
