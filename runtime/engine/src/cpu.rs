use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};
use tokio::time::Sleep;

use crate::ticker::Ticker;

/// The CPU time of a container: what its instances used, and what they may use.
pub(crate) struct Cpu {
    used: AtomicU64,
    bucket: Option<Mutex<Bucket>>,
}

impl Cpu {
    /// `limit` is in thousandths of a core.
    pub(crate) fn new(limit: Option<u32>) -> Self {
        let bucket = limit.map(|limit| Mutex::new(Bucket::full(limit, Instant::now())));
        Cpu { used: AtomicU64::new(0), bucket }
    }

    pub(crate) fn used(&self) -> Duration {
        Duration::from_nanos(self.used.load(Ordering::Relaxed))
    }

    /// Drives `work` poll by poll, with the clock that interrupts guests ticking: counts the time that the thread spends
    /// in it, and lets it wait while the container has used up what it may.
    pub(crate) async fn meter<T>(&self, ticker: &Ticker, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let mut pause = None;
        poll_fn(|cx| {
            if self.throttled(&mut pause, cx) {
                return Poll::Pending;
            }
            let before = thread_time();
            let polled = ticker.during(|| work.as_mut().poll(cx));
            self.charge(thread_time().saturating_sub(before));
            polled
        })
        .await
    }

    fn throttled(&self, pause: &mut Option<Pin<Box<Sleep>>>, cx: &mut Context<'_>) -> bool {
        let Some(bucket) = &self.bucket else { return false };
        loop {
            let wait = bucket.lock().wait(Instant::now());
            if wait.is_zero() {
                *pause = None;
                return false;
            }
            let pause = pause.insert(Box::pin(tokio::time::sleep(wait)));
            if pause.as_mut().poll(cx).is_pending() {
                return true;
            }
        }
    }

    fn charge(&self, spent: Duration) {
        self.used.fetch_add(spent.as_nanos() as u64, Ordering::Relaxed);
        if let Some(bucket) = &self.bucket {
            bucket.lock().take(spent);
        }
    }
}

/// CPU time of this thread so far.
fn thread_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// A token bucket of CPU time. It holds up to 100 ms times the limit, so that a container that was quiet answers at full
/// speed for a moment; a poll is charged after it ran, so the level may go below zero, and is then paid back by waiting.
struct Bucket {
    /// Thousandths of a core; also microseconds of CPU per millisecond.
    limit: i128,
    /// Nanoseconds of CPU.
    level: i128,
    filled_at: Instant,
}

/// Wall time whose worth of CPU the bucket holds.
const BURST: Duration = Duration::from_millis(100);

impl Bucket {
    fn full(limit: u32, now: Instant) -> Self {
        // Below a thousandth of a core nothing would ever run.
        let mut bucket = Bucket { limit: i128::from(limit.max(1)), level: 0, filled_at: now };
        bucket.level = bucket.capacity();
        bucket
    }

    fn capacity(&self) -> i128 {
        BURST.as_nanos() as i128 * self.limit / 1000
    }

    fn take(&mut self, spent: Duration) {
        self.level -= spent.as_nanos() as i128;
    }

    /// How long nothing may run, from `now`.
    fn wait(&mut self, now: Instant) -> Duration {
        let passed = now.saturating_duration_since(self.filled_at).as_nanos() as i128;
        self.level = (self.level + passed * self.limit / 1000).min(self.capacity());
        self.filled_at = now;
        if self.level >= 0 {
            return Duration::ZERO;
        }
        Duration::from_nanos(((-self.level * 1000 + self.limit - 1) / self.limit) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_quarter_of_a_core_runs_a_quarter_of_the_time() {
        let start = Instant::now();
        let mut bucket = Bucket::full(250, start);
        let (mut now, mut ran) = (start, Duration::ZERO);
        while now < start + 10_000 * MS {
            let wait = bucket.wait(now);
            if wait.is_zero() {
                bucket.take(MS);
                ran += MS;
                now += MS;
            } else {
                now += wait;
            }
        }
        // 10 s at a quarter, and the burst of 25 ms, to within one poll.
        assert!(ran.abs_diff(2_525 * MS) <= 2 * MS, "{ran:?}");
    }

    #[test]
    fn a_debt_is_paid_back_before_anything_runs_again() {
        let start = Instant::now();
        let mut bucket = Bucket::full(100, start);
        assert_eq!(bucket.wait(start), Duration::ZERO);
        bucket.take(15 * MS);
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
        bucket.take(101 * MS);
        assert_eq!(bucket.wait(later), MS);
    }

    #[tokio::test]
    async fn time_in_polls_is_counted_and_time_between_them_is_not() {
        let engine = wasmtime::Engine::default();
        let ticker = Ticker::start(engine).unwrap();
        let cpu = Cpu::new(None);
        cpu.meter(&ticker, tokio::time::sleep(20 * MS)).await;
        let idle = cpu.used();
        cpu.meter(&ticker, async {
            let until = thread_time() + 20 * MS;
            while thread_time() < until {}
        })
        .await;
        assert!(cpu.used() - idle >= 20 * MS);
        assert!(idle < 20 * MS, "sleeping counted as {idle:?}");
    }
}
