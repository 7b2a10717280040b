//! One call, from a fresh store to its outcome.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt as _;
use soma_capability::Limits;
use tokio::sync::mpsc;
use wasmtime::{CallHook, CallHookHandler, Engine, Store, StoreContextMut};
use wasmtime_wasi::async_trait;

use crate::balance::Allowance;
use crate::bindings::{CapsulePre, tools};
use crate::clock::Surroundings;
use crate::effects::{Effects, Herald};
use crate::given::Given;
use crate::mask::Masking;
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
    /// What it may cost.
    pub allowance: Allowance,
    /// What it may use.
    pub given: Given,
    /// Who is told before it sends its first byte; none where nobody records it.
    pub herald: Option<Arc<dyn Herald>>,
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
        allowance,
        given,
        herald,
        progress,
    } = call;
    let effects = Effects::new(herald);
    let input_bytes = input.len() as u64;
    if input_bytes > limits.input_bytes {
        let failure = Failure::InputTooLarge {
            limit: limits.input_bytes,
        };
        let usage = Usage {
            input_bytes,
            ..Usage::default()
        };
        return Outcome::not_begun(failure, usage);
    }
    let mut state = InvocationState::new(
        &limits,
        allowance,
        Surroundings::real(),
        given,
        effects.clone(),
        progress,
    );
    if let Err(stop) = state.meter.take_in(input_bytes) {
        let usage = usage(&state, start);
        return Outcome::not_begun(
            Failure::of_stop(stop, &state.meter),
            Usage {
                input_bytes,
                ..usage
            },
        );
    }
    let mut store = match open(capsule, state) {
        Ok(store) => store,
        Err(error) => {
            let failure = Failure::Host(error.to_string());
            return Outcome::not_begun(failure, Usage::default());
        }
    };

    let answer = bounded(&mut store, async |store| {
        let instance = capsule.instantiate_async(&mut *store).await?;
        instance
            .soma_capsule_tools()
            .call_call(store, &tool, &input)
            .await
    })
    .await;
    let (output_bytes, mut result) = match answer {
        Ok(answer) => accept(answer, limits.output_bytes),
        Err(failure) => (0, Err(failure)),
    };

    let mut state = store.into_data();
    // An error is an answer too; what failed otherwise says nothing of its own.
    if let Err(stop) = state.meter.give_out(output_bytes) {
        result = Err(Failure::of_stop(stop, &state.meter));
    }
    let result = mask(result, &state.masking);
    let usage = Usage {
        input_bytes,
        output_bytes,
        ..usage(&state, start)
    };
    Outcome {
        result,
        usage,
        has_effects: effects.any(),
        egress: effects.take(),
    }
}

/// A fresh store for a call of this capsule, under the limits in `state`.
pub(crate) fn open(
    capsule: &CapsulePre<InvocationState>,
    state: InvocationState,
) -> wasmtime::Result<Store<InvocationState>> {
    fresh_store(capsule.engine(), state)
}

fn fresh_store(
    engine: &Engine,
    state: InvocationState,
) -> wasmtime::Result<Store<InvocationState>> {
    let limits = *state.meter.limits();
    let fuel = state.meter.in_store();
    let mut store = Store::try_new(engine, state)?;
    store.set_fuel(fuel)?;
    store.fuel_async_yield_interval(Some(FUEL_BETWEEN_YIELDS))?;
    store.set_hostcall_fuel(usize::try_from(limits.copy_bytes).unwrap_or(usize::MAX));
    store.set_max_component_handles(limits.handles as usize);
    store.limiter(|state| &mut state.meter);
    // Below every import, WASI's included, so that none can be forgotten.
    store.call_hook_async(Crossing);
    Ok(store)
}

/// What happens at each crossing between guest and host.
struct Crossing;

#[async_trait]
impl CallHookHandler<InvocationState> for Crossing {
    /// Counts and charges host calls, and ends those that come too late, or that are not to be paid
    /// for. Most imports take no fuel and wait for nothing, so that a guest which calls them all the
    /// time would never give its thread back: it is made to.
    async fn handle_call_event(
        &self,
        mut context: StoreContextMut<'_, InvocationState>,
        hook: CallHook,
    ) -> wasmtime::Result<()> {
        match hook {
            CallHook::CallingHost => {
                let (now, fuel) = (Instant::now(), context.get_fuel()?);
                let meter = &mut context.data_mut().meter;
                meter.enter_host(now, fuel)?;
                if meter.turn_is_over(now) {
                    tokio::task::yield_now().await;
                    meter.begin_turn(Instant::now());
                }
            }
            // Here, since an import does not see the store that the fuel is in.
            CallHook::ReturningFromHost => {
                let fuel = context.get_fuel()?;
                if let Some(fuel) = context.data_mut().meter.leave_host(fuel)? {
                    context.set_fuel(fuel)?;
                }
            }
            CallHook::CallingWasm | CallHook::ReturningFromWasm => {}
        }
        Ok(())
    }
}

/// Runs guest code until it ends, fails, or is out of time. A panic in it is the host's failure,
/// and no more than this call's.
pub(crate) async fn bounded<T>(
    store: &mut Store<InvocationState>,
    guest: impl AsyncFnOnce(&mut Store<InvocationState>) -> wasmtime::Result<T>,
) -> Result<T, Failure> {
    let deadline = store.data().meter.deadline().clone();
    let call = AssertUnwindSafe(deadline.bound(guest(&mut *store)));
    let ended = call.catch_unwind().await;
    let fuel = store.get_fuel().unwrap_or(0);
    let meter = &mut store.data_mut().meter;
    let charged = meter.end(fuel);
    match ended {
        // A request that the same bound ends may wake the guest first: late all the same.
        Ok(Ok(Ok(_))) if meter.late(Instant::now()) => Err(Failure::OutOfTime),
        Ok(Ok(Ok(answer))) => match charged {
            Ok(()) => Ok(answer),
            Err(stop) => Err(Failure::of_stop(stop, meter)),
        },
        Ok(Ok(Err(error))) => Err(Failure::from_wasmtime(&error, meter)),
        Ok(Err(stop)) => Err(Failure::of_stop(stop, meter)),
        Err(_) => Err(Failure::Host("a panic during the call".to_owned())),
    }
}

/// What the guest answered and its size, unless that is more than `limit`.
fn accept(
    answer: Result<tools::Output, tools::ToolError>,
    limit: u64,
) -> (u64, Result<Output, Failure>) {
    let (size, result) = match answer {
        Err(error) => (error.size(), Err(Failure::Tool(error.into()))),
        Ok(output) => match Output::try_from(output) {
            Ok(output) => (output.size(), Ok(output)),
            Err(error) => (0, Err(Failure::InvalidOutput(error.to_string()))),
        },
    };
    if size > limit {
        return (size, Err(Failure::OutputTooLarge { limit }));
    }
    (size, result)
}

/// The answer without the credentials that the guest may have come by.
fn mask(mut result: Result<Output, Failure>, masking: &Masking) -> Result<Output, Failure> {
    match &mut result {
        Ok(output) => output.mask(masking),
        Err(Failure::Tool(error)) => error.mask(masking),
        Err(_) => {}
    }
    result
}

fn usage(state: &InvocationState, start: Instant) -> Usage {
    let meter = &state.meter;
    let (balance, traffic) = (meter.balance(), meter.traffic());
    let log = state.log.totals();
    let tools = meter.tools();
    let [answered, denied, failed] = traffic.outcomes();
    Usage {
        answered,
        denied,
        failed,
        tokens: balance.tokens(),
        cost: balance.cost(),
        fuel: balance.fuel(),
        time_us: u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX),
        memory_bytes: meter.memory_peak(),
        host_calls: meter.host_calls(),
        log_lines: log.lines,
        log_bytes: log.bytes,
        log_dropped: log.dropped,
        requests: traffic.requests(),
        sent_bytes: traffic.sent(),
        received_bytes: traffic.received(),
        masked: state.masking.count(),
        tool_calls: tools.calls,
        tool_fuel: tools.fuel,
        tool_tokens: tools.tokens,
        ..Usage::default()
    }
}

#[cfg(test)]
mod tests;
