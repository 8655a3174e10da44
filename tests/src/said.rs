//! What a process says, with a limit to how long anybody waits for it.

use std::io::Read;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::wait::PATIENCE;

/// What comes out of a pipe. It is read as it comes, to its end, so that nobody waits for a full pipe.
pub struct Said {
    pieces: Receiver<Vec<u8>>,
    seen: String,
}

impl Said {
    /// Begins to read.
    #[must_use]
    pub fn of(mut pipe: impl Read + Send + 'static) -> Self {
        let (sender, pieces) = mpsc::channel();
        // It ends with the pipe.
        thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(read @ 1..) = pipe.read(&mut buffer) {
                // Nobody may want it any more.
                let _ = sender.send(buffer[..read].to_vec());
            }
        });
        Self { pieces, seen: String::new() }
    }

    /// Waits until the words have come, and answers all that has come since the last call.
    ///
    /// # Panics
    /// If the end comes before, or the words do not come.
    #[track_caller]
    pub fn until(&mut self, words: &str) -> String {
        self.until_within(words, PATIENCE).unwrap_or_else(|problem| panic!("{problem}"))
    }

    /// As [`Said::until`]; an `Err` says what was awaited, and what came instead.
    pub(crate) fn until_within(&mut self, words: &str, limit: Duration) -> Result<String, String> {
        let deadline = Instant::now() + limit;
        while !self.seen.contains(words) {
            if let Err(end) = self.more(deadline) {
                let why = match end {
                    RecvTimeoutError::Timeout => format!("waited {limit:?} in vain for {words:?}"),
                    RecvTimeoutError::Disconnected => format!("it ended before it said {words:?}"),
                };
                return Err(format!("{why}; it said:\n{}", self.seen));
            }
        }
        Ok(std::mem::take(&mut self.seen))
    }

    /// Waits for the end; whether it came before `deadline`.
    pub(crate) fn ends_by(&mut self, deadline: Instant) -> bool {
        loop {
            match self.more(deadline) {
                Ok(()) => {}
                Err(end) => return end == RecvTimeoutError::Disconnected,
            }
        }
    }

    /// What has come since the last call of [`Said::until`], as far as it was waited for.
    pub(crate) fn text(&self) -> &str {
        &self.seen
    }

    fn more(&mut self, deadline: Instant) -> Result<(), RecvTimeoutError> {
        let piece = self.pieces.recv_timeout(deadline.saturating_duration_since(Instant::now()))?;
        self.seen.push_str(&String::from_utf8_lossy(&piece));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_was_awaited_and_what_came_is_told() {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        let mut said = Said::of(reader);
        writer.write_all(b"one two").expect("somebody reads");
        assert_eq!(said.until("two"), "one two");
        writer.write_all(b"three").expect("somebody reads");
        let late = said.until_within("four", Duration::from_millis(200)).expect_err("nobody says so");
        assert!(late.starts_with("waited 200ms in vain for \"four\"; it said:\n"), "{late}");
        assert!(!said.ends_by(Instant::now()));
        drop(writer);
        let early = said.until_within("four", PATIENCE).expect_err("nobody says so");
        assert_eq!(early, "it ended before it said \"four\"; it said:\nthree");
        assert!(said.ends_by(Instant::now() + PATIENCE) && said.text() == "three");
    }
}
