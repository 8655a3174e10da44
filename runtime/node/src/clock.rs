//! What time it is.

use std::time::Duration;

use jiff::Timestamp;
#[cfg(test)]
use tokio::time::Instant;

/// The wall clock; in tests, one that moves with tokio's paused clock.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Clock {
    /// The system's.
    Wall,
    /// As tokio's clock moves, from a moment on: what reads it does not depend on how fast a test runs.
    #[cfg(test)]
    Tokio { from: Timestamp, at: Instant },
}

impl Clock {
    #[cfg(test)]
    pub(crate) fn tokio() -> Clock {
        Clock::Tokio { from: Timestamp::now(), at: Instant::now() }
    }

    pub(crate) fn now(&self) -> Timestamp {
        match self {
            Clock::Wall => Timestamp::now(),
            #[cfg(test)]
            Clock::Tokio { from, at } => after(*from, at.elapsed()),
        }
    }

    /// Waits until `moment`; for ever, if there is none.
    pub(crate) async fn until(&self, moment: Option<Timestamp>) {
        match moment {
            Some(moment) => tokio::time::sleep(between(self.now(), moment)).await,
            None => std::future::pending().await,
        }
    }
}

/// The moment `duration` after `moment`; the last one there is, if that is past it.
pub(crate) fn after(moment: Timestamp, duration: Duration) -> Timestamp {
    moment.checked_add(duration).unwrap_or(Timestamp::MAX)
}

/// How long it is from `start` to `end`; nothing, if that is past.
pub(crate) fn between(start: Timestamp, end: Timestamp) -> Duration {
    Duration::try_from(end.duration_since(start)).unwrap_or_default()
}
