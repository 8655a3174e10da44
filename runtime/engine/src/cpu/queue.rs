//! Whose turn is next. Pure: what happened and the time go in, turns come out.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::bucket::Bucket;
use super::line::{Entry, Line, Ticket, Virtual, virtually};

/// Turns that may be out for each thread, where tasks came from waiting for something: see [`RunQueue`].
const AHEAD: usize = 4;

/// The least weight, as the kernel's `cpu.shares` has it: that of all containers together that ask for nothing.
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
/// Containers without a weight are one member of the line together, however many they are, and take turns within it.
///
/// A task that comes from waiting mostly runs for much less than a tick. A few of these get their turn ahead of a free
/// thread, so that none goes to sleep between two of them. What they take too much thereby is charged, as always.
///
/// A decision costs the logarithm of the number of containers that wait.
pub(super) struct RunQueue<T> {
    threads: usize,
    /// Turns that were given and not given back.
    out: usize,
    containers: HashMap<Id, Container<T>>,
    /// Those that have a weight, and the group of the others.
    line: Line<Member>,
    /// Those that have none.
    least: Line<Id>,
    group: Group,
    /// Containers that have to wait for their limit.
    throttled: BinaryHeap<Reverse<(Instant, Id)>>,
    /// The last number that an [`Id`] or a [`Ticket`] has.
    last: u64,
}

struct Container<T> {
    /// It has no weight of its own.
    is_least: bool,
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
    /// It has this entry in its line, which may say less than it used by now.
    Ready(Ticket),
    /// It has an entry in `throttled`.
    Throttled,
}

/// Who has a place in the first line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Member {
    Container(Id),
    Least,
}

/// The containers without a weight, as one member.
#[derive(Default)]
struct Group {
    used: Virtual,
    /// It has an entry in the line.
    is_ready: bool,
}

/// What comes of somebody's being first in line.
enum Outcome<T> {
    Turn(T),
    /// It has none to take, or has to wait: the next one is asked.
    Nothing,
    /// It is first, and no thread is free for it: nor for anybody behind.
    NoThread,
}

impl<T: PartialEq> RunQueue<T> {
    pub(super) fn new(threads: usize) -> Self {
        RunQueue {
            threads: threads.max(1),
            out: 0,
            containers: HashMap::new(),
            line: Line::new(),
            least: Line::new(),
            group: Group::default(),
            throttled: BinaryHeap::new(),
            last: 0,
        }
    }

    /// A container with a weight, or none, and a limit in thousandths of a core.
    pub(super) fn add(&mut self, weight: u32, limit: Option<u32>, now: Instant) -> Id {
        self.last += 1;
        let id = Id(self.last);
        let container = Container {
            is_least: weight == 0,
            weight: at_least(weight),
            bucket: limit.map(|limit| Bucket::full(limit, now)),
            used: 0,
            waiting: VecDeque::new(),
            place: Place::Nowhere,
        };
        self.containers.insert(id, container);
        id
    }

    pub(super) fn remove(&mut self, id: Id) {
        self.containers.remove(&id);
    }

    /// Changes weight and limit; what waits for the old limit is judged by the new one.
    pub(super) fn resize(&mut self, id: Id, weight: u32, limit: Option<u32>, now: Instant) {
        let Some(container) = self.containers.get_mut(&id) else { return };
        let moves = container.is_least != (weight == 0);
        container.is_least = weight == 0;
        container.weight = at_least(weight);
        match (&mut container.bucket, limit) {
            (Some(bucket), Some(limit)) => bucket.resize(limit, now),
            (bucket, limit) => *bucket = limit.map(|limit| Bucket::full(limit, now)),
        }
        if moves {
            // What it used in one line means nothing in the other.
            container.used = 0;
        }
        match container.place {
            Place::Throttled => self.join(id),
            Place::Ready(_) if moves => self.join(id),
            Place::Ready(_) | Place::Nowhere => {}
        }
    }

    /// A task of the container wants to run.
    pub(super) fn enter(&mut self, id: Id, task: T, before: Before) {
        let Some(container) = self.containers.get_mut(&id) else { return };
        container.waiting.push_back((task, before));
        if container.place == Place::Nowhere {
            self.join(id);
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
        let used = virtually(spent.as_nanos(), container.weight);
        container.used += used;
        if container.is_least {
            self.group.used += used;
        }
        if let Some(bucket) = &mut container.bucket {
            bucket.take(spent);
        }
    }

    /// Gives the next turn: to be asked until there is none, after each change and whenever [`RunQueue::look_again`] says.
    pub(super) fn next(&mut self, now: Instant) -> Option<T> {
        self.end_throttling(now);
        while self.out < self.threads * AHEAD {
            let first = self.line.pop()?;
            let outcome = match first.member {
                Member::Container(id) => self.turn_of(id, first, now),
                Member::Least => self.turn_of_least(first, now),
            };
            match outcome {
                Outcome::Turn(task) => {
                    self.line.passed(first.used);
                    self.out += 1;
                    return Some(task);
                }
                Outcome::Nothing => {}
                Outcome::NoThread => {
                    self.line.push(first);
                    return None;
                }
            }
        }
        None
    }

    /// The next task of those without a weight, whose turn it is.
    fn turn_of_least(&mut self, first: Entry<Member>, now: Instant) -> Outcome<T> {
        let mut outcome = Outcome::Nothing;
        // Otherwise they have used more since they stood in line, and go back.
        if self.group.used <= first.used {
            while matches!(outcome, Outcome::Nothing)
                && let Some(entry) = self.least.pop()
            {
                outcome = self.turn_of(entry.member, entry, now);
                match outcome {
                    Outcome::Turn(_) => self.least.passed(entry.used),
                    Outcome::Nothing => {}
                    Outcome::NoThread => self.least.push(entry),
                }
            }
        }
        if !matches!(outcome, Outcome::NoThread) {
            self.group.is_ready = false;
            self.join_group();
        }
        outcome
    }

    /// The next task of a container that has come out of its line, if it may run. Who has more to run goes back.
    fn turn_of<M>(&mut self, id: Id, entry: Entry<M>, now: Instant) -> Outcome<T> {
        let Some(container) = self.containers.get_mut(&id).filter(|it| it.place == Place::Ready(entry.ticket)) else {
            return Outcome::Nothing;
        };
        if container.used > entry.used {
            self.stand_in_line(id);
            return Outcome::Nothing;
        }
        let wait = container.bucket.as_mut().map_or(Duration::ZERO, |bucket| bucket.wait(now));
        if !wait.is_zero() && !container.waiting.is_empty() {
            container.place = Place::Throttled;
            self.throttled.push(Reverse((now + wait, id)));
            return Outcome::Nothing;
        }
        if self.out >= self.threads && !container.may_go_ahead() {
            return Outcome::NoThread;
        }
        let task = container.waiting.pop_front();
        match container.waiting.is_empty() {
            true => container.place = Place::Nowhere,
            false => self.stand_in_line(id),
        }
        task.map_or(Outcome::Nothing, |(task, _)| Outcome::Turn(task))
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
            if self.containers.get(&id).is_some_and(|container| container.place == Place::Throttled) {
                self.join(id);
            }
        }
    }

    /// A container takes part (again).
    fn join(&mut self, id: Id) {
        let Some(container) = self.containers.get_mut(&id) else { return };
        container.used = match container.is_least {
            true => self.least.rejoined(container.used, container.weight),
            false => self.line.rejoined(container.used, container.weight),
        };
        self.stand_in_line(id);
        self.join_group();
    }

    fn stand_in_line(&mut self, id: Id) {
        let Some(container) = self.containers.get_mut(&id) else { return };
        self.last += 1;
        let (used, ticket) = (container.used, Ticket(self.last));
        container.place = Place::Ready(ticket);
        match container.is_least {
            true => self.least.push(Entry { used, ticket, member: id }),
            false => self.line.push(Entry { used, ticket, member: Member::Container(id) }),
        }
    }

    fn join_group(&mut self) {
        if !self.group.is_ready && !self.least.is_empty() {
            self.group.used = self.line.rejoined(self.group.used, at_least(0));
            self.group.is_ready = true;
            self.last += 1;
            self.line.push(Entry { used: self.group.used, ticket: Ticket(self.last), member: Member::Least });
        }
    }
}

impl<T> Container<T> {
    /// Whether its next task may have a turn that no thread is free for; not near a limit, which would be overdrawn.
    fn may_go_ahead(&self) -> bool {
        let waited = self.waiting.front().is_none_or(|(_, before)| *before == Before::Waited);
        waited && self.bucket.as_ref().is_none_or(Bucket::is_half_full)
    }
}

fn at_least(weight: u32) -> u128 {
    u128::from(weight.max(LEAST_WEIGHT))
}
