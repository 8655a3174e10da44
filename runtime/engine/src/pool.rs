use std::fs;

use tokio::sync::Semaphore;
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::engine::{EngineConfig, EngineError};

/// How many instances may live at once, and where they come from.
pub(crate) struct Pool {
    pub(crate) capacity: u32,
    /// One for each instance that may still be made; a component of several memories takes several.
    pub(crate) slots: Semaphore,
}

impl Pool {
    fn of(capacity: u32) -> Pool {
        Pool { capacity, slots: Semaphore::new(capacity as usize) }
    }
}

/// Memory maps that one instance takes: four while it lives, for its memory, the image in it and its tables; two and a
/// half from the start, for its share of the stacks and their guard pages. Measured.
const MAPS_PER_INSTANCE: u64 = 7;
/// Linux's default of `vm.max_map_count`, taken where it cannot be read.
const DEFAULT_MAPS: u64 = 65_530;
/// Taken where the machine's memory cannot be read.
const DEFAULT_MEMORY: u64 = 1 << 30;
/// Memory that an instance holds in any case, so that a small machine does not promise thousands.
const BYTES_PER_INSTANCE: u64 = 256 * 1024;
const MOST_INSTANCES: u64 = 8_000;
const FEWEST_INSTANCES: u64 = 16;

/// Parts of a component per slot of the pool. Most have one or two core instances; interpreters have up to 14, and a
/// component that needs several memories counts as several instances, see `Program::slots`.
const CORE_INSTANCES_PER_SLOT: u32 = 16;
pub(crate) const TABLES_PER_SLOT: u32 = 2;
/// Each instance has a stack; one of 0.3 now and then needs a second, while a call is interrupted by another.
const STACKS_TO_SPARE: u32 = 16;
/// Elements of one table. Interpreters have up to 20,000 functions in theirs.
const TABLE_ELEMENTS: usize = 40_000;

/// What of a memory, a table and a stack stays mapped for the next instance and is cleared by hand, in bytes. A fresh
/// 0.2 instance touches less than this, so most need no `madvise`.
const KEEP_RESIDENT: usize = 256 * 1024;
const KEEP_RESIDENT_SMALL: usize = 16 * 1024;

/// wasmtime, with the largest pool that the address space allows, or without one.
pub(crate) fn wasmtime_engine(config: &EngineConfig) -> Result<(Engine, Pool), EngineError> {
    let capacity = config.instances.unwrap_or_else(instance_capacity).max(1);
    let mut size = if config.pooling { capacity } else { 0 };
    while u64::from(size) >= FEWEST_INSTANCES.min(u64::from(capacity)) && size > 0 {
        match Engine::new(&settings(Some(size))) {
            Ok(engine) => return Ok((engine, Pool::of(size))),
            Err(error) => tracing::info!(instances = size, "no address space for this pool: {error:#}"),
        }
        size /= 4;
    }
    if config.pooling {
        tracing::warn!("instances are allocated one by one: the address space is too small for a pool");
    }
    let engine = Engine::new(&settings(None)).map_err(|e| EngineError::Wasmtime(format!("{e:#}")))?;
    Ok((engine, Pool::of(capacity)))
}

fn settings(pool: Option<u32>) -> Config {
    let mut config = Config::new();
    config.wasm_component_model_async(true).epoch_interruption(true);
    let strategy = pool.map_or(InstanceAllocationStrategy::OnDemand, |size| slots(size).into());
    config.allocation_strategy(strategy);
    config
}

fn slots(size: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(size)
        .total_core_instances(size.saturating_mul(CORE_INSTANCES_PER_SLOT))
        .total_memories(size)
        .total_tables(size.saturating_mul(TABLES_PER_SLOT))
        .total_stacks((size / 4).saturating_add(size).saturating_add(STACKS_TO_SPARE))
        .total_gc_heaps(size)
        .max_memories_per_module(16)
        .max_tables_per_module(16)
        .table_elements(TABLE_ELEMENTS)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(KEEP_RESIDENT_SMALL)
        .async_stack_keep_resident(KEEP_RESIDENT_SMALL)
        .pagemap_scan(Enabled::Auto);
    pool
}

fn instance_capacity() -> u32 {
    let maps = read_number("/proc/sys/vm/max_map_count").unwrap_or(DEFAULT_MAPS);
    // A quarter of the maps stays for everything else in the process.
    let by_maps = maps / 4 * 3 / MAPS_PER_INSTANCE;
    let by_memory = guest_memory() / BYTES_PER_INSTANCE;
    by_maps.min(by_memory).clamp(FEWEST_INSTANCES, MOST_INSTANCES) as u32
}

/// Four fifths of the machine's memory.
pub(crate) fn guest_memory() -> u64 {
    machine_memory().unwrap_or(DEFAULT_MEMORY) / 5 * 4
}

/// Files that all guests together may hold open: half of what the process may, so that the node always has its own.
pub(crate) fn guest_files() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit.map_or(usize::MAX, |limit| usize::try_from(limit / 2).unwrap_or(usize::MAX))
}

fn machine_memory() -> Option<u64> {
    let info = fs::read_to_string("/proc/meminfo").ok()?;
    let total = info.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(total.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

fn read_number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}
