use std::time::Duration;

/// Exponential back-off: doubles from `first` up to `last`.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    last: Duration,
    failures: u32,
}

impl Backoff {
    /// Waits `first`, then twice that, and so on up to `last`.
    pub fn new(first: Duration, last: Duration) -> Self {
        Self { first, last, failures: 0 }
    }

    /// How long to wait now; the next answer is longer.
    pub fn pause(&mut self) -> Duration {
        let pause = Self::after(self.first, self.last, self.failures);
        self.failures = self.failures.saturating_add(1);
        pause
    }

    /// It worked: begin with `first` again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// The pause after so many earlier failures.
    pub(crate) fn after(first: Duration, last: Duration, failures: u32) -> Duration {
        first.saturating_mul(1 << failures.min(20)).min(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_last() {
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(50));
        let pauses: Vec<_> = (0..5).map(|_| backoff.pause().as_millis()).collect();
        assert_eq!(pauses, [10, 20, 40, 50, 50]);
        backoff.reset();
        assert_eq!(backoff.pause().as_millis(), 10);
    }
}
