//! How long to wait before a failed thing is tried again.

use std::time::Duration;

use jiff::Timestamp;

use crate::clock::after;

const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(300);
/// What ran this long before it failed counts as a first failure again.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// Doubles from 10 seconds to 5 minutes, as the kubelet's. The first failure is not waited for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Backoff {
    delay: Option<Duration>,
    since: Option<Timestamp>,
}

impl Backoff {
    /// How long the wait is that follows the failure at `failed`.
    pub(crate) fn delay(&self, failed: Timestamp) -> Duration {
        match (self.delay, self.since) {
            (Some(delay), Some(since)) if failed < after(since, FORGOTTEN) => delay,
            _ => Duration::ZERO,
        }
    }

    /// When to try again after the failure at `failed`.
    pub(crate) fn until(&self, failed: Timestamp) -> Timestamp {
        after(failed, self.delay(failed))
    }

    /// It is tried again at `now`, after a failure at `failed`: the next wait is twice as long.
    pub(crate) fn tried(&mut self, failed: Timestamp, now: Timestamp) {
        let waited = self.delay(failed);
        self.delay = Some(if waited.is_zero() { FIRST } else { (waited * 2).min(LONGEST) });
        self.since = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_five_minutes_and_are_forgotten_after_ten() {
        let mut backoff = Backoff::default();
        let mut now = Timestamp::UNIX_EPOCH;
        let mut waits = Vec::new();
        for _ in 0..8 {
            let failed = now;
            waits.push(backoff.delay(failed).as_secs());
            now = backoff.until(failed);
            backoff.tried(failed, now);
        }
        assert_eq!(waits, [0, 10, 20, 40, 80, 160, 300, 300]);

        let long_run = after(now, FORGOTTEN);
        assert_eq!(backoff.delay(long_run), Duration::ZERO);
    }
}
