//! How much the volumes that this node has made for claims may hold: what their claims asked for.
//!
//! Who mounts the same volume shares its bound. When it is reached the volume is full, and nobody has to go.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::watch;

use super::quota::Bound;

/// The bounds of the volumes that some Pod mounts, by folder.
#[derive(Default)]
pub(crate) struct Capacities(Mutex<HashMap<PathBuf, Weak<Bound>>>);

impl Capacities {
    /// The bound of the volume in `folder`, which may hold so many bytes.
    pub(super) fn of(&self, folder: &Path, bytes: u64) -> Arc<Bound> {
        let mut bounds = self.0.lock();
        bounds.retain(|_, bound| bound.strong_count() > 0);
        if let Some(bound) = bounds.get(folder).and_then(Weak::upgrade).filter(|bound| bound.limit() == bytes) {
            return bound;
        }
        let bound = Bound::new(bytes, String::new(), watch::Sender::new(None));
        bound.add(folder.to_owned());
        bounds.insert(folder.to_owned(), Arc::downgrade(&bound));
        bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_who_mount_a_volume_share_what_it_may_hold() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let capacities = Capacities::default();
        let (one, two) = (capacities.of(dir.path(), 10_000), capacities.of(dir.path(), 10_000));
        assert!(one.take(6_000));
        std::fs::write(dir.path().join("f"), vec![1; 6_000]).unwrap();
        assert!(two.take(1_000) && !one.take(5_000));
        assert!(capacities.of(other.path(), 10_000).take(10_000));
        drop((one, two));
        assert!(capacities.of(dir.path(), 20_000).take(10_000), "a volume that was made anew may be larger");
    }
}
