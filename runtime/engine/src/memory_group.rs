use std::sync::Arc;

use parking_lot::Mutex;

use crate::memory::{Exceeded, Memory};

/// What some containers hold together with what lies beside them in memory, such as files. Cloning shares it.
///
/// A container that would grow past the limit ends, as past its own, whoever holds the rest.
#[derive(Clone)]
pub struct MemoryGroup(Arc<Group>);

struct Group {
    memory: Memory,
    /// What is counted of what lies beside.
    beside: Mutex<u64>,
    look: Box<dyn Fn() -> u64 + Send + Sync>,
}

impl MemoryGroup {
    /// A group with a limit in bytes. `look` says how many bytes lie beside the containers by now; it may block, and is asked
    /// when something does not fit, since they may have become fewer.
    pub fn new(limit: Option<u64>, look: impl Fn() -> u64 + Send + Sync + 'static) -> MemoryGroup {
        let memory = Memory::of_group(limit);
        MemoryGroup(Arc::new(Group { memory, beside: Mutex::new(0), look: Box::new(look) }))
    }

    /// Changes the limit. If more is held already, nothing grows until it is less.
    pub fn set_limit(&self, limit: Option<u64>) {
        self.0.memory.set_limit(limit);
    }

    /// Takes bytes for what lies beside the containers; `false` if they do not fit. It may block.
    pub fn take(&self, bytes: u64) -> bool {
        if self.reserve(bytes).is_err() {
            return false;
        }
        *self.0.beside.lock() += bytes;
        true
    }

    /// Looks how much lies beside the containers by now, and answers it. It may block.
    pub fn look(&self) -> u64 {
        let mut beside = self.0.beside.lock();
        let found = (self.0.look)();
        self.0.memory.replace(*beside, found);
        *beside = found;
        found
    }

    /// How much is counted of what lies beside the containers.
    pub fn beside(&self) -> u64 {
        *self.0.beside.lock()
    }

    pub(crate) fn reserve(&self, bytes: u64) -> Result<(), Exceeded> {
        self.0.memory.reserve(bytes).or_else(|_| {
            self.look();
            self.0.memory.reserve(bytes)
        })
    }

    pub(crate) fn release(&self, bytes: u64) {
        self.0.memory.release(bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use wasmtime::ResourceLimiter;

    use super::*;
    use crate::memory::Reservation;

    const PAGE: usize = 65536;
    const PAGES: u64 = PAGE as u64;

    #[test]
    fn containers_and_what_lies_beside_them_share_a_limit() {
        let files = Arc::new(AtomicU64::new(0));
        let looked = files.clone();
        let group = MemoryGroup::new(Some(4 * PAGES), move || looked.load(Ordering::Relaxed));
        let node = Memory::of_node(u64::MAX);
        let container = |limit| Memory::of_container(limit, Some(group.clone()), &node);
        let (limited, free) = (container(Some(2 * PAGES)), container(None));
        let (mut one, mut two) = (Reservation::new(limited.clone()), Reservation::new(free.clone()));
        assert!(one.memory_growing(0, PAGE, None).unwrap());
        assert!(group.take(2 * PAGES));
        files.store(2 * PAGES, Ordering::Relaxed);
        assert!(two.memory_growing(0, PAGE, None).unwrap());
        assert!(!group.take(1), "the containers have the rest");
        let refused = one.memory_growing(PAGE, 2 * PAGE, None).unwrap_err();
        assert!(refused.to_string().contains("the containers' common limit is 262144 bytes"), "{refused}");
        assert_eq!((limited.used(), node.used()), (PAGES, 2 * PAGES), "nothing stays counted of what was refused");
        files.store(PAGES, Ordering::Relaxed);
        assert!(one.memory_growing(PAGE, 2 * PAGE, None).unwrap(), "what was removed is noticed at once");
        drop(two);
        assert!(group.take(PAGES));
        files.store(2 * PAGES, Ordering::Relaxed);
        assert!(!group.take(1));
        files.store(0, Ordering::Relaxed);
        assert_eq!((group.beside(), group.look(), group.beside()), (2 * PAGES, 0, 0));
    }

    #[test]
    fn a_lower_limit_takes_nothing_away_and_lets_nothing_grow() {
        let group = MemoryGroup::new(None, || 100);
        assert!(group.take(100));
        group.set_limit(Some(50));
        assert!(!group.take(1));
        group.set_limit(Some(101));
        assert!(!group.take(2) && group.take(1));
    }
}
