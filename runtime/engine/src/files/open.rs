use std::fs::File;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

/// The files that guests of a node hold open, so that they never take the last descriptor of the process.
pub(crate) struct NodeFiles {
    limit: usize,
    held: AtomicUsize,
    containers: Mutex<Vec<Weak<OpenFiles>>>,
}

/// The files that all instances of one container hold open.
///
/// A file is open for as long as a descriptor, a stream or an operation of the guest holds it, whichever goes last:
/// counting is by the file itself, not by the guest's handles.
pub(crate) struct OpenFiles {
    limit: usize,
    held: Mutex<Held>,
    node: Arc<NodeFiles>,
}

#[derive(Default)]
struct Held {
    files: Vec<Weak<File>>,
    /// Places that were given out and are not filled yet.
    reserved: usize,
    /// How many were open when closed ones were last forgotten.
    alive: usize,
}

/// A place for one file that is about to be opened; free again when it is dropped empty.
pub(crate) struct Place {
    files: Arc<OpenFiles>,
    filled: bool,
}

impl NodeFiles {
    pub(crate) fn new(limit: usize) -> Arc<NodeFiles> {
        Arc::new(NodeFiles { limit, held: AtomicUsize::new(0), containers: Mutex::default() })
    }

    fn take(&self) -> bool {
        let take = |held: usize| (held < self.limit).then_some(held + 1);
        self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    fn give_back(&self, count: usize) {
        self.held.fetch_sub(count, Ordering::Relaxed);
    }

    fn forget_closed(&self) {
        let containers: Vec<_> = self.containers.lock().iter().filter_map(Weak::upgrade).collect();
        for container in containers {
            container.forget_closed();
        }
    }
}

impl OpenFiles {
    pub(crate) fn of_container(limit: usize, node: &Arc<NodeFiles>) -> Arc<OpenFiles> {
        let files = Arc::new(OpenFiles { limit, held: Mutex::default(), node: node.clone() });
        let mut containers = node.containers.lock();
        if containers.len() == containers.capacity() {
            containers.retain(|container| container.strong_count() > 0);
        }
        containers.push(Arc::downgrade(&files));
        files
    }

    /// A place for one more file; `None` if the container or the node has as many as it may.
    pub(crate) fn reserve(self: &Arc<Self>) -> Option<Place> {
        if self.held.lock().is_crowded(self.limit) {
            self.forget_closed();
        }
        if self.held.lock().count() >= self.limit {
            return None;
        }
        if !self.node.take() {
            self.node.forget_closed();
            if !self.node.take() {
                return None;
            }
        }
        let mut held = self.held.lock();
        if held.count() >= self.limit {
            self.node.give_back(1);
            return None;
        }
        held.reserved += 1;
        Some(Place { files: self.clone(), filled: false })
    }

    fn forget_closed(&self) {
        let mut held = self.held.lock();
        let before = held.files.len();
        held.files.retain(|file| file.strong_count() > 0);
        held.alive = held.files.len();
        self.node.give_back(before - held.alive);
    }
}

impl Held {
    fn count(&self) -> usize {
        self.files.len() + self.reserved
    }

    /// Looking at each file costs: it is worth it when their number has doubled since, or no more fit.
    fn is_crowded(&self, limit: usize) -> bool {
        self.count() >= limit.min(2 * self.alive.max(8))
    }
}

impl Place {
    pub(crate) fn fill(mut self, file: &Arc<File>) {
        let mut held = self.files.held.lock();
        held.reserved -= 1;
        held.files.push(Arc::downgrade(file));
        drop(held);
        self.filled = true;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.filled {
            self.files.held.lock().reserved -= 1;
            self.files.node.give_back(1);
        }
    }
}

impl Drop for OpenFiles {
    fn drop(&mut self) {
        self.node.give_back(self.held.get_mut().files.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(files: &Arc<OpenFiles>) -> Option<Arc<File>> {
        let place = files.reserve()?;
        let file = Arc::new(tempfile::tempfile().unwrap());
        place.fill(&file);
        Some(file)
    }

    #[test]
    fn a_closed_file_makes_place_whoever_held_it_last() {
        let node = NodeFiles::new(100);
        let container = OpenFiles::of_container(3, &node);
        let open_now: Vec<_> = (0..3).map(|_| open(&container).unwrap()).collect();
        let stream = open_now[0].clone();
        assert!(open(&container).is_none());
        drop(open_now);
        let again = [open(&container).unwrap(), open(&container).unwrap()];
        assert!(open(&container).is_none(), "the stream still holds one");
        drop(stream);
        assert!(open(&container).is_some());
        drop(again);
    }

    #[test]
    fn the_nodes_limit_counts_all_containers_and_forgets_those_that_ended() {
        let node = NodeFiles::new(4);
        let (one, two) = (OpenFiles::of_container(10, &node), OpenFiles::of_container(10, &node));
        let mut held: Vec<_> = (0..2).flat_map(|_| [open(&one).unwrap(), open(&two).unwrap()]).collect();
        assert!(open(&one).is_none() && open(&two).is_none());
        held.pop();
        assert!(open(&one).is_some(), "a file that another container closed");
        drop((one, held));
        let held: Vec<_> = (0..4).filter_map(|_| open(&two)).collect();
        assert_eq!(held.len(), 4);
    }

    #[test]
    fn a_place_that_was_not_used_is_free_again() {
        let node = NodeFiles::new(1);
        let container = OpenFiles::of_container(1, &node);
        let place = container.reserve().unwrap();
        assert!(container.reserve().is_none());
        drop(place);
        assert!(container.reserve().is_some());
    }
}
