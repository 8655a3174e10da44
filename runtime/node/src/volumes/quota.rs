//! How much may be stored in a volume, and by all of a Pod.
//!
//! Every growth of a file is taken from what is left before it is written (the engine asks, see
//! [`Quota`](carob_engine::Quota)), so that a volume never holds more than its limit, however fast a guest writes. What was
//! removed is noticed when nothing is left: then the folder is looked at again. If it is really full, the write fails as on
//! a full disk, and the Pod is evicted, as it would be by a kubelet that has found the volume too large.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use carob_engine::Quota;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::usage;

/// The bound of some folders together.
pub(crate) struct Bound {
    limit: u64,
    left: AtomicU64,
    folders: Mutex<Vec<PathBuf>>,
    /// What is counted beside the folders, such as logs, in bytes.
    beside: AtomicU64,
    /// What to say when it is exceeded.
    message: String,
    exceeded: watch::Sender<Option<String>>,
}

impl Bound {
    /// `exceeded` is told `message` once more is wanted than fits.
    pub(super) fn new(limit: u64, message: String, exceeded: watch::Sender<Option<String>>) -> Arc<Bound> {
        let (left, beside) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Bound { limit, left, folders: Mutex::default(), beside, message, exceeded })
    }

    /// In bytes.
    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// Counts what is in `folder` too.
    pub(super) fn add(&self, folder: PathBuf) {
        let mut folders = self.folders.lock();
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }

    /// Takes so many bytes, after a look at the folders if there seems to be no place.
    pub(super) fn take(&self, bytes: u64) -> bool {
        if self.try_take(bytes) {
            return true;
        }
        // One looks, the others wait for what it finds.
        let folders = self.folders.lock();
        if self.try_take(bytes) {
            return true;
        }
        self.look(&folders);
        let fits = self.try_take(bytes);
        if !fits {
            self.exceed();
        }
        fits
    }

    fn try_take(&self, bytes: u64) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes)).is_ok()
    }

    fn look(&self, folders: &[PathBuf]) {
        let used: u64 = folders.iter().map(|folder| usage::of(folder).bytes).sum();
        let used = used + self.beside.load(Ordering::Relaxed);
        self.left.store(self.limit.saturating_sub(used), Ordering::Relaxed);
        if used > self.limit {
            self.exceed();
        }
    }

    /// Looks how much there is by now, with `beside` bytes that lie elsewhere.
    pub(super) fn check(&self, beside: u64) {
        self.beside.store(beside, Ordering::Relaxed);
        self.look(&self.folders.lock());
    }

    fn exceed(&self) {
        self.exceeded.send_if_modified(|exceeded| {
            let first = exceeded.is_none();
            exceeded.get_or_insert_with(|| self.message.clone());
            first
        });
    }
}

impl Quota for Bound {
    fn take(&self, bytes: u64) -> bool {
        Bound::take(self, bytes)
    }
}

/// A volume's own bound and its Pod's, any of which there may not be.
pub(super) struct Bounds(pub(super) Vec<Arc<dyn Quota>>);

impl Quota for Bounds {
    fn take(&self, bytes: u64) -> bool {
        // What is taken of the first while the second refuses comes back at the next look.
        self.0.iter().all(|bound| bound.take(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_removed_may_be_written_again_and_what_never_fits_is_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let (sender, exceeded) = watch::channel(None);
        let bound = Bound::new(4096, "too much".into(), sender);
        bound.add(dir.path().to_owned());
        let file = dir.path().join("f");
        for _ in 0..10 {
            assert!(bound.take(3000));
            std::fs::write(&file, vec![1; 3000]).unwrap();
            std::fs::remove_file(&file).unwrap();
        }
        assert_eq!(*exceeded.borrow(), None);
        std::fs::write(&file, vec![1; 3000]).unwrap();
        assert!(!bound.take(3000));
        assert_eq!(exceeded.borrow().as_deref(), Some("too much"));
    }

    #[test]
    fn what_lies_beside_counts() {
        let (sender, exceeded) = watch::channel(None);
        let bound = Bound::new(1000, "too much".into(), sender);
        bound.check(1000);
        assert_eq!(*exceeded.borrow(), None);
        assert!(!bound.take(1));
        assert!(exceeded.borrow().is_some());
    }
}
