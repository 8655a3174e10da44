//! Waiting for what comes in its own time.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// Far more than anything takes, so that a slow machine does not fail a test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
const PERIOD: Duration = Duration::from_millis(100);

/// Waits until a condition holds.
///
/// # Panics
/// If it never does.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    eventually_some(what, || condition().then_some(()));
}

/// Waits until there is something, and answers it.
///
/// # Panics
/// If there never is.
pub fn eventually_some<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(begin.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain: {what}");
        sleep(PERIOD);
    }
}
