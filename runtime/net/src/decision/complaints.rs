use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Lines that may follow each other at once.
const AT_ONCE: u32 = 10;
/// How often as many again.
const PERIOD: Duration = Duration::from_secs(10);

/// Keeps a workload that tries forbidden things without end from filling the log.
#[derive(Default)]
pub(crate) struct Complaints {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    since: Option<Instant>,
    said: u32,
    unsaid: u64,
}

impl Complaints {
    /// Whether there may be a line now; if so, how many there were not before it.
    pub(crate) fn may_speak(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock();
        if state.since.is_none_or(|since| now.duration_since(since) >= PERIOD) {
            state.since = Some(now);
            state.said = 0;
        }
        if state.said == AT_ONCE {
            state.unsaid += 1;
            return None;
        }
        state.said += 1;
        Some(std::mem::take(&mut state.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_lines_at_once_and_then_a_count() {
        let (complaints, start) = (Complaints::default(), Instant::now());
        let spoken = (0..1000).filter(|_| complaints.may_speak(start).is_some()).count();
        assert_eq!(spoken, AT_ONCE as usize);
        assert_eq!(complaints.may_speak(start + PERIOD), Some(1000 - u64::from(AT_ONCE)));
        assert_eq!(complaints.may_speak(start + PERIOD), Some(0));
    }
}
