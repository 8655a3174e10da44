//! How much history is kept, and when the rest is let go. Pure: time comes in as an argument.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::Revision;

/// How a store is run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long an overwritten or deleted value can still be read and watched from. Default: five minutes.
    pub keep_history: Duration,
    /// How many revisions of history are kept at most, however young they are, so that a burst of writes cannot fill the
    /// disk. Default: 200,000.
    pub keep_revisions: u64,
    /// How many bytes of the file are cached in memory. What keys hold now is in memory anyway: the cache serves reads of
    /// history, and the tail of the log that every commit rewrites. Default: 16 MiB.
    pub cache_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { keep_history: Duration::from_secs(300), keep_revisions: 200_000, cache_bytes: 16 << 20 }
    }
}

/// Compaction moves in steps of this part of what is kept: each step costs a little, whatever its size.
const STEPS: u32 = 16;

/// Remembers which revision was the newest when.
#[derive(Debug)]
pub(crate) struct History {
    keep: Duration,
    keep_revisions: u64,
    marks: VecDeque<(Instant, Revision)>,
}

impl History {
    pub(crate) fn new(options: &Options) -> Self {
        Self { keep: options.keep_history, keep_revisions: options.keep_revisions, marks: VecDeque::new() }
    }

    /// Notes that `newest` is the newest revision, and returns where to compact to, if it is time.
    pub(crate) fn due(&mut self, now: Instant, newest: Revision, compacted: Revision) -> Option<Revision> {
        self.mark(now, newest);
        self.aged(now).max(self.crowded(newest, compacted)).filter(|due| *due > compacted)
    }

    /// When [`History::due`] should be asked again, if nothing is written until then.
    pub(crate) fn wake(&self, newest: Revision, compacted: Revision) -> Option<Instant> {
        let unmarked = self.marks.back().filter(|(_, revision)| *revision < newest);
        let aging = self.marks.iter().find(|(_, revision)| *revision > compacted);
        let next_mark = unmarked.map(|(at, _)| *at + self.keep / STEPS);
        aging.map(|(at, _)| *at + self.keep).into_iter().chain(next_mark).min()
    }

    fn mark(&mut self, now: Instant, newest: Revision) {
        let needed = self
            .marks
            .back()
            .is_none_or(|(at, revision)| *revision < newest && now.saturating_duration_since(*at) >= self.keep / STEPS);
        if needed {
            self.marks.push_back((now, newest));
        }
    }

    fn aged(&mut self, now: Instant) -> Option<Revision> {
        let mut due = None;
        while self.marks.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) >= self.keep) {
            due = self.marks.pop_front().map(|(_, revision)| revision);
        }
        due
    }

    fn crowded(&self, newest: Revision, compacted: Revision) -> Option<Revision> {
        let slack = self.keep_revisions / u64::from(STEPS);
        let kept = newest.0 - compacted.0;
        (kept > self.keep_revisions + slack).then(|| Revision(newest.0 - self.keep_revisions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn history(keep_revisions: u64) -> History {
        History::new(&Options { keep_history: MINUTE, keep_revisions, ..Options::default() })
    }

    #[test]
    fn a_revision_is_let_go_when_it_was_the_newest_long_enough_ago() {
        let (mut history, start) = (history(u64::MAX / 2), Instant::now());
        assert_eq!(history.due(start, Revision(5), Revision(0)), None);
        assert_eq!(history.due(start + MINUTE / 2, Revision(9), Revision(0)), None);
        assert_eq!(history.due(start + MINUTE, Revision(9), Revision(0)), Some(Revision(5)));
        assert_eq!(history.due(start + MINUTE * 3 / 2, Revision(9), Revision(5)), Some(Revision(9)));
    }

    #[test]
    fn an_idle_store_wakes_until_nothing_is_left_to_let_go() {
        let (mut history, start) = (history(u64::MAX / 2), Instant::now());
        history.due(start, Revision(0), Revision(0));
        assert_eq!(history.wake(Revision(0), Revision(0)), None);
        assert_eq!(history.wake(Revision(2), Revision(0)), Some(start + MINUTE / STEPS));
        let marked = start + MINUTE / STEPS;
        history.due(marked, Revision(2), Revision(0));
        assert_eq!(history.wake(Revision(2), Revision(0)), Some(marked + MINUTE));
        assert_eq!(history.due(marked + MINUTE, Revision(2), Revision(0)), Some(Revision(2)));
        assert_eq!(history.wake(Revision(2), Revision(2)), None);
    }

    #[test]
    fn a_crowd_of_revisions_is_let_go_in_steps() {
        let (mut history, now) = (history(160), Instant::now());
        assert_eq!(history.due(now, Revision(170), Revision(0)), None);
        assert_eq!(history.due(now, Revision(171), Revision(0)), Some(Revision(11)));
    }
}
