use std::collections::HashMap;
use std::time::Duration;

use carob_reconcile::ObjectKey;
use tokio::time::Instant;

/// How long a Pod keeps its place while its volumes are made.
const PATIENCE: Duration = Duration::from_secs(600);

/// Pods that have a place, and wait there for their volumes.
#[derive(Default)]
pub(crate) struct Reserved {
    pods: HashMap<ObjectKey, Place>,
}

/// Where a Pod will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) uid: String,
    pub(crate) node: String,
    until: Instant,
}

impl Place {
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        now >= self.until
    }

    pub(crate) fn left(&self, now: Instant) -> Duration {
        self.until.saturating_duration_since(now)
    }
}

impl Reserved {
    /// The place of this Pod, and of no other that had its name.
    pub(crate) fn find(&self, key: &ObjectKey, uid: &str) -> Option<&Place> {
        self.pods.get(key).filter(|place| place.uid == uid)
    }

    pub(crate) fn keep(&mut self, key: &ObjectKey, uid: &str, node: &str, now: Instant) {
        let place = Place { uid: uid.to_owned(), node: node.to_owned(), until: now + PATIENCE };
        self.pods.insert(key.clone(), place);
    }

    pub(crate) fn remove(&mut self, key: &ObjectKey) {
        self.pods.remove(key);
    }
}
