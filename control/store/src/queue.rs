//! What waits for the writer's thread.

use std::{
    mem,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::{Error, Revision, Write};

/// A transaction, and who waits for it.
pub(crate) struct Transaction {
    pub(crate) writes: Vec<Write>,
    pub(crate) answer: oneshot::Sender<Result<Revision, Error>>,
}

/// A compaction, and who waits for it.
pub(crate) struct Compaction {
    pub(crate) before: Revision,
    pub(crate) answer: oneshot::Sender<Result<(), Error>>,
}

/// Everything that waited, taken at once.
#[derive(Default)]
pub(crate) struct Work {
    pub(crate) transactions: Vec<Transaction>,
    pub(crate) compactions: Vec<Compaction>,
    /// Whether nothing will come any more.
    pub(crate) closed: bool,
}

impl Work {
    pub(crate) fn is_empty(&self) -> bool {
        self.transactions.is_empty() && self.compactions.is_empty()
    }

    /// Adds what came later.
    pub(crate) fn extend(&mut self, later: Work) {
        self.transactions.extend(later.transactions);
        self.compactions.extend(later.compactions);
        self.closed |= later.closed;
    }
}

/// Many put, one takes.
#[derive(Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

#[derive(Default)]
struct Waiting {
    work: Work,
    /// How many transactions the writer waits for. Below it nobody wakes the writer: a wake-up costs a system call.
    wanted: usize,
}

impl Queue {
    pub(crate) fn transaction(&self, transaction: Transaction) -> Result<(), Error> {
        self.put(|work| work.transactions.push(transaction))
    }

    pub(crate) fn compaction(&self, compaction: Compaction) -> Result<(), Error> {
        self.put(|work| work.compactions.push(compaction))
    }

    /// Lets the writer end, once it has done what waits.
    pub(crate) fn close(&self) {
        self.waiting.lock().work.closed = true;
        self.arrived.notify_one();
    }

    /// Takes everything that waits, as soon as there is something, or nothing once it is `until`.
    pub(crate) fn take(&self, until: Option<Instant>) -> Work {
        let mut waiting = self.waiting.lock();
        waiting.wanted = 1;
        while waiting.work.is_empty() && !waiting.work.closed {
            let Some(until) = until else {
                self.arrived.wait(&mut waiting);
                continue;
            };
            if self.arrived.wait_until(&mut waiting, until).timed_out() {
                break;
            }
        }
        waiting.take()
    }

    /// Waits until `count` transactions are there, but no longer than `patience`.
    pub(crate) fn gather(&self, count: usize, patience: Duration) {
        let until = Instant::now() + patience;
        let mut waiting = self.waiting.lock();
        waiting.wanted = count;
        while waiting.work.transactions.len() < count && !waiting.work.closed {
            if self.arrived.wait_until(&mut waiting, until).timed_out() {
                return;
            }
        }
    }

    /// Ends everything: what waits is dropped, which its callers see, and what comes is refused.
    pub(crate) fn abandon(&self) {
        let mut waiting = self.waiting.lock();
        waiting.take();
        waiting.work.closed = true;
    }

    fn put(&self, add: impl FnOnce(&mut Work)) -> Result<(), Error> {
        let mut waiting = self.waiting.lock();
        if waiting.work.closed {
            return Err(Error::closed());
        }
        add(&mut waiting.work);
        let due = waiting.work.transactions.len() >= waiting.wanted || !waiting.work.compactions.is_empty();
        drop(waiting);
        if due {
            self.arrived.notify_one();
        }
        Ok(())
    }
}

impl Waiting {
    /// `closed` stays.
    fn take(&mut self) -> Work {
        let closed = self.work.closed;
        // Nobody needs to wake a writer that is at work.
        self.wanted = usize::MAX;
        let taken = mem::take(&mut self.work);
        self.work.closed = closed;
        Work { closed, ..taken }
    }
}
