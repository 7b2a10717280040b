//! How a call ended, what it used, and whose doing that was.

use serde::Serialize;
use wasmtime::Trap;

use crate::effects::Egress;
use crate::meter::{Meter, Stop};
use crate::output::{Output, ToolError};

/// What became of one call. Always with its usage, even when the guest trapped.
#[derive(Debug)]
pub struct Outcome {
    /// The answer, or why there is none.
    pub result: Result<Output, Failure>,
    /// What the call used.
    pub usage: Usage,
    /// Whether it may have sent something.
    pub has_effects: bool,
    /// The first requests that it sent, or wanted to.
    pub egress: Vec<Egress>,
}

impl Outcome {
    /// Of a call that did not begin.
    pub(crate) fn not_begun(failure: Failure, usage: Usage) -> Self {
        Self {
            result: Err(failure),
            usage,
            has_effects: false,
            egress: Vec::new(),
        }
    }
}

/// What one call used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// What the call cost: fuel, waiting, bytes and host calls by the price list, what was called within
    /// the call included.
    pub tokens: u64,
    /// The same in the fuel that it would have bought, before it was rounded up.
    #[serde(skip)]
    pub cost: u64,
    /// Units of fuel: about one an instruction; what was called within the call included.
    pub fuel: u64,
    /// Wall-clock microseconds, from making the instance to its end.
    pub time_us: u64,
    /// Peak bytes of linear memory.
    pub memory_bytes: u64,
    /// Crossings from the guest into the host: imports of any kind, and growing.
    pub host_calls: u64,
    /// Bytes of the input's JSON text.
    pub input_bytes: u64,
    /// Bytes of the answer.
    pub output_bytes: u64,
    /// Lines that went to the log.
    pub log_lines: u64,
    /// Bytes that went to the log.
    pub log_bytes: u64,
    /// Lines that did not fit.
    pub log_dropped: u64,
    /// Requests sent to the network.
    pub requests: u64,
    /// Requests that had an answer.
    #[serde(skip)]
    pub answered: u64,
    /// Requests that were not allowed.
    #[serde(skip)]
    pub denied: u64,
    /// Requests that had no answer for another reason.
    #[serde(skip)]
    pub failed: u64,
    /// Body bytes sent to the network.
    pub sent_bytes: u64,
    /// Body bytes received from the network.
    pub received_bytes: u64,
    /// Credentials that came back, or that the guest said, and that were masked.
    pub masked: u64,
    /// Other capsules' tools that were called.
    pub tool_calls: u64,
    /// Of the fuel, what those took.
    pub tool_fuel: u64,
    /// Of the tokens, what those cost.
    pub tool_tokens: u64,
}

/// Whose doing a failure is: the guest's are charged, the host's are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The capsule, or what it was asked to do.
    Guest,
    /// The host, or its machine.
    Host,
}

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The tool answered with an error.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// See [`soma_capability::Limits::fuel`].
    #[error("the call ran out of fuel")]
    OutOfFuel,
    /// See [`soma_capability::Limits::time_ms`].
    #[error("the call ran out of time")]
    OutOfTime,
    /// Everything that the call was allowed to cost is spent.
    #[error("the call ran out of its {tokens} tokens")]
    OutOfTokens {
        /// Tokens allowed; within another call, what that one had left, a begun one being a whole one.
        tokens: u64,
    },
    /// See [`soma_capability::Limits::memory_bytes`].
    #[error("the call ran out of memory")]
    OutOfMemory,
    /// See [`soma_capability::Limits::table_elements`].
    #[error("the call ran out of table elements")]
    OutOfTables,
    /// See [`soma_capability::Limits::handles`].
    #[error("the call ran out of resource handles")]
    OutOfHandles,
    /// See [`soma_capability::Limits::host_calls`].
    #[error("the call ran out of host calls")]
    OutOfHostCalls,
    /// See [`soma_capability::Limits::copy_bytes`].
    #[error("the call passed more data at once than one host call may carry")]
    CopyTooLarge,
    /// Calls nested too deep.
    #[error("the call ran out of stack")]
    OutOfStack,
    /// See [`soma_capability::Limits::input_bytes`]. The guest was not started.
    #[error("the input has more than {limit} bytes")]
    InputTooLarge {
        /// Bytes allowed.
        limit: u64,
    },
    /// See [`soma_capability::Limits::output_bytes`].
    #[error("the answer has more than {limit} bytes")]
    OutputTooLarge {
        /// Bytes allowed.
        limit: u64,
    },
    /// The structured answer is not one JSON text.
    #[error("the tool's structured answer is not JSON: {0}")]
    InvalidOutput(String),
    /// The guest trapped: a panic, a bug, a broken promise. A short cause, in wasmtime's words.
    #[error("the capsule trapped: {0}")]
    Trap(String),
    /// Every slot of the pool is taken.
    #[error("the host has no instance free")]
    NoInstance,
    /// The host failed.
    #[error("the host failed: {0}")]
    Host(String),
}

/// What an import fails with where that is not the guest's doing.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct HostFault(pub(crate) String);

impl Failure {
    /// Whose doing it is.
    pub fn side(&self) -> Side {
        match self {
            Self::NoInstance | Self::Host(_) => Side::Host,
            _ => Side::Guest,
        }
    }

    /// What an error out of wasmtime means. `meter` knows whether growing had been refused.
    pub(crate) fn from_wasmtime(error: &wasmtime::Error, meter: &Meter) -> Self {
        if error.is::<wasmtime::PoolConcurrencyLimitError>() {
            return Self::NoInstance;
        }
        if let Some(HostFault(cause)) = error.downcast_ref() {
            return Self::Host(cause.clone());
        }
        let trap = error.downcast_ref::<Trap>();
        let stop = error.downcast_ref::<Stop>().copied();
        if let Some(stop) = stop.or_else(|| meter.died_of(trap)) {
            return Self::of_stop(stop, meter);
        }
        match trap {
            // The store holds what is left of either.
            Some(Trap::OutOfFuel) if meter.balance().is_exhausted() => {
                Self::of_stop(Stop::Tokens, meter)
            }
            Some(Trap::OutOfFuel) => Self::OutOfFuel,
            Some(Trap::StackOverflow) => Self::OutOfStack,
            _ => Self::from_text(&error.root_cause().to_string()),
        }
    }

    /// What the host stopped a guest for, of the call that this meter counts.
    pub(crate) fn of_stop(stop: Stop, meter: &Meter) -> Self {
        match stop {
            Stop::HostCalls => Self::OutOfHostCalls,
            Stop::Time => Self::OutOfTime,
            Stop::Tokens => Self::OutOfTokens {
                tokens: meter.balance().tokens_given(),
            },
            Stop::Memory => Self::OutOfMemory,
            Stop::Tables => Self::OutOfTables,
        }
    }

    /// wasmtime gives these two limits no type of their own; a hostile guest each pins the words.
    fn from_text(cause: &str) -> Self {
        if cause.contains("fuel allocated for hostcalls has been exhausted") {
            return Self::CopyTooLarge;
        }
        if cause.contains("handle limit exceeded") || cause.contains("no free keys") {
            return Self::OutOfHandles;
        }
        let first_line = cause.lines().next().unwrap_or_default();
        let short: String = first_line
            .strip_prefix("wasm trap: ")
            .unwrap_or(first_line)
            .chars()
            .take(200)
            .collect();
        Self::Trap(short)
    }
}

#[cfg(test)]
mod tests {
    use soma_capability::{Limits, Prices};

    use super::*;
    use crate::balance::Allowance;

    #[test]
    fn what_the_host_cannot_do_is_not_the_guests_fault() {
        let allowance = Allowance::unbounded(Prices::default());
        let meter = Meter::new(&Limits::default(), allowance);
        let failure = |error| Failure::from_wasmtime(&error, &meter).side();
        let fault = wasmtime::Error::from(HostFault("no randomness".to_owned()));
        assert_eq!(failure(fault.context("in an import")), Side::Host);
        assert_eq!(failure(wasmtime::Error::msg("no randomness")), Side::Guest);
    }
}
