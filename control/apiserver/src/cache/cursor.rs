//! A watcher's place in the ring of changes.

use std::sync::Arc;

use tokio::sync::watch;

use super::{Cache, Change};

/// The changes that the cursor stood before are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooSlow;

/// A place in the ring of changes of one resource.
pub(crate) struct Cursor {
    cache: Arc<Cache>,
    next: u64,
    moved: watch::Receiver<()>,
}

impl Cursor {
    pub(super) fn new(cache: Arc<Cache>, next: u64, moved: watch::Receiver<()>) -> Self {
        Self { cache, next, moved }
    }

    /// The changes from here on, at most `most`; moves past them. Empty: there is none yet.
    pub(crate) fn take(&mut self, most: usize) -> Result<Vec<Arc<Change>>, TooSlow> {
        self.moved.mark_unchanged();
        let changes = self.cache.changes(self.next, most)?;
        self.next += changes.len() as u64;
        Ok(changes)
    }

    /// Whether there are no changes from here on.
    pub(crate) fn is_level(&self) -> bool {
        self.cache.changes(self.next, 1).is_ok_and(|changes| changes.is_empty())
    }

    /// Waits until something changed since the last `take`.
    pub(crate) async fn moved(&mut self) {
        // The cache, and with it the sender, is held by this cursor.
        let _ = self.moved.changed().await;
    }
}
