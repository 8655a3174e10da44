//! One queue for every loop: de-duplicated, delayed, one run per object.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::backoff::Backoff;

const FIRST_RETRY: Duration = Duration::from_millis(5);
const LAST_RETRY: Duration = Duration::from_secs(60);

/// Keys of objects to look at. A key is in here at most once, however often it is added, and is never handed out
/// while a run for it is under way: what comes in meanwhile runs it once more afterwards.
pub struct Queue<T> {
    state: Mutex<State<T>>,
    wake: Notify,
}

/// What [`Queue::take`] found.
#[derive(Debug, PartialEq)]
pub(crate) enum Taken<T> {
    /// Look at this object now; call [`Queue::done`] after.
    Run(T),
    /// Nothing to do before this instant, or before something is added.
    Wait(Option<Instant>),
}

struct State<T> {
    ready: VecDeque<T>,
    queued: HashSet<T>,
    running: HashSet<T>,
    again: HashSet<T>,
    due: HashMap<T, Instant>,
    by_time: BTreeSet<(Instant, T)>,
    failures: HashMap<T, u32>,
}

impl<T: Clone + Ord + Hash> Queue<T> {
    /// An empty queue.
    #[expect(clippy::new_without_default, reason = "a queue is made once, by name")]
    pub fn new() -> Self {
        let state = State {
            ready: VecDeque::new(),
            queued: HashSet::new(),
            running: HashSet::new(),
            again: HashSet::new(),
            due: HashMap::new(),
            by_time: BTreeSet::new(),
            failures: HashMap::new(),
        };
        Self { state: Mutex::new(state), wake: Notify::new() }
    }

    /// Look at this object soon.
    pub fn add(&self, key: T) {
        if self.state.lock().make_ready(key) {
            self.wake.notify_one();
        }
    }

    /// Look at this object after a while; of several delays the shortest counts.
    pub fn add_after(&self, key: T, delay: Duration) {
        self.state.lock().delay(key, Instant::now() + delay);
        self.wake.notify_one();
    }

    /// It failed: look again, after a pause that grows with every failure in a row.
    pub(crate) fn retry(&self, key: T) {
        let mut state = self.state.lock();
        let failures = state.failures.entry(key.clone()).or_default();
        let pause = Backoff::after(FIRST_RETRY, LAST_RETRY, *failures);
        *failures += 1;
        state.delay(key, Instant::now() + pause);
        drop(state);
        self.wake.notify_one();
    }

    /// It worked: the next failure counts as the first.
    pub(crate) fn succeeded(&self, key: &T) {
        self.state.lock().failures.remove(key);
    }

    pub(crate) fn take(&self) -> Taken<T> {
        let mut state = self.state.lock();
        state.promote(Instant::now());
        match state.ready.pop_front() {
            Some(key) => {
                state.queued.remove(&key);
                state.running.insert(key.clone());
                Taken::Run(key)
            }
            None => Taken::Wait(state.by_time.first().map(|(when, _)| *when)),
        }
    }

    /// The run for this key is over.
    pub(crate) fn done(&self, key: &T) {
        let mut state = self.state.lock();
        state.running.remove(key);
        if state.again.remove(key) {
            state.make_ready(key.clone());
        }
    }

    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }
}

impl<T: Clone + Ord + Hash> State<T> {
    /// Whether there is something new to take.
    fn make_ready(&mut self, key: T) -> bool {
        if self.running.contains(&key) {
            self.again.insert(key);
            return false;
        }
        if !self.queued.insert(key.clone()) {
            return false;
        }
        self.ready.push_back(key);
        true
    }

    fn delay(&mut self, key: T, when: Instant) {
        if let Some(known) = self.due.get(&key).copied() {
            if known <= when {
                return;
            }
            self.by_time.remove(&(known, key.clone()));
        }
        self.due.insert(key.clone(), when);
        self.by_time.insert((when, key));
    }

    fn promote(&mut self, now: Instant) {
        while self.by_time.first().is_some_and(|(when, _)| *when <= now) {
            if let Some((_, key)) = self.by_time.pop_first() {
                self.due.remove(&key);
                self.make_ready(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(queue: &Queue<&'static str>) -> Option<&'static str> {
        match queue.take() {
            Taken::Run(key) => Some(key),
            Taken::Wait(_) => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_is_handed_out_once() {
        let queue = Queue::new();
        queue.add("a");
        queue.add("b");
        queue.add("a");
        assert_eq!((take(&queue), take(&queue), take(&queue)), (Some("a"), Some("b"), None));
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_in_during_a_run_runs_once_afterwards() {
        let queue = Queue::new();
        queue.add("a");
        assert_eq!(take(&queue), Some("a"));
        queue.add("a");
        queue.add("a");
        assert_eq!(take(&queue), None, "one run at a time");
        queue.done(&"a");
        assert_eq!(take(&queue), Some("a"));
        queue.done(&"a");
        assert_eq!(take(&queue), None);
    }

    #[tokio::test(start_paused = true)]
    async fn of_several_delays_the_shortest_counts() {
        let queue = Queue::new();
        queue.add_after("a", Duration::from_secs(9));
        queue.add_after("a", Duration::from_secs(3));
        queue.add_after("a", Duration::from_secs(6));
        assert_eq!(queue.take(), Taken::Wait(Some(Instant::now() + Duration::from_secs(3))));
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(take(&queue), Some("a"));
        queue.done(&"a");
        assert_eq!(queue.take(), Taken::Wait(None));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_in_a_row_wait_longer() {
        let queue = Queue::new();
        let mut waits = Vec::new();
        for _ in 0..4 {
            queue.retry("a");
            let Taken::Wait(Some(when)) = queue.take() else { panic!("not delayed") };
            waits.push((when - Instant::now()).as_millis());
            tokio::time::advance(when - Instant::now()).await;
            assert_eq!(take(&queue), Some("a"));
            queue.done(&"a");
        }
        assert_eq!(waits, [5, 10, 20, 40]);
        queue.succeeded(&"a");
        queue.retry("a");
        assert_eq!(queue.take(), Taken::Wait(Some(Instant::now() + FIRST_RETRY)));
    }
}
