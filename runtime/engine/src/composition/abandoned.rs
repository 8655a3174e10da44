use std::collections::HashMap;
use std::future::pending;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// The calls that an exporter is answering, and since when nobody waits for them.
#[derive(Default)]
pub(super) struct Calls {
    running: Mutex<HashMap<u64, Option<Instant>>>,
    changed: Notify,
}

impl Calls {
    pub(super) fn begin(&self, call: u64) {
        self.running.lock().insert(call, None);
    }

    pub(super) fn end(&self, call: u64) {
        self.running.lock().remove(&call);
    }

    /// The caller is gone. What is not running yet will not be begun.
    pub(super) fn abandon(&self, call: u64) {
        if let Some(since) = self.running.lock().get_mut(&call) {
            *since = Some(Instant::now());
            self.changed.notify_one();
        }
    }

    /// Ends when a call has gone on for `grace` that nobody waits for: it cannot be stopped, so the instance must be.
    pub(super) async fn stuck(&self, grace: Duration) {
        loop {
            let deadline = self.running.lock().values().flatten().min().map(|since| *since + grace);
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return;
            }
            let due = async {
                match deadline {
                    Some(deadline) => sleep_until(deadline).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                () = due => {}
                () = self.changed.notified() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn only_a_call_that_runs_and_that_nobody_waits_for_is_stuck() {
        let calls = Calls::default();
        calls.begin(1);
        calls.begin(2);
        calls.abandon(2);
        calls.end(2);
        calls.abandon(3);
        let early = tokio::time::timeout(10 * GRACE, calls.stuck(GRACE)).await;
        assert!(early.is_err(), "1 is waited for, 2 has ended, 3 has not begun");
        let begun = Instant::now();
        calls.abandon(1);
        calls.stuck(GRACE).await;
        assert!(begun.elapsed() >= GRACE);
    }
}
