//! What one call has used so far, against what it may use.

use std::sync::Arc;
use std::time::{Duration, Instant};

use soma_capability::Limits;
use wasmtime::{ResourceLimiter, Trap};

use crate::balance::{Allowance, Balance, Exhausted};
use crate::deadline::Deadline;
use crate::toolbox::{Inner, Left};
use crate::traffic::Traffic;

/// How long a guest may call the host without giving its thread back.
const TURN: Duration = Duration::from_millis(10);

/// Why the host stopped a guest in the middle of a host call, or of growing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stop {
    #[error("out of host calls")]
    HostCalls,
    #[error("out of time")]
    Time,
    #[error("out of tokens")]
    Tokens,
    #[error("out of memory")]
    Memory,
    #[error("out of table elements")]
    Tables,
}

/// The counters of one call, and its clock.
#[derive(Debug)]
pub(crate) struct Meter {
    limits: Limits,
    balance: Balance,
    start: Instant,
    deadline: Deadline,
    turn: Instant,
    /// When the host call began that is under way, where one is.
    entered: Option<Instant>,
    memory: Space,
    tables: Space,
    host_calls: u64,
    tools: ToolsUsed,
    refused: Option<Refusal>,
    traffic: Arc<Traffic>,
}

/// What other capsules' tools took of the call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ToolsUsed {
    pub(crate) calls: u64,
    pub(crate) fuel: u64,
    pub(crate) tokens: u64,
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
    pub(crate) fn new(limits: &Limits, allowance: Allowance) -> Self {
        let start = Instant::now();
        let balance = Balance::new(allowance, limits.fuel);
        Self {
            limits: *limits,
            start,
            deadline: Deadline::new(start, Duration::from_millis(limits.time_ms)),
            turn: start,
            entered: None,
            memory: Space::default(),
            tables: Space::default(),
            host_calls: 0,
            tools: ToolsUsed::default(),
            refused: None,
            traffic: Arc::new(Traffic::new(balance.rates())),
            balance,
        }
    }

    /// The fuel for the store to begin with.
    pub(crate) fn in_store(&self) -> u64 {
        self.balance.in_store()
    }

    /// The guest crosses into the host, at this moment and with so much fuel in the store.
    pub(crate) fn enter_host(&mut self, now: Instant, in_store: u64) -> Result<(), Stop> {
        self.host_calls += 1;
        self.balance.look(in_store);
        if self.host_calls > self.limits.host_calls {
            return Err(Stop::HostCalls);
        }
        if self.late(now) {
            return Err(Stop::Time);
        }
        self.balance.host_call()?;
        self.entered = Some(now);
        if let Some(patience) = self.balance.patience() {
            self.deadline.begin_wait(now, patience);
            self.traffic.allow(self.balance.transferable());
        }
        Ok(())
    }

    /// The guest has its answer, and pays for it. Gives the fuel that the store must have from now on,
    /// where that is not what it has.
    pub(crate) fn leave_host(&mut self, in_store: u64) -> Result<Option<u64>, Stop> {
        // Taking the answer may have burnt some.
        self.balance.look(in_store);
        self.charge_host()?;
        self.deadline.end_wait();
        Ok(self.balance.refill())
    }

    /// Charges for what is stored.
    pub(crate) fn store(&mut self, bytes: usize) -> Result<(), Stop> {
        Ok(self.balance.store(bytes as u64)?)
    }

    /// Charges for the input.
    pub(crate) fn take_in(&mut self, bytes: u64) -> Result<(), Stop> {
        Ok(self.balance.take_in(bytes)?)
    }

    /// The guest has ended, with so much fuel in the store. Who was stopped in the middle pays for what
    /// there was until then.
    pub(crate) fn end(&mut self, in_store: u64) -> Result<(), Stop> {
        self.balance.look(in_store);
        Ok(self.charge_host()?)
    }

    /// Charges for what the host has done since the guest called it.
    fn charge_host(&mut self) -> Result<(), Exhausted> {
        if let Some(entered) = self.entered.take() {
            self.balance.waited(entered.elapsed())?;
        }
        self.balance.transferred(self.traffic.cost())
    }

    /// Charges for the answer.
    pub(crate) fn give_out(&mut self, bytes: u64) -> Result<(), Stop> {
        Ok(self.balance.give_out(bytes)?)
    }

    pub(crate) fn balance(&self) -> &Balance {
        &self.balance
    }

    pub(crate) fn deadline(&self) -> &Deadline {
        &self.deadline
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
            fuel: self.balance.fuel_left(),
            time: self.time().saturating_sub(self.start.elapsed()),
            allowance: self.balance.allowance(),
        }
    }

    /// Counts a tool that was called within the call, and charges for it.
    pub(crate) fn tool_ran(&mut self, inner: &Inner) -> Result<(), Stop> {
        self.tools.calls += 1;
        self.tools.fuel += inner.fuel;
        self.tools.tokens += inner.tokens;
        Ok(self.balance.within(inner.fuel, inner.cost)?)
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

impl From<Exhausted> for Stop {
    fn from(_: Exhausted) -> Self {
        Self::Tokens
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
    use soma_capability::Prices;

    use super::*;

    const PAGE: usize = 1 << 16;

    fn meter() -> Meter {
        Meter::new(
            &Limits {
                memory_bytes: 4 * PAGE as u64,
                table_elements: 10,
                ..Limits::default()
            },
            Allowance::unbounded(Prices::default()),
        )
    }

    fn grow(meter: &mut Meter, from: usize, to: usize) -> bool {
        meter.enter_host(Instant::now(), 0).unwrap();
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
        meter.enter_host(Instant::now(), 0).unwrap();
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
        meter.enter_host(Instant::now(), 0).unwrap();
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
        assert_eq!(meter.enter_host(end - Duration::from_nanos(1), 0), Ok(()));
        assert_eq!(meter.enter_host(end, 0), Err(Stop::Time));
    }
}
