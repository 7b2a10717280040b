//! What one call has used so far, against what it may use.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use soma_capability::Limits;
use wasmtime::ResourceLimiter;

/// Why the host stopped a guest in the middle of a host call, or of growing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stop {
    #[error("out of host calls")]
    HostCalls,
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

/// The counters of one call.
#[derive(Debug)]
pub(crate) struct Meter {
    limits: Limits,
    memory: u64,
    memory_peak: u64,
    table_elements: u64,
    host_calls: u64,
    /// The last growth that was refused. A guest that traps after it died of that.
    refused: Option<Stop>,
    traffic: Arc<Traffic>,
}

impl Meter {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            limits: *limits,
            memory: 0,
            memory_peak: 0,
            table_elements: 0,
            host_calls: 0,
            refused: None,
            traffic: Arc::default(),
        }
    }

    /// Counts one crossing from the guest into the host.
    pub(crate) fn host_call(&mut self) -> Result<(), Stop> {
        self.host_calls += 1;
        if self.host_calls > self.limits.host_calls {
            return Err(Stop::HostCalls);
        }
        Ok(())
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
        self.memory_peak
    }

    pub(crate) fn refused(&self) -> Option<Stop> {
        self.refused
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self.memory.saturating_add((desired - current) as u64);
        if total > self.limits.memory_bytes {
            self.refused = Some(Stop::Memory);
            return Ok(false);
        }
        self.memory = total;
        self.memory_peak = self.memory_peak.max(total);
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        // Past what a slot of the pool can hold: the same to the guest as its own limit.
        self.refused = Some(Stop::Memory);
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self
            .table_elements
            .saturating_add((desired - current) as u64);
        if total > self.limits.table_elements {
            self.refused = Some(Stop::Tables);
            return Ok(false);
        }
        self.table_elements = total;
        Ok(true)
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.refused = Some(Stop::Tables);
        Ok(())
    }
}
