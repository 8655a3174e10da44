//! What wakes a watch when nothing changes: the time for a bookmark, and its end.

use std::{pin::Pin, time::Duration};

use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

const BOOKMARKS_EVERY: Duration = Duration::from_secs(60);

/// Held across the wakes of a watch: to set a timer anew at each would cost more than to deliver an event.
pub(super) struct Alarms {
    timer: Pin<Box<Sleep>>,
    ending: Pin<Box<WaitForCancellationFutureOwned>>,
    end: Instant,
    bookmarks: bool,
}

/// What it is time for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alarm {
    Bookmark,
    End,
}

impl Alarms {
    /// A watch that lasts so long, unless `ending` comes first.
    pub(super) fn new(lasts: Duration, bookmarks: bool, ending: &CancellationToken) -> Self {
        let end = Instant::now() + lasts;
        let mut timer = Box::pin(sleep_until(end));
        timer.as_mut().reset(next(end, bookmarks));
        // A token of its own: thousands of watches would contend for the lock of one.
        let ending = Box::pin(ending.child_token().cancelled_owned());
        Self { timer, ending, end, bookmarks }
    }

    /// Waits for the next alarm. May be dropped and called again.
    pub(super) async fn ring(&mut self) -> Alarm {
        tokio::select! {
            biased;
            () = &mut self.ending => return Alarm::End,
            () = &mut self.timer => {}
        }
        if Instant::now() >= self.end {
            return Alarm::End;
        }
        self.timer.as_mut().reset(next(self.end, self.bookmarks));
        Alarm::Bookmark
    }
}

fn next(end: Instant, bookmarks: bool) -> Instant {
    if bookmarks { end.min(Instant::now() + BOOKMARKS_EVERY) } else { end }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTES: Duration = Duration::from_secs(150);

    #[tokio::test(start_paused = true)]
    async fn bookmarks_come_until_the_end() {
        let mut alarms = Alarms::new(MINUTES, true, &CancellationToken::new());
        let begun = Instant::now();
        assert_eq!(alarms.ring().await, Alarm::Bookmark);
        assert_eq!(begun.elapsed().as_secs(), 60);
        assert_eq!(alarms.ring().await, Alarm::Bookmark);
        assert_eq!(alarms.ring().await, Alarm::End);
        assert_eq!(begun.elapsed().as_secs(), 150);
    }

    #[tokio::test(start_paused = true)]
    async fn the_server_s_end_comes_first() {
        let ending = CancellationToken::new();
        let mut alarms = Alarms::new(MINUTES, false, &ending);
        ending.cancel();
        let begun = Instant::now();
        assert_eq!(alarms.ring().await, Alarm::End);
        assert_eq!(begun.elapsed().as_secs(), 0);
    }
}
