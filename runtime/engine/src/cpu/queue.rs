//! Whose turn is next. Pure: what happened and the time go in, turns come out.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::bucket::Bucket;
use crate::ticker::TICK;

/// CPU time divided by weight: of two containers that always want to run, both get on equally fast in it.
type Virtual = u128;

/// Virtual nanoseconds of a container of this weight are nanoseconds.
const UNIT: u128 = 1024;

/// Turns that may be out for each thread, where tasks came from waiting for something: see [`RunQueue`].
const AHEAD: usize = 4;

/// The least weight, as the kernel's `cpu.shares` has it: that of a container that asks for nothing.
const LEAST_WEIGHT: u32 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Id(u64);

/// Shares the threads that guests run on between containers, by weight.
///
/// A task of a container enters when it wants to run, gets a turn by [`RunQueue::next`], and leaves with what it used. As
/// many turns are out at once as there are threads; while one is free nobody waits for a turn, except for a limit. Where
/// more want to run, the container is next that got least so far for its weight (start-time fair queueing). Tasks of one
/// container come in order.
///
/// A task that comes from waiting mostly runs for much less than a tick. A few of these get their turn ahead of a free
/// thread, so that none goes to sleep between two of them. What they take too much thereby is charged, as always.
///
/// A decision costs the logarithm of the number of containers that wait.
pub(super) struct RunQueue<T> {
    threads: usize,
    /// Turns that were given and not given back.
    out: usize,
    /// How far those have come who are at work. Who comes back from sleep begins here, and has no claim to what it did not
    /// use meanwhile; nor has one that its one task keeps from using its share of several threads.
    clock: Virtual,
    containers: HashMap<Id, Container<T>>,
    /// Containers with a task that may run, the one that is most behind first; among equals, in order.
    ready: BinaryHeap<Reverse<(Virtual, u64, Id)>>,
    /// Containers that have to wait for their limit.
    throttled: BinaryHeap<Reverse<(Instant, Id)>>,
    numbers: u64,
}

struct Container<T> {
    weight: u128,
    bucket: Option<Bucket>,
    used: Virtual,
    waiting: VecDeque<(T, Before)>,
    place: Place,
}

/// What a task did before it wanted to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// It waited for something.
    Waited,
    /// It ran until the tick, and gave way.
    Ran,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Nowhere,
    /// It has one entry in `ready`, which may say less than it used by now.
    Ready,
    /// It has an entry in `throttled`.
    Throttled,
}

impl<T: PartialEq> RunQueue<T> {
    pub(super) fn new(threads: usize) -> Self {
        RunQueue {
            threads: threads.max(1),
            out: 0,
            clock: 0,
            containers: HashMap::new(),
            ready: BinaryHeap::new(),
            throttled: BinaryHeap::new(),
            numbers: 0,
        }
    }

    /// A container with a weight and a limit in thousandths of a core.
    pub(super) fn add(&mut self, weight: u32, limit: Option<u32>, now: Instant) -> Id {
        let id = Id(self.number());
        let bucket = limit.map(|limit| Bucket::full(limit, now));
        let container =
            Container { weight: of(weight), bucket, used: 0, waiting: VecDeque::new(), place: Place::Nowhere };
        self.containers.insert(id, container);
        id
    }

    pub(super) fn remove(&mut self, id: Id) {
        self.containers.remove(&id);
    }

    /// Changes weight and limit; what waits for the old limit is judged by the new one.
    pub(super) fn resize(&mut self, id: Id, weight: u32, limit: Option<u32>, now: Instant) {
        let number = self.number();
        let Some(container) = self.containers.get_mut(&id) else { return };
        container.weight = of(weight);
        match (&mut container.bucket, limit) {
            (Some(bucket), Some(limit)) => bucket.resize(limit, now),
            (bucket, limit) => *bucket = limit.map(|limit| Bucket::full(limit, now)),
        }
        if container.place == Place::Throttled {
            container.place = Place::Ready;
            self.ready.push(Reverse((container.used, number, id)));
        }
    }

    /// A task of the container wants to run.
    pub(super) fn enter(&mut self, id: Id, task: T, before: Before) {
        let number = self.number();
        let Some(container) = self.containers.get_mut(&id) else { return };
        container.waiting.push_back((task, before));
        if container.place == Place::Nowhere {
            container.rejoin(self.clock);
            self.ready.push(Reverse((container.used, number, id)));
        }
    }

    /// A task that waits does not want to run any more.
    pub(super) fn forget(&mut self, id: Id, task: &T) {
        if let Some(container) = self.containers.get_mut(&id) {
            container.waiting.retain(|(waiting, _)| waiting != task);
        }
    }

    /// A turn comes back.
    pub(super) fn leave(&mut self, id: Id, spent: Duration) {
        self.out = self.out.saturating_sub(1);
        let Some(container) = self.containers.get_mut(&id) else { return };
        container.used += spent.as_nanos() * UNIT / container.weight;
        if let Some(bucket) = &mut container.bucket {
            bucket.take(spent);
        }
    }

    /// Gives the next turn: to be asked until there is none, after each change and whenever [`RunQueue::look_again`] says.
    pub(super) fn next(&mut self, now: Instant) -> Option<T> {
        self.end_throttling(now);
        while self.out < self.threads * AHEAD {
            let Reverse((used, order, id)) = self.ready.pop()?;
            let number = self.number();
            let Some(container) = self.containers.get_mut(&id) else { continue };
            if container.used > used {
                self.ready.push(Reverse((container.used, number, id)));
                continue;
            }
            let wait = container.bucket.as_mut().map_or(Duration::ZERO, |bucket| bucket.wait(now));
            if !wait.is_zero() && !container.waiting.is_empty() {
                container.place = Place::Throttled;
                self.throttled.push(Reverse((now + wait, id)));
                continue;
            }
            if self.out >= self.threads && !container.may_go_ahead() {
                self.ready.push(Reverse((used, order, id)));
                return None;
            }
            let task = container.waiting.pop_front();
            container.place = if container.waiting.is_empty() { Place::Nowhere } else { Place::Ready };
            if container.place == Place::Ready {
                self.ready.push(Reverse((used, number, id)));
            }
            if task.is_some() {
                self.clock = self.clock.max(used);
                self.out += 1;
                return task.map(|(task, _)| task);
            }
        }
        None
    }

    /// When a container may go on that waits for its limit.
    pub(super) fn look_again(&self) -> Option<Instant> {
        self.throttled.peek().map(|Reverse((at, _))| *at)
    }

    fn end_throttling(&mut self, now: Instant) {
        while let Some(Reverse((at, id))) = self.throttled.peek().copied()
            && at <= now
        {
            self.throttled.pop();
            let number = self.number();
            let Some(container) = self.containers.get_mut(&id) else { continue };
            if container.place == Place::Throttled {
                container.rejoin(self.clock);
                self.ready.push(Reverse((container.used, number, id)));
            }
        }
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }
}

impl<T> Container<T> {
    /// It takes part again, from where the others are; a turn ahead of them, so that who waited for something is next.
    fn rejoin(&mut self, clock: Virtual) {
        let turn = TICK.as_nanos() * UNIT / self.weight;
        self.used = self.used.max(clock.saturating_sub(turn));
        self.place = Place::Ready;
    }

    /// Whether its next task may have a turn that no thread is free for; not near a limit, which would be overdrawn.
    fn may_go_ahead(&self) -> bool {
        let waited = self.waiting.front().is_none_or(|(_, before)| *before == Before::Waited);
        waited && self.bucket.as_ref().is_none_or(Bucket::is_half_full)
    }
}

fn of(weight: u32) -> u128 {
    u128::from(weight.max(LEAST_WEIGHT))
}
