use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use wasmtime::EngineWeak;

use crate::cpu::Turns;

/// One tick of the epoch clock: the longest time that a guest keeps a thread while others wait.
///
/// A neighbour waits for one tick for each spinning guest on its thread, so it should be short; giving way costs about a
/// microsecond, so at 1 ms it takes a thousandth of a spinner's time, and CPU limits hold to within a tick.
pub(crate) const TICK: Duration = Duration::from_millis(1);

/// Ticks without any guest at work after which the clock stops.
const QUIET_TICKS: u32 = 100;

/// Advances the engine's epoch once per [`TICK`] while guests run, and sleeps otherwise; also gives turns to guests whose
/// wait for their limit is over. It ends with its engine.
pub(crate) struct Ticker {
    /// Polls of guests that are going on now.
    running: AtomicUsize,
    /// Set by each poll, cleared by each tick: tells short polls between two ticks from quiet.
    active: AtomicBool,
    /// Ticks so far.
    ticks: AtomicU64,
    /// The thread sleeps until it is unparked.
    stopped: AtomicBool,
    thread: thread::Thread,
}

impl Ticker {
    pub(crate) fn start(engine: wasmtime::Engine, turns: Arc<Turns>) -> io::Result<Arc<Ticker>> {
        let engine = engine.weak();
        let (sender, receiver) = std::sync::mpsc::channel::<std::sync::Weak<Ticker>>();
        let thread = thread::Builder::new().name("epoch".into()).spawn(move || {
            if let Ok(ticker) = receiver.recv() {
                tick(&engine, &ticker, &turns);
            }
        })?;
        let ticker = Arc::new(Ticker {
            running: AtomicUsize::new(0),
            active: AtomicBool::new(false),
            ticks: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            thread: thread.thread().clone(),
        });
        // The thread only goes away if it panicked, and it cannot have begun yet.
        let _ = sender.send(Arc::downgrade(&ticker));
        Ok(ticker)
    }

    /// Runs one poll of a guest with the clock ticking.
    pub(crate) fn during<T>(&self, poll: impl FnOnce() -> T) -> T {
        let _running = Running::begin(self);
        BEGAN_AT.set(self.ticks.load(Ordering::Relaxed));
        poll()
    }

    /// Whether the clock has ticked during the poll that goes on on this thread. The epoch deadline of a store that was
    /// idle for a while has passed long before.
    pub(crate) fn ticked(&self) -> bool {
        self.ticks.load(Ordering::Relaxed) != BEGAN_AT.get()
    }

    /// Has the clock look anew when it is needed next, if it stands still.
    pub(crate) fn rouse(&self) {
        if self.stopped.load(Ordering::SeqCst) && self.stopped.swap(false, Ordering::SeqCst) {
            self.thread.unpark();
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.thread.unpark();
    }
}

thread_local! {
    /// The tick in which the poll that goes on on this thread began.
    static BEGAN_AT: Cell<u64> = const { Cell::new(0) };
}

/// Counts one poll, also when it panics.
struct Running<'a>(&'a Ticker);

impl<'a> Running<'a> {
    fn begin(ticker: &'a Ticker) -> Self {
        ticker.running.fetch_add(1, Ordering::SeqCst);
        ticker.active.store(true, Ordering::Relaxed);
        ticker.rouse();
        Running(ticker)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

fn tick(engine: &EngineWeak, ticker: &std::sync::Weak<Ticker>, turns: &Turns) {
    let mut quiet = 0;
    while let Some(engine) = engine.upgrade() {
        turns.call();
        let stopped = {
            let Some(ticker) = ticker.upgrade() else { return };
            let busy = ticker.running.load(Ordering::SeqCst) > 0 || ticker.active.swap(false, Ordering::Relaxed);
            quiet = if busy { 0 } else { quiet + 1 };
            quiet >= QUIET_TICKS && ticker.stop()
        };
        if stopped {
            drop(engine);
            sleep_until(turns.call());
            quiet = 0;
        } else {
            if let Some(ticker) = ticker.upgrade() {
                ticker.ticks.fetch_add(1, Ordering::Relaxed);
            }
            engine.increment_epoch();
            drop(engine);
            thread::sleep(TICK);
        }
    }
}

/// Sleeps until then, or until the thread is unparked.
fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => thread::park_timeout(moment.saturating_duration_since(Instant::now())),
        None => thread::park(),
    }
}

impl Ticker {
    /// Announces that the thread is about to sleep; `false` if a guest began just then.
    fn stop(&self) -> bool {
        self.stopped.store(true, Ordering::SeqCst);
        // A poll that began before the line above did not see it, but is counted.
        self.running.load(Ordering::SeqCst) == 0 || !self.stopped.swap(false, Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poll_has_been_ticked_at_only_by_ticks_since_it_began() {
        let engine = wasmtime::Engine::default();
        let ticker = Ticker::start(engine.clone(), Arc::new(Turns::new(1))).unwrap();
        let wait = || while !ticker.ticked() {};
        ticker.during(wait);
        // Ticks go on between two polls, and are nothing to the second.
        let before = ticker.ticks.load(Ordering::Relaxed);
        while ticker.ticks.load(Ordering::Relaxed) == before {}
        let at_once = (0..100).filter(|_| ticker.during(|| ticker.ticked())).count();
        assert!(at_once < 50, "{at_once} of 100 polls");
    }
}
