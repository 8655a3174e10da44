use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::queue::{Before, Id, RunQueue};

/// The turns of all guests of an engine: the queue, and the wakers of who waits in it.
pub(crate) struct Turns {
    queue: Mutex<RunQueue<Arc<Seat>>>,
}

/// One task's place in the queue.
pub(super) struct Seat(Mutex<Stage>);

enum Stage {
    /// It does not want to run.
    Idle,
    /// It is in the queue.
    Waiting(Waker),
    /// It may run when it is polled next.
    Called,
    /// It is being polled.
    Running,
}

impl PartialEq for Seat {
    fn eq(&self, other: &Seat) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Turns {
    /// As many turns at once as there are threads that guests run on.
    pub(crate) fn new(threads: usize) -> Turns {
        Turns { queue: Mutex::new(RunQueue::new(threads)) }
    }

    pub(super) fn add(&self, weight: u32, limit: Option<u32>) -> Id {
        self.queue.lock().add(weight, limit, Instant::now())
    }

    pub(super) fn resize(&self, id: Id, weight: u32, limit: Option<u32>) {
        self.queue.lock().resize(id, weight, limit, Instant::now());
        self.call();
    }

    pub(super) fn remove(&self, id: Id) {
        self.queue.lock().remove(id);
    }

    /// Gives turns to whom they are due now; answers when to come again, if nothing else happens.
    pub(crate) fn call(&self) -> Option<Instant> {
        let now = Instant::now();
        loop {
            let mut queue = self.queue.lock();
            let Some(seat) = queue.next(now) else { return queue.look_again() };
            // With the queue locked, so that nobody who leaves it meets a half-way change.
            let before = std::mem::replace(&mut *seat.0.lock(), Stage::Called);
            drop(queue);
            if let Stage::Waiting(waker) = before {
                waker.wake();
            }
        }
    }
}

/// What one task has of the turns: at most one. Dropping it gives it back.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    id: Id,
    seat: Arc<Seat>,
}

impl<'a> Turn<'a> {
    pub(super) fn new(turns: &'a Turns, id: Id) -> Self {
        Turn { turns, id, seat: Arc::new(Seat(Mutex::new(Stage::Idle))) }
    }

    /// Whether the task may run now; if not, it is woken when it may.
    pub(super) fn begin(&self, cx: &Context<'_>) -> bool {
        let is_new = match &mut *self.seat.0.lock() {
            Stage::Waiting(waker) => {
                waker.clone_from(cx.waker());
                false
            }
            stage @ Stage::Idle => {
                *stage = Stage::Waiting(Waker::noop().clone());
                true
            }
            Stage::Called | Stage::Running => false,
        };
        if is_new {
            self.turns.queue.lock().enter(self.id, self.seat.clone(), Before::Waited);
            self.turns.call();
        }
        match &mut *self.seat.0.lock() {
            stage @ Stage::Called => {
                *stage = Stage::Running;
                true
            }
            Stage::Waiting(waker) => {
                waker.clone_from(cx.waker());
                false
            }
            Stage::Idle | Stage::Running => false,
        }
    }

    /// The task has run for `spent`. If it `wants_more` it stays in the queue, so that it takes part in the choice of who
    /// is next.
    pub(super) fn end(&self, spent: Duration, wants_more: bool, cx: &Context<'_>) {
        let mut queue = self.turns.queue.lock();
        queue.leave(self.id, spent);
        *self.seat.0.lock() = if wants_more { Stage::Waiting(cx.waker().clone()) } else { Stage::Idle };
        if wants_more {
            queue.enter(self.id, self.seat.clone(), Before::Ran);
        }
        drop(queue);
        self.turns.call();
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut queue = self.turns.queue.lock();
        let stage = std::mem::replace(&mut *self.seat.0.lock(), Stage::Idle);
        match stage {
            Stage::Idle => return,
            Stage::Waiting(_) => queue.forget(self.id, &self.seat),
            Stage::Called | Stage::Running => queue.leave(self.id, Duration::ZERO),
        }
        drop(queue);
        self.turns.call();
    }
}
