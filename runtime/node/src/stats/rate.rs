use std::time::Duration;

use jiff::Timestamp;

use crate::clock::between;

/// How fast CPU time is used, from two looks at what was used in all. Pure.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Rate {
    last: Option<(Timestamp, Duration)>,
    window: Option<Window>,
}

/// The time between two looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Window {
    /// Billionths of a processor.
    pub(crate) nano_cores: u64,
    pub(crate) length: Duration,
    pub(crate) end: Timestamp,
    /// What was used in all until its end.
    pub(crate) used: Duration,
}

impl Rate {
    /// Of something that began, with nothing used, at `start`.
    pub(super) fn since(start: Option<Timestamp>) -> Rate {
        Rate { last: start.map(|start| (start, Duration::ZERO)), window: None }
    }

    /// `used` is what was used until `now`. Less than before means that it began anew.
    pub(super) fn look(&mut self, now: Timestamp, used: Duration) {
        let before = self.last.replace((now, used));
        self.window = before.and_then(|(at, before)| {
            let length = between(at, now);
            let grown = used.checked_sub(before)?;
            let nano_cores = grown.as_nanos().checked_mul(1_000_000_000)?.checked_div(length.as_nanos())?;
            Some(Window { nano_cores: nano_cores.try_into().ok()?, length, end: now, used })
        });
    }

    pub(crate) fn window(&self) -> Option<Window> {
        self.window
    }
}

impl Window {
    /// Two that go on side by side: the longer of their times, ended by the earlier of their ends.
    pub(crate) fn and(self, other: Window) -> Window {
        Window {
            nano_cores: self.nano_cores + other.nano_cores,
            length: self.length.max(other.length),
            end: self.end.min(other.end),
            used: self.used + other.used,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn two_looks_make_a_rate() {
        let mut rate = Rate::since(None);
        rate.look(at(10), Duration::from_secs(100));
        assert_eq!(rate.window(), None);
        rate.look(at(15), Duration::from_millis(101_250));
        let used = Duration::from_millis(101_250);
        let window = Window { nano_cores: 250_000_000, length: Duration::from_secs(5), end: at(15), used };
        assert_eq!(rate.window(), Some(window));
        rate.look(at(20), Duration::from_secs(1));
        assert_eq!(rate.window(), None, "it began anew");
        rate.look(at(20), Duration::from_secs(1));
        assert_eq!(rate.window(), None, "no time has passed");
    }

    #[test]
    fn the_start_counts_as_a_look() {
        let mut rate = Rate::since(Some(at(0)));
        rate.look(at(2), Duration::from_secs(3));
        assert_eq!(rate.window().unwrap().nano_cores, 1_500_000_000);
    }
}
