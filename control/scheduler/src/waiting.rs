use std::collections::HashMap;
use std::time::Duration;

use carob_reconcile::ObjectKey;
use tokio::time::Instant;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(10);

/// Pods that fit nowhere, and when each may be tried again at the earliest.
#[derive(Default)]
pub(crate) struct Waiting {
    pods: HashMap<ObjectKey, Attempts>,
}

struct Attempts {
    made: u32,
    not_before: Instant,
}

impl Waiting {
    /// It was tried again and fits nowhere.
    pub(crate) fn failed(&mut self, key: &ObjectKey, now: Instant) {
        let attempts = self.pods.entry(key.clone()).or_insert(Attempts { made: 0, not_before: now });
        let pause = FIRST_PAUSE.saturating_mul(1 << attempts.made.min(8)).min(LAST_PAUSE);
        attempts.made += 1;
        attempts.not_before = now + pause;
    }

    pub(crate) fn contains(&self, key: &ObjectKey) -> bool {
        self.pods.contains_key(key)
    }

    /// It has a place, or is gone.
    pub(crate) fn remove(&mut self, key: &ObjectKey) {
        self.pods.remove(key);
    }

    /// Something changed in the cluster: all who wait, with how long each has to wait still.
    pub(crate) fn wake(&self, now: Instant) -> Vec<(ObjectKey, Duration)> {
        let pause = |attempts: &Attempts| attempts.not_before.saturating_duration_since(now);
        self.pods.iter().map(|(key, attempts)| (key.clone(), pause(attempts))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_pause_grows_with_every_attempt() {
        let (mut waiting, key, now) = (Waiting::default(), ObjectKey::new("ns", "p"), Instant::now());
        let pauses: Vec<_> = (0..6)
            .map(|_| {
                waiting.failed(&key, now);
                waiting.wake(now)[0].1.as_secs()
            })
            .collect();
        assert_eq!(pauses, [1, 2, 4, 8, 10, 10]);
        waiting.remove(&key);
        assert!(waiting.wake(now).is_empty());
    }
}
