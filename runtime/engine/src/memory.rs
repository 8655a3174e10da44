use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use wasmtime::ResourceLimiter;

use crate::memory_group::MemoryGroup;

/// Bytes of one table element: a pointer, as wasmtime's documentation says.
const TABLE_ELEMENT: u64 = size_of::<usize>() as u64;

/// Counts the linear memories and tables of all live instances of a container, of a group of them, or of the whole node, and
/// what the host holds for their resources.
pub(crate) struct Memory {
    used: AtomicU64,
    /// The most that was held at once.
    peak: AtomicU64,
    /// `u64::MAX`: none.
    limit: AtomicU64,
    /// Whose limit it is.
    whose: &'static str,
    /// What else it counts in.
    above: Option<Above>,
    released: Arc<Notify>,
}

/// Where a container's memory counts beside its own.
struct Above {
    group: Option<MemoryGroup>,
    node: Arc<Memory>,
}

/// A new limit is below what is held already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BelowUse {
    pub(crate) held: u64,
}

/// An instance asked for more than its container, those that it shares a limit with, or the node, may hold.
#[derive(Debug, thiserror::Error)]
#[error("memory limit exceeded: {held} bytes held, {wanted} more wanted, {whose} limit is {limit} bytes")]
pub(crate) struct Exceeded {
    pub(crate) held: u64,
    pub(crate) wanted: u64,
    pub(crate) limit: u64,
    pub(crate) whose: &'static str,
}

impl Memory {
    pub(crate) fn of_node(limit: u64) -> Arc<Memory> {
        Arc::new(Memory::new(limit, "the node's", None))
    }

    pub(crate) fn of_group(limit: Option<u64>) -> Memory {
        Memory::new(limit.unwrap_or(u64::MAX), "the containers' common", None)
    }

    pub(crate) fn of_container(limit: Option<u64>, group: Option<MemoryGroup>, node: &Arc<Memory>) -> Arc<Memory> {
        let above = Above { group, node: node.clone() };
        Arc::new(Memory::new(limit.unwrap_or(u64::MAX), "the container's", Some(above)))
    }

    fn new(limit: u64, whose: &'static str, above: Option<Above>) -> Memory {
        let (used, peak) = (AtomicU64::new(0), AtomicU64::new(0));
        Memory { used, peak, limit: AtomicU64::new(limit), whose, above, released: Arc::default() }
    }

    /// Changes the limit, unless more is held already: a growth that was allowed is never taken back.
    pub(crate) fn resize(&self, limit: Option<u64>) -> Result<(), BelowUse> {
        let held = self.used();
        if limit.is_some_and(|limit| held > limit) {
            return Err(BelowUse { held });
        }
        self.set_limit(limit);
        Ok(())
    }

    /// Changes the limit, whatever is held.
    pub(crate) fn set_limit(&self, limit: Option<u64>) {
        self.limit.store(limit.unwrap_or(u64::MAX), Ordering::Relaxed);
        // What did not fit may fit now.
        self.released.notify_waiters();
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    pub(crate) fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }

    /// Ends at the next release by an instance of this container. Releases after this call count, awaited or not.
    pub(crate) fn released(&self) -> OwnedNotified {
        self.released.clone().notified_owned()
    }

    pub(crate) fn reserve(&self, bytes: u64) -> Result<(), Exceeded> {
        let limit = self.limit.load(Ordering::Relaxed);
        let grown = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(bytes).filter(|sum| *sum <= limit)
        });
        let before = grown.map_err(|held| Exceeded { held, wanted: bytes, limit, whose: self.whose })?;
        if let Some(above) = &self.above {
            above.reserve(bytes).inspect_err(|_| {
                self.used.fetch_sub(bytes, Ordering::Relaxed);
            })?;
        }
        self.peak.fetch_max(before + bytes, Ordering::Relaxed);
        Ok(())
    }

    pub(crate) fn release(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        self.released.notify_waiters();
        if let Some(above) = &self.above {
            above.release(bytes);
        }
    }

    /// Counts `now` where `before` was counted, whether it fits or not.
    pub(crate) fn replace(&self, before: u64, now: u64) {
        self.used.fetch_add(now, Ordering::Relaxed);
        self.release(before);
    }
}

impl Above {
    fn reserve(&self, bytes: u64) -> Result<(), Exceeded> {
        if let Some(group) = &self.group {
            group.reserve(bytes)?;
        }
        self.node.reserve(bytes).inspect_err(|_| {
            if let Some(group) = &self.group {
                group.release(bytes);
            }
        })
    }

    fn release(&self, bytes: u64) {
        if let Some(group) = &self.group {
            group.release(bytes);
        }
        self.node.release(bytes);
    }
}

/// What one store holds of its container's memory; given back when the store is dropped.
pub(crate) struct Reservation {
    memory: Arc<Memory>,
    held: u64,
    /// The last growth, to take back if the system refuses what was allowed.
    last: u64,
    /// What of it the host holds.
    host: u64,
}

impl Reservation {
    pub(crate) fn new(memory: Arc<Memory>) -> Self {
        Reservation { memory, held: 0, last: 0, host: 0 }
    }

    fn grow(&mut self, bytes: u64) -> wasmtime::Result<bool> {
        self.memory.reserve(bytes)?;
        self.held += bytes;
        self.last = bytes;
        Ok(true)
    }

    /// The host holds so much for the store now.
    pub(crate) fn count_host(&mut self, bytes: u64) -> Result<(), Exceeded> {
        if bytes > self.host {
            self.memory.reserve(bytes - self.host)?;
        } else if bytes < self.host {
            self.memory.release(self.host - bytes);
        }
        self.held = self.held - self.host + bytes;
        self.host = bytes;
        Ok(())
    }

    fn take_back(&mut self) {
        let bytes = std::mem::take(&mut self.last);
        self.held -= bytes;
        self.memory.release(bytes);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.held > 0 {
            self.memory.release(self.held);
        }
    }
}

/// An `Err` ends the guest with a trap: answering -1 would only make most guests abort, with no word of why.
impl ResourceLimiter for Reservation {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.grow(desired.saturating_sub(current) as u64)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        tracing::debug!(%error, "the system refused memory to a guest");
        self.take_back();
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.grow(desired.saturating_sub(current) as u64 * TABLE_ELEMENT)
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        tracing::debug!(%error, "the system refused a table to a guest");
        self.take_back();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 65536;

    #[test]
    fn all_stores_of_a_container_share_its_limit() {
        let node = Memory::of_node(u64::MAX);
        let container = Memory::of_container(Some(3 * PAGE as u64), None, &node);
        let (mut one, mut two) = (Reservation::new(container.clone()), Reservation::new(container.clone()));
        assert!(one.memory_growing(0, 2 * PAGE, None).unwrap());
        assert!(two.memory_growing(0, PAGE, None).unwrap());
        let refused = two.memory_growing(PAGE, 2 * PAGE, None).unwrap_err();
        assert!(refused.downcast_ref::<Exceeded>().is_some());
        drop(one);
        assert!(two.memory_growing(PAGE, 2 * PAGE, None).unwrap());
        assert_eq!((container.used(), node.used()), (2 * PAGE as u64, 2 * PAGE as u64));
        drop(two);
        assert_eq!((container.used(), node.used()), (0, 0));
    }

    #[test]
    fn what_the_host_holds_is_counted_up_and_down() {
        let container = Memory::of_container(Some(3 * PAGE as u64), None, &Memory::of_node(u64::MAX));
        let mut store = Reservation::new(container.clone());
        assert!(store.memory_growing(0, PAGE, None).unwrap());
        for (bytes, used) in [(PAGE, 2), (2 * PAGE, 3), (2 * PAGE, 3), (0, 1), (PAGE, 2)] {
            store.count_host(bytes as u64).unwrap();
            assert_eq!(container.used(), used * PAGE as u64);
        }
        let refused = store.count_host(3 * PAGE as u64).unwrap_err();
        assert_eq!((refused.wanted, container.used()), (2 * PAGE as u64, 2 * PAGE as u64));
        drop(store);
        assert_eq!(container.used(), 0);
    }

    #[test]
    fn a_limit_can_be_changed_but_not_below_what_is_held() {
        let container = Memory::of_container(Some(PAGE as u64), None, &Memory::of_node(u64::MAX));
        let mut store = Reservation::new(container.clone());
        assert!(store.memory_growing(0, 2 * PAGE, None).is_err());
        container.resize(Some(2 * PAGE as u64)).unwrap();
        assert!(store.memory_growing(0, 2 * PAGE, None).unwrap());
        assert_eq!(container.resize(Some(PAGE as u64)), Err(BelowUse { held: 2 * PAGE as u64 }));
        assert!(store.memory_growing(2 * PAGE, 3 * PAGE, None).is_err(), "the limit is still two pages");
        container.resize(None).unwrap();
        assert!(store.memory_growing(2 * PAGE, 3 * PAGE, None).unwrap());
        drop(store);
        assert_eq!((container.used(), container.peak()), (0, 3 * PAGE as u64));
    }

    #[test]
    fn the_nodes_limit_holds_for_containers_without_one() {
        let node = Memory::of_node(PAGE as u64);
        let container = Memory::of_container(None, None, &node);
        let mut store = Reservation::new(container.clone());
        let refused = store.memory_growing(0, 2 * PAGE, None).unwrap_err();
        assert!(refused.to_string().contains("the node's limit"), "{refused}");
        assert_eq!((container.used(), node.used()), (0, 0));
    }

    #[test]
    fn what_the_system_or_the_module_refuses_is_not_counted() {
        let node = Memory::of_node(u64::MAX);
        let container = Memory::of_container(None, None, &node);
        let mut store = Reservation::new(container.clone());
        assert!(!store.memory_growing(0, 2 * PAGE, Some(PAGE)).unwrap());
        assert!(store.table_growing(0, 10, None).unwrap());
        store.table_grow_failed(wasmtime::format_err!("no")).unwrap();
        assert_eq!(container.used(), 0);
    }
}
