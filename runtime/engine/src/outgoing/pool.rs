use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::connection::Connection;

/// How long a connection is kept without a request.
const KEPT_FOR: Duration = Duration::from_secs(30);
/// Connections that are kept to one address, and to all.
const MOST_EACH: usize = 16;
const MOST: usize = 64;

/// What a connection is good for.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) address: SocketAddr,
    /// Whose certificate the other end has shown.
    pub(super) tls: Option<String>,
}

/// Connections that have answered. One whose response is still being read is kept too, and not taken before that is over.
pub(super) struct Pool {
    kept: Mutex<HashMap<Key, Vec<Kept>>>,
    itself: Weak<Pool>,
}

struct Kept {
    connection: Connection,
    since: Instant,
}

impl Pool {
    pub(super) fn new() -> Arc<Pool> {
        Arc::new_cyclic(|itself| Pool { kept: Mutex::default(), itself: itself.clone() })
    }

    /// A connection that waits for a request, the one that was used last.
    pub(super) fn take(&self, key: &Key) -> Option<Connection> {
        let mut all = self.kept.lock();
        let kept = all.get_mut(key)?;
        let last = kept.iter().rposition(|kept| kept.connection.is_ready())?;
        Some(kept.remove(last).connection)
    }

    pub(super) fn keep(&self, key: Key, connection: Connection) {
        let mut all = self.kept.lock();
        let first = all.is_empty();
        let total: usize = all.values().map(Vec::len).sum();
        if total < MOST && all.get(&key).map_or(0, Vec::len) < MOST_EACH {
            all.entry(key).or_default().push(Kept { connection, since: Instant::now() });
        }
        if first {
            tokio::spawn(sweep(self.itself.clone()));
        }
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.kept.lock().values().map(Vec::len).sum()
    }

    /// Lets go of what has waited too long; `false` once nothing is left.
    fn forget(&self, now: Instant) -> bool {
        let mut all = self.kept.lock();
        let stays = |kept: &Kept| !kept.connection.is_closed() && now.duration_since(kept.since) < KEPT_FOR;
        all.retain(|_, kept| {
            kept.retain(stays);
            !kept.is_empty()
        });
        !all.is_empty()
    }
}

/// Runs while there is anything to sweep, and no longer than the pool lives.
async fn sweep(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(KEPT_FOR).await;
        if !pool.upgrade().is_some_and(|pool| pool.forget(Instant::now())) {
            return;
        }
    }
}
