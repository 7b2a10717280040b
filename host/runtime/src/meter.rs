//! What one call has used so far, against what it may use.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use soma_capability::Limits;
use wasmtime::{ResourceLimiter, Trap};

use crate::toolbox::Left;

/// How long a guest may call the host without giving its thread back.
const TURN: Duration = Duration::from_millis(10);

/// Why the host stopped a guest in the middle of a host call, or of growing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stop {
    #[error("out of host calls")]
    HostCalls,
    #[error("out of time")]
    Time,
    #[error("out of memory")]
    Memory,
    #[error("out of table elements")]
    Tables,
}

/// Bytes on the network. Shared with the exchanges under way, which run beside the guest.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) requests: AtomicU64,
    pub(crate) sent: AtomicU64,
    pub(crate) received: AtomicU64,
}

impl Traffic {
    pub(crate) fn add(counter: &AtomicU64, bytes: usize) {
        counter.fetch_add(bytes as u64, Relaxed);
    }
}

/// The counters of one call, and its clock.
#[derive(Debug)]
pub(crate) struct Meter {
    limits: Limits,
    start: Instant,
    turn: Instant,
    memory: Space,
    tables: Space,
    host_calls: u64,
    /// Fuel that is left, as of the last host call.
    fuel: u64,
    tools: ToolsUsed,
    refused: Option<Refusal>,
    traffic: Arc<Traffic>,
}

/// What other capsules' tools took of the call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ToolsUsed {
    pub(crate) calls: u64,
    pub(crate) fuel: u64,
    /// Of the fuel, what the guest has not been charged for yet.
    owed: u64,
}

/// What memories, or tables, take together.
#[derive(Clone, Copy, Debug, Default)]
struct Space {
    now: u64,
    peak: u64,
    /// What to go back to where the growth that was just allowed fails after all.
    before: Option<Before>,
}

#[derive(Clone, Copy, Debug)]
struct Before {
    now: u64,
    peak: u64,
    host_call: u64,
}

/// A growth that was refused, and in which host call.
#[derive(Clone, Copy, Debug)]
struct Refusal {
    stop: Stop,
    host_call: u64,
}

impl Space {
    fn grow(&mut self, by: usize, limit: u64, host_call: u64) -> bool {
        let total = self.now.saturating_add(by as u64);
        if total > limit {
            return false;
        }
        self.before = Some(Before {
            now: self.now,
            peak: self.peak,
            host_call,
        });
        self.now = total;
        self.peak = self.peak.max(total);
        true
    }

    /// wasmtime says too that growing failed where it had not asked, so what was allowed in an
    /// earlier host call stays.
    fn grow_failed(&mut self, host_call: u64) {
        if let Some(before) = self.before.take_if(|before| before.host_call == host_call) {
            self.now = before.now;
            self.peak = before.peak;
        }
    }
}

impl Meter {
    pub(crate) fn new(limits: &Limits) -> Self {
        let start = Instant::now();
        Self {
            limits: *limits,
            start,
            turn: start,
            memory: Space::default(),
            tables: Space::default(),
            host_calls: 0,
            fuel: limits.fuel,
            tools: ToolsUsed::default(),
            refused: None,
            traffic: Arc::default(),
        }
    }

    /// Counts one crossing from the guest into the host, at this moment and with so much fuel left.
    pub(crate) fn host_call(&mut self, now: Instant, fuel: u64) -> Result<(), Stop> {
        self.host_calls += 1;
        self.fuel = fuel;
        if self.host_calls > self.limits.host_calls {
            return Err(Stop::HostCalls);
        }
        if self.late(now) {
            return Err(Stop::Time);
        }
        Ok(())
    }

    /// Whether others should have the thread now.
    pub(crate) fn turn_is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.turn) >= TURN
    }

    pub(crate) fn begin_turn(&mut self, now: Instant) {
        self.turn = now;
    }

    /// Whether the call's time is over.
    pub(crate) fn late(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.start) >= self.time()
    }

    /// What a tool may use that is called within the call.
    pub(crate) fn left(&self) -> Left {
        Left {
            fuel: self.fuel,
            time: self.time().saturating_sub(self.start.elapsed()),
        }
    }

    /// Counts a tool that was called within the call.
    pub(crate) fn tool_ran(&mut self, fuel: u64) {
        self.tools.calls += 1;
        self.tools.fuel += fuel;
        self.tools.owed += fuel;
    }

    /// The fuel that the guest is to be charged for, once.
    pub(crate) fn take_owed(&mut self) -> u64 {
        std::mem::take(&mut self.tools.owed)
    }

    pub(crate) fn tools(&self) -> ToolsUsed {
        self.tools
    }

    /// How long the call may take.
    pub(crate) fn time(&self) -> Duration {
        Duration::from_millis(self.limits.time_ms)
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }

    pub(crate) fn host_calls(&self) -> u64 {
        self.host_calls
    }

    pub(crate) fn memory_peak(&self) -> u64 {
        self.memory.peak
    }

    /// The refused growth that a guest died of, where it did. One that gets no more space aborts,
    /// which is `unreachable` in every language; or its instance is never made, which no host
    /// call comes after. Who then grew all the same, or ended otherwise, had come over it.
    pub(crate) fn died_of(&self, trap: Option<&Trap>) -> Option<Stop> {
        let refusal = self.refused?;
        let died = match trap {
            Some(trap) => *trap == Trap::UnreachableCodeReached,
            None => refusal.host_call == self.host_calls,
        };
        died.then_some(refusal.stop)
    }

    fn refuse(&mut self, stop: Stop) {
        self.refused = Some(Refusal {
            stop,
            host_call: self.host_calls,
        });
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let limit = self.limits.memory_bytes;
        let grown = self.memory.grow(desired - current, limit, self.host_calls);
        self.refused = None;
        if !grown {
            self.refuse(Stop::Memory);
        }
        Ok(grown)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        // Past what a slot of the pool can hold: the same to the guest as its own limit.
        self.memory.grow_failed(self.host_calls);
        self.refuse(Stop::Memory);
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let limit = self.limits.table_elements;
        let grown = self.tables.grow(desired - current, limit, self.host_calls);
        self.refused = None;
        if !grown {
            self.refuse(Stop::Tables);
        }
        Ok(grown)
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.tables.grow_failed(self.host_calls);
        self.refuse(Stop::Tables);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 1 << 16;

    fn meter() -> Meter {
        Meter::new(&Limits {
            memory_bytes: 4 * PAGE as u64,
            table_elements: 10,
            ..Limits::default()
        })
    }

    fn grow(meter: &mut Meter, from: usize, to: usize) -> bool {
        meter.host_call(Instant::now(), 0).unwrap();
        meter.memory_growing(from * PAGE, to * PAGE, None).unwrap()
    }

    fn fail(meter: &mut Meter) {
        let error = wasmtime::Error::msg("no");
        meter.memory_grow_failed(error).unwrap();
    }

    #[test]
    fn a_growth_that_fails_takes_nothing() {
        let mut meter = meter();
        assert!(grow(&mut meter, 0, 1));
        for _ in 0..10 {
            assert!(grow(&mut meter, 1, 4));
            fail(&mut meter);
        }
        assert_eq!(meter.memory_peak(), PAGE as u64);
        assert!(grow(&mut meter, 1, 4));
        assert_eq!(meter.memory_peak(), 4 * PAGE as u64);
        // Failed before it was asked for: what was granted before is still taken.
        meter.host_call(Instant::now(), 0).unwrap();
        fail(&mut meter);
        assert!(!grow(&mut meter, 4, 5));
    }

    #[test]
    fn a_guest_died_of_a_refusal_only_where_it_aborts_after_it() {
        let unreachable = Some(&Trap::UnreachableCodeReached);
        let mut meter = meter();
        assert!(grow(&mut meter, 0, 1));
        assert_eq!(meter.died_of(unreachable), None);
        assert!(!grow(&mut meter, 1, 9));
        assert_eq!(meter.died_of(None), Some(Stop::Memory));
        // To say so, a standard library calls the host.
        meter.host_call(Instant::now(), 0).unwrap();
        assert_eq!(meter.died_of(unreachable), Some(Stop::Memory));
        assert_eq!(meter.died_of(Some(&Trap::IntegerDivisionByZero)), None);
        assert_eq!(meter.died_of(None), None);
        // It did with less.
        assert!(grow(&mut meter, 1, 2));
        assert_eq!(meter.died_of(unreachable), None);
    }

    #[test]
    fn host_calls_end_with_the_time() {
        let mut meter = meter();
        let end = meter.start + meter.time();
        assert_eq!(meter.host_call(end - Duration::from_nanos(1), 0), Ok(()));
        assert_eq!(meter.host_call(end, 0), Err(Stop::Time));
    }
}
