//! The CPU time of containers: what each used, whose turn it is, and what each may use at most.
//!
//! A container's weight is its share of the threads that guests run on while more want to run than can, and those without
//! one share the least weight (`queue.rs`); its limit holds also while nobody else wants to (`bucket.rs`). Both are kept poll
//! by poll: a task is polled when it has a turn, and a guest gives way at each tick ([`give_way`]).

mod bucket;
mod line;
mod queue;
mod turns;

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use self::queue::Id;
use self::turns::Turn;
pub(crate) use self::turns::Turns;
use crate::ticker::Ticker;

/// The CPU time of a container: what its instances used, and its place among the others.
pub(crate) struct Cpu {
    used: AtomicU64,
    turns: Arc<Turns>,
    id: Id,
}

impl Cpu {
    /// `limit` is in thousandths of a core.
    pub(crate) fn new(turns: &Arc<Turns>, weight: u32, limit: Option<u32>) -> Self {
        Cpu { used: AtomicU64::new(0), turns: turns.clone(), id: turns.add(weight, limit) }
    }

    pub(crate) fn used(&self) -> Duration {
        Duration::from_nanos(self.used.load(Ordering::Relaxed))
    }

    /// Takes effect with the next poll of any instance.
    pub(crate) fn resize(&self, weight: u32, limit: Option<u32>) {
        self.turns.resize(self.id, weight, limit);
    }

    /// Drives `work` poll by poll, with the clock that interrupts guests ticking: lets it wait until it is its turn, and
    /// counts the time that the thread spends in it.
    ///
    /// What is metered must not wait within a poll for something else that is metered: one turn is held meanwhile.
    pub(crate) async fn meter<T>(&self, ticker: &Ticker, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let turn = Turn::new(&self.turns, self.id);
        poll_fn(|cx| {
            if !turn.begin(cx) {
                // Nobody may be at work whose ticks would end the wait for a limit.
                ticker.rouse();
                return Poll::Pending;
            }
            let before = thread_time();
            let polled = ticker.during(|| work.as_mut().poll(cx));
            let spent = thread_time().saturating_sub(before);
            self.used.fetch_add(spent.as_nanos() as u64, Ordering::Relaxed);
            let gave_way = GAVE_WAY.take();
            turn.end(spent, gave_way && polled.is_pending(), cx);
            if gave_way {
                // Whatever else the machine has to run comes first: the API, the mesh, DNS. Guests that run for less than a
                // tick cost nobody anything, and are not held up.
                std::thread::yield_now();
            }
            polled
        })
        .await
    }
}

/// Runs what is done for a container beside its guests, at its expense.
#[derive(Clone)]
pub(crate) struct Meter {
    cpu: Arc<Cpu>,
    ticker: Arc<Ticker>,
}

impl Meter {
    pub(crate) fn new(cpu: &Arc<Cpu>, ticker: &Arc<Ticker>) -> Meter {
        Meter { cpu: cpu.clone(), ticker: ticker.clone() }
    }

    /// A task of its own on the current runtime: within a guest's poll nothing else may wait for a turn. It ends with
    /// `work`.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let Meter { cpu, ticker } = self.clone();
        tokio::spawn(async move { cpu.meter(&ticker, work).await });
    }

    #[cfg(test)]
    pub(crate) fn of_nobody() -> Meter {
        let turns = Arc::new(Turns::new(2));
        let ticker = Ticker::start(wasmtime::Engine::default(), turns.clone()).expect("a thread");
        Meter::new(&Arc::new(Cpu::new(&turns, 0, None)), &ticker)
    }

    #[cfg(test)]
    pub(crate) fn used(&self) -> Duration {
        self.cpu.used()
    }
}

impl Drop for Cpu {
    fn drop(&mut self) {
        self.turns.remove(self.id);
    }
}

thread_local! {
    /// A guest gave way in the poll that is going on on this thread, and would go on at once.
    static GAVE_WAY: Cell<bool> = const { Cell::new(false) };
}

/// What a guest awaits at each tick: ends its poll, and is over with the next one. When that comes is the queue's choice.
pub(crate) fn give_way() -> impl Future<Output = ()> + Send + 'static {
    GiveWay { gave_way: false }
}

struct GiveWay {
    gave_way: bool,
}

impl Future for GiveWay {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.gave_way, true) {
            return Poll::Ready(());
        }
        GAVE_WAY.set(true);
        // Whoever holds this future, maybe one of several, is to poll it again whenever the task is polled.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// CPU time of this thread so far.
fn thread_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    struct Machine {
        /// The ticker's thread ends with it.
        _engine: wasmtime::Engine,
        turns: Arc<Turns>,
        ticker: Arc<Ticker>,
    }

    fn machine(threads: usize) -> Machine {
        let turns = Arc::new(Turns::new(threads));
        let engine = wasmtime::Engine::default();
        let ticker = Ticker::start(engine.clone(), turns.clone()).unwrap();
        Machine { _engine: engine, turns, ticker }
    }

    /// Uses the processor for so long, giving way at each millisecond as a guest does.
    async fn spin(time: Duration) {
        let end = thread_time() + time;
        while thread_time() < end {
            let tick = thread_time() + MS;
            while thread_time() < tick {}
            give_way().await;
        }
    }

    #[tokio::test]
    async fn time_in_polls_is_counted_and_time_between_them_is_not() {
        let machine = machine(1);
        let cpu = Cpu::new(&machine.turns, 0, None);
        cpu.meter(&machine.ticker, tokio::time::sleep(20 * MS)).await;
        let idle = cpu.used();
        cpu.meter(&machine.ticker, spin(20 * MS)).await;
        assert!(cpu.used() - idle >= 20 * MS);
        assert!(idle < 20 * MS, "sleeping counted as {idle:?}");
    }

    #[tokio::test]
    async fn who_is_held_back_by_a_limit_goes_on_though_nobody_else_is_at_work() {
        let machine = machine(1);
        let cpu = Cpu::new(&machine.turns, 0, Some(100));
        let begun = std::time::Instant::now();
        cpu.meter(&machine.ticker, spin(40 * MS)).await;
        // 4 ms of burst, then a tenth of the time; the debt of the last poll is not waited for.
        assert!(begun.elapsed() >= 330 * MS, "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn dropping_work_in_any_stage_gives_its_turn_to_others() {
        let machine = machine(1);
        let (one, two) = (Cpu::new(&machine.turns, 0, None), Cpu::new(&machine.turns, 0, None));
        let mut held = Box::pin(one.meter(&machine.ticker, spin(1000 * MS)));
        let mut waits = Box::pin(two.meter(&machine.ticker, spin(1000 * MS)));
        // Each is in the queue again after its poll: the first is called at once, the second waits from now on.
        assert!(futures::poll!(held.as_mut()).is_pending());
        assert!(futures::poll!(waits.as_mut()).is_pending());
        let so_far = two.used();
        assert!(futures::poll!(waits.as_mut()).is_pending());
        assert_eq!(two.used(), so_far);
        drop(held);
        assert!(futures::poll!(waits.as_mut()).is_pending());
        assert!(two.used() >= so_far + MS, "it was its turn");
        drop(waits);
        two.meter(&machine.ticker, spin(MS)).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_heavier_container_gets_on_faster() {
        let machine = machine(1);
        let light = Arc::new(Cpu::new(&machine.turns, 100, None));
        let heavy = Arc::new(Cpu::new(&machine.turns, 400, None));
        let mut tasks = tokio::task::JoinSet::new();
        for cpu in [&light, &heavy] {
            let (cpu, ticker) = (cpu.clone(), machine.ticker.clone());
            tasks.spawn(async move { cpu.meter(&ticker, spin(Duration::MAX / 4)).await });
        }
        while heavy.used() < 400 * MS {
            tokio::time::sleep(5 * MS).await;
        }
        // CPU time against CPU time: what else the machine does takes from both alike.
        let ratio = heavy.used().as_secs_f64() / light.used().as_secs_f64();
        assert!((3.0..5.3).contains(&ratio), "{ratio}");
    }
}
