use std::time::{Duration, Instant};

/// A token bucket of CPU time. A container that was quiet answers at full speed for a moment; a turn is charged after it
/// was used, so the level may go below zero, and is then paid back by waiting.
#[derive(Debug)]
pub(super) struct Bucket {
    /// Thousandths of a core; also microseconds of CPU per millisecond.
    limit: i128,
    /// Nanoseconds of CPU, times a thousand, so that nothing is lost when a small limit is filled often.
    level: i128,
    filled_at: Instant,
}

/// Wall time whose worth of CPU the bucket holds. It keeps any second within 5 % of the limit, also the first.
const BURST: Duration = Duration::from_millis(40);

const SCALE: i128 = 1000;

impl Bucket {
    /// `limit` is in thousandths of a core.
    pub(super) fn full(limit: u32, now: Instant) -> Self {
        let limit = at_least_one(limit);
        Bucket { limit, level: capacity(limit), filled_at: now }
    }

    /// Goes on with another limit. What was overdrawn stays so; what was saved up is cut to the new measure.
    pub(super) fn resize(&mut self, limit: u32, now: Instant) {
        self.fill(now);
        self.limit = at_least_one(limit);
        self.level = self.level.min(capacity(self.limit));
    }

    pub(super) fn take(&mut self, spent: Duration) {
        self.level -= spent.as_nanos() as i128 * SCALE;
    }

    /// How long nothing may run, from `now`.
    pub(super) fn wait(&mut self, now: Instant) -> Duration {
        self.fill(now);
        if self.level >= 0 {
            return Duration::ZERO;
        }
        Duration::from_nanos(((-self.level + self.limit - 1) / self.limit) as u64)
    }

    /// Whether half of the burst was there when the bucket was last asked.
    pub(super) fn is_half_full(&self) -> bool {
        self.level * 2 >= capacity(self.limit)
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled_at).as_nanos() as i128;
        self.level = (self.level + passed * self.limit).min(capacity(self.limit));
        self.filled_at = self.filled_at.max(now);
    }
}

/// Below a thousandth of a core nothing would ever run.
fn at_least_one(limit: u32) -> i128 {
    i128::from(limit.max(1))
}

fn capacity(limit: i128) -> i128 {
    BURST.as_nanos() as i128 * limit
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// How much of a second somebody gets who always wants to run, in polls of `poll`, when looked at once per `period`.
    fn ran(bucket: &mut Bucket, start: Instant, poll: Duration, period: Duration) -> Duration {
        let (mut now, mut ran) = (start, Duration::ZERO);
        while now < start + 1000 * MS {
            if bucket.wait(now).is_zero() {
                bucket.take(poll);
                ran += poll;
                now += poll;
            } else {
                now += period;
            }
        }
        ran
    }

    #[test]
    fn any_second_is_within_five_percent_of_the_limit() {
        for limit in [50, 100, 250, 500, 900] {
            for period in [MS, 2 * MS, 5 * MS] {
                let start = Instant::now();
                let mut bucket = Bucket::full(limit, start);
                let expected = MS * limit;
                for second in 0..5 {
                    let ran = ran(&mut bucket, start + second * 1000 * MS, MS, period);
                    // To within one poll, which a second may end in.
                    let slack = expected / 20 + MS;
                    assert!(ran.abs_diff(expected) <= slack, "{limit}m, second {second}, {period:?}: {ran:?}");
                }
            }
        }
    }

    #[test]
    fn a_debt_is_paid_back_before_anything_runs_again() {
        let start = Instant::now();
        let mut bucket = Bucket::full(100, start);
        assert_eq!(bucket.wait(start), Duration::ZERO);
        bucket.take(9 * MS);
        assert_eq!(bucket.wait(start), 50 * MS);
        assert_eq!(bucket.wait(start + 49 * MS), MS);
        assert_eq!(bucket.wait(start + 50 * MS), Duration::ZERO);
    }

    #[test]
    fn what_is_not_used_is_kept_up_to_the_burst_only() {
        let start = Instant::now();
        let mut bucket = Bucket::full(1000, start);
        let later = start + Duration::from_secs(3600);
        assert_eq!(bucket.wait(later), Duration::ZERO);
        bucket.take(41 * MS);
        assert_eq!(bucket.wait(later), MS);
    }

    #[test]
    fn another_limit_fills_at_another_speed_and_forgives_nothing() {
        let start = Instant::now();
        let mut bucket = Bucket::full(100, start);
        bucket.take(14 * MS);
        assert_eq!(bucket.wait(start), 100 * MS);
        bucket.resize(1000, start);
        assert_eq!(bucket.wait(start), 10 * MS);
        bucket.resize(1, start + Duration::from_secs(10));
        bucket.take(MS);
        let wait = bucket.wait(start + Duration::from_secs(10));
        assert_eq!(wait, 960 * MS, "a thousandth of a core keeps 40 microseconds");
    }
}
