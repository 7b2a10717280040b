//! The process-wide engine: how code is compiled, and the pool that instances live in.

use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

/// The engine, by which fuel is counted: another version may count otherwise.
pub const ENGINE: &str = "wasmtime 48.0.8";

/// What a component may hold at most, whatever its manifest asks. Python's interpreter, the
/// largest guest seen, needs 38 core instances.
const CORE_INSTANCES: u32 = 64;
const MEMORIES: u32 = 4;
const TABLES: u32 = 16;

/// Stack for wasm code; the host's own frames need the rest of [`FIBER_STACK`].
const WASM_STACK: usize = 512 << 10;
const FIBER_STACK: usize = 1 << 20;

/// Zeroed by hand and kept resident between calls. Giving pages back to the kernel instead costs
/// an exclusive lock on the address space and a page fault at the next touch, and under load that
/// is the cost of a call (docs/adr/0003-instance-pool.md).
const STACK_KEPT: usize = 32 << 10;
const TABLE_KEPT: usize = 64 << 10;

/// Stacks that wait to be given back to the kernel together. One by one, two threads that do it at
/// the same moment make the kernel flush every core's translations each time.
const STACKS_AT_ONCE: u32 = 32;

/// The size of the pool, and so the bound on what all calls together can hold.
#[derive(Clone, Copy, Debug)]
pub struct EngineConfig {
    /// Calls that can run at once. Each holds one slot of the pool.
    pub instances: u32,
    /// Bytes that one linear memory can grow to; a component that declares more is refused when
    /// it is loaded.
    pub max_memory_bytes: u64,
    /// Elements that one table can grow to.
    pub max_table_elements: u32,
    /// Bytes of a memory slot that stay resident between calls. What a call touched beyond them
    /// is given back to the kernel.
    pub memory_kept_bytes: u64,
    /// Whether to ask the kernel which pages a call touched, where it can say (Linux 6.7). Off
    /// only to measure what that is worth.
    pub page_scan: bool,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            instances: 128,
            max_memory_bytes: 64 << 20,
            max_table_elements: 20_000,
            memory_kept_bytes: 2 << 20,
            page_scan: true,
        }
    }
}

/// The pool could not be set up: the configuration does not fit this machine.
#[derive(Debug, thiserror::Error)]
#[error("the WebAssembly engine could not start: {0:#}")]
pub struct EngineError(wasmtime::Error);

/// Compiles nothing by itself, runs everything. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    pub(crate) wasmtime: wasmtime::Engine,
}

impl Engine {
    /// Reserves the pool's address space. Fails where the machine has too little of it.
    pub fn new(config: &EngineConfig) -> Result<Self, EngineError> {
        let mut wasmtime = code_config();
        wasmtime
            .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(config)))
            .max_wasm_stack(WASM_STACK)
            .async_stack_size(FIBER_STACK)
            .async_stack_zeroing(true);
        let wasmtime = wasmtime::Engine::new(&wasmtime).map_err(EngineError)?;
        Ok(Self { wasmtime })
    }

    /// Instances alive at this moment: calls that are running.
    pub fn instances_in_use(&self) -> u64 {
        self.wasmtime
            .pooling_allocator_metrics()
            .map_or(0, |pool| pool.component_instances())
    }

    /// The engine underneath, for benchmarks that hold this crate against it.
    pub fn wasmtime(&self) -> &wasmtime::Engine {
        &self.wasmtime
    }

    /// Says which precompiled code this engine accepts: wasmtime's version, the target and its
    /// features, and every setting that changes code.
    pub(crate) fn compatibility(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        let mut hasher = DefaultHasher::new();
        self.wasmtime
            .precompile_compatibility_hash()
            .hash(&mut hasher);
        hasher.finish()
    }
}

/// The settings that decide what code comes out. The compiling child and the engine that loads
/// its code must agree on every one.
pub(crate) fn code_config() -> Config {
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false);
    config
}

fn pool(config: &EngineConfig) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(config.instances)
        .total_stacks(config.instances.saturating_add(STACKS_AT_ONCE))
        .decommit_batch_size(STACKS_AT_ONCE as usize)
        .total_core_instances(config.instances.saturating_mul(CORE_INSTANCES))
        .total_memories(config.instances.saturating_mul(MEMORIES))
        .total_tables(config.instances.saturating_mul(TABLES))
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_component_instance_size(8 << 20)
        .max_core_instance_size(2 << 20)
        .max_memory_size(clamp(config.max_memory_bytes))
        .table_elements(config.max_table_elements as usize)
        .max_unused_warm_slots(config.instances)
        .linear_memory_keep_resident(clamp(config.memory_kept_bytes))
        .table_keep_resident(TABLE_KEPT)
        .async_stack_keep_resident(STACK_KEPT)
        .pagemap_scan(if config.page_scan {
            Enabled::Auto
        } else {
            Enabled::No
        });
    pool
}

fn clamp(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_is_the_one_that_is_built_in() {
        let locked = include_str!("../../../Cargo.lock");
        let (_, after) = locked
            .split_once("name = \"wasmtime\"\nversion = \"")
            .unwrap();
        let version = after.split('"').next().unwrap();
        assert_eq!(ENGINE, format!("wasmtime {version}"));
    }
}
