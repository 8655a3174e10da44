//! The queue under virtual time: machines of some threads, and containers that behave in some way.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::queue::{Before, Id, RunQueue};

const MS: Duration = Duration::from_millis(1);

/// What a task does each time that it has a turn.
#[derive(Clone, Copy)]
enum Habit {
    /// It runs for a tick, and wants to go on.
    Spins,
    /// It runs for a part of a tick, then waits for something.
    Naps { runs: Duration, sleeps: Duration },
}

struct Machine {
    queue: RunQueue<usize>,
    threads: usize,
    now: Instant,
    tasks: Vec<(Id, Habit)>,
    used: HashMap<Id, Duration>,
    /// Who has a turn, and no thread yet.
    called: VecDeque<usize>,
    /// Who is at work until when, and who sleeps until when.
    running: Vec<(Instant, usize, Duration)>,
    sleeping: Vec<(Instant, usize)>,
    /// How long each wait from entering to the turn was.
    waits: HashMap<Id, Vec<Duration>>,
    entered: HashMap<usize, Instant>,
    /// Time that threads were idle while somebody could have run.
    wasted: Duration,
}

impl Machine {
    fn new(threads: usize) -> Machine {
        Machine {
            queue: RunQueue::new(threads),
            threads,
            now: Instant::now(),
            tasks: Vec::new(),
            used: HashMap::new(),
            called: VecDeque::new(),
            running: Vec::new(),
            sleeping: Vec::new(),
            waits: HashMap::new(),
            entered: HashMap::new(),
            wasted: Duration::ZERO,
        }
    }

    fn container(&mut self, weight: u32, limit: Option<u32>, tasks: usize, habit: Habit) -> Id {
        let id = self.queue.add(weight, limit, self.now);
        for _ in 0..tasks {
            self.tasks.push((id, habit));
            self.enter(self.tasks.len() - 1, Before::Waited);
        }
        id
    }

    fn enter(&mut self, task: usize, before: Before) {
        self.entered.insert(task, self.now);
        self.queue.enter(self.tasks[task].0, task, before);
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.hand_out();
            let next = self.next_event().min(end);
            let throttled_only = self.queue.look_again().is_some() || self.running.len() == self.tasks.len();
            if self.running.len() < self.threads && !throttled_only && self.sleeping.is_empty() {
                self.wasted += next - self.now;
            }
            self.now = next;
            self.finish();
        }
    }

    fn hand_out(&mut self) {
        while let Some(task) = self.queue.next(self.now) {
            self.called.push_back(task);
        }
        while self.running.len() < self.threads
            && let Some(task) = self.called.pop_front()
        {
            let (id, habit) = self.tasks[task];
            let waited = self.now - self.entered[&task];
            self.waits.entry(id).or_default().push(waited);
            let spent = match habit {
                Habit::Spins => MS,
                Habit::Naps { runs, .. } => runs,
            };
            self.running.push((self.now + spent, task, spent));
        }
    }

    fn next_event(&self) -> Instant {
        let running = self.running.iter().map(|(at, ..)| *at);
        let sleeping = self.sleeping.iter().map(|(at, _)| *at);
        let throttled = self.queue.look_again();
        running.chain(sleeping).chain(throttled).min().expect("something happens")
    }

    fn finish(&mut self) {
        let now = self.now;
        let (done, running) = std::mem::take(&mut self.running).into_iter().partition(|(at, ..)| *at <= now);
        self.running = running;
        let (awake, sleeping) = std::mem::take(&mut self.sleeping).into_iter().partition(|(at, _)| *at <= now);
        self.sleeping = sleeping;
        let awake: Vec<(Instant, usize)> = awake;
        awake.into_iter().for_each(|(_, task)| self.enter(task, Before::Waited));
        let done: Vec<(Instant, usize, Duration)> = done;
        for (_, task, spent) in done {
            let (id, habit) = self.tasks[task];
            self.queue.leave(id, spent);
            *self.used.entry(id).or_default() += spent;
            match habit {
                Habit::Spins => self.enter(task, Before::Ran),
                Habit::Naps { sleeps, .. } => self.sleeping.push((now + sleeps, task)),
            }
        }
    }

    fn used(&self, id: Id) -> Duration {
        self.used.get(&id).copied().unwrap_or_default()
    }

    /// What each used, in thousandths of all.
    fn shares(&self, ids: &[Id]) -> Vec<u128> {
        let all: Duration = ids.iter().map(|id| self.used(*id)).sum();
        ids.iter().map(|id| self.used(*id).as_nanos() * 1000 / all.as_nanos()).collect()
    }

    fn longest_wait(&self, id: Id) -> Duration {
        self.waits[&id].iter().copied().max().unwrap_or_default()
    }
}

fn close(found: u128, expected: u128, by: u128) -> bool {
    found.abs_diff(expected) <= by
}

#[test]
fn spinners_share_by_weight() {
    /// Threads, weight and tasks of each container, and its share in thousandths of what there is.
    type Case<'a> = (usize, &'a [(u32, usize)], &'a [u128]);
    let cases: [Case; 8] = [
        (1, &[(100, 1), (100, 1)], &[500, 500]),
        (1, &[(100, 1), (300, 1)], &[250, 750]),
        (1, &[(0, 1), (998, 1)], &[2, 998]),
        (1, &[(100, 16), (100, 1)], &[500, 500]),
        (1, &[(100, 16), (300, 4), (600, 1)], &[100, 300, 600]),
        (2, &[(100, 4), (100, 4), (200, 4)], &[250, 250, 500]),
        // One task cannot use more than one thread; the others share what is left.
        (2, &[(1000, 1), (2, 1), (2, 1)], &[500, 250, 250]),
        (4, &[(500, 8), (250, 8), (250, 8), (2, 8)], &[499, 250, 250, 2]),
    ];
    for (threads, containers, expected) in cases {
        let mut machine = Machine::new(threads);
        let ids: Vec<Id> =
            containers.iter().map(|(weight, tasks)| machine.container(*weight, None, *tasks, Habit::Spins)).collect();
        machine.run(10_000 * MS);
        let shares = machine.shares(&ids);
        assert!(
            shares.iter().zip(expected).all(|(found, wanted)| close(*found, *wanted, 3)),
            "{containers:?}: {shares:?}"
        );
        assert_eq!(machine.wasted, Duration::ZERO, "{containers:?}");
    }
}

#[test]
fn limits_hold_for_all_tasks_together_and_others_take_the_rest() {
    for tasks in [1, 16] {
        let mut machine = Machine::new(2);
        let limited = machine.container(1000, Some(250), tasks, Habit::Spins);
        let free = machine.container(2, None, 2, Habit::Spins);
        machine.run(1000 * MS);
        assert!(close(machine.used(limited).as_millis(), 250, 12), "{tasks}: {:?}", machine.used(limited));
        assert!(close(machine.used(free).as_millis(), 1750, 15), "{tasks}: {:?}", machine.used(free));
        machine.run(9000 * MS);
        assert!(close(machine.used(limited).as_millis(), 2510, 25), "{tasks}: {:?}", machine.used(limited));
    }
}

#[test]
fn a_limit_alone_on_a_machine_holds_too() {
    let mut machine = Machine::new(4);
    let limited = machine.container(2, Some(1500), 16, Habit::Spins);
    machine.run(10_000 * MS);
    assert!(close(machine.used(limited).as_millis(), 15_060, 10), "{:?}", machine.used(limited));
}

#[test]
fn another_weight_and_limit_take_effect_at_once() {
    let mut machine = Machine::new(1);
    let one = machine.container(100, Some(10), 1, Habit::Spins);
    let two = machine.container(100, None, 1, Habit::Spins);
    machine.run(1000 * MS);
    assert!(machine.used(one) < 20 * MS);
    machine.queue.resize(one, 300, None, machine.now);
    let before = machine.used(one);
    machine.run(1000 * MS);
    let used = machine.used(one) - before;
    assert!(close(used.as_millis(), 750, 5), "{used:?} beside {:?}", machine.used(two));
}

#[test]
fn who_waits_for_something_is_next_when_it_comes() {
    let mut machine = Machine::new(2);
    let spinners: Vec<Id> = (0..50).map(|_| machine.container(2, None, 1, Habit::Spins)).collect();
    machine.run(1_000 * MS);
    let napper = machine.container(2, None, 1, Habit::Naps { runs: MS / 10, sleeps: 17 * MS + MS / 3 });
    machine.run(5_000 * MS);
    assert!(machine.longest_wait(napper) <= MS, "{:?}", machine.longest_wait(napper));
    assert!(spinners.iter().all(|id| machine.used(*id) > Duration::ZERO));
}

#[test]
fn sleep_earns_nothing() {
    let mut machine = Machine::new(1);
    let early = machine.container(100, None, 1, Habit::Spins);
    machine.run(5_000 * MS);
    let late = machine.container(100, None, 1, Habit::Spins);
    let before = machine.used(early);
    machine.run(100 * MS);
    let (early, late) = (machine.used(early) - before, machine.used(late));
    assert!(close(early.as_millis(), late.as_millis(), 2), "{early:?} and {late:?}");
}

#[test]
fn who_waited_is_called_ahead_of_a_free_thread_and_who_ran_is_not() {
    let now = Instant::now();
    let mut queue = RunQueue::new(1);
    let containers: Vec<Id> = (0..4).map(|_| queue.add(100, None, now)).collect();
    for (task, (id, before)) in
        containers.iter().zip([Before::Waited, Before::Waited, Before::Ran, Before::Waited]).enumerate()
    {
        queue.enter(*id, task, before);
    }
    assert_eq!((queue.next(now), queue.next(now), queue.next(now)), (Some(0), Some(1), None), "the third is next");
    queue.leave(containers[0], MS);
    assert_eq!(queue.next(now), None, "the second still has the thread");
    queue.leave(containers[1], MS);
    assert_eq!((queue.next(now), queue.next(now)), (Some(2), Some(3)));
}

#[test]
fn nobody_is_called_ahead_near_a_limit() {
    let now = Instant::now();
    let mut queue = RunQueue::new(1);
    let limited = queue.add(100, Some(500), now);
    (0..3).for_each(|task| queue.enter(limited, task, Before::Waited));
    assert_eq!((queue.next(now), queue.next(now)), (Some(0), Some(1)));
    // Of a burst of 20 ms.
    queue.leave(limited, 11 * MS);
    assert_eq!(queue.next(now), None);
    queue.leave(limited, MS);
    assert_eq!(queue.next(now), Some(2));
}

#[test]
fn those_without_a_weight_share_the_least_however_many_they_are() {
    for threads in [1, 2] {
        let mut machine = Machine::new(threads);
        let least: Vec<Id> = (0..100).map(|_| machine.container(0, None, 1, Habit::Spins)).collect();
        let asking = machine.container(98, None, 4, Habit::Spins);
        machine.run(50_000 * MS);
        let all: Duration = 50_000 * MS * u32::try_from(threads).unwrap();
        let share = machine.used(asking).as_nanos() * 1000 / all.as_nanos();
        assert!(close(share, 980, 2), "{threads} threads: {share}");
        let used: Vec<u128> = least.iter().map(|id| machine.used(*id).as_millis()).collect();
        let each = 10 * threads as u128;
        assert!(used.iter().all(|used| close(*used, each, 1)), "{threads} threads: {used:?}");
        assert_eq!(machine.wasted, Duration::ZERO);
    }
}

#[test]
fn those_without_a_weight_take_what_nobody_else_wants_within_their_limits() {
    let mut machine = Machine::new(2);
    let least: Vec<Id> = (0..9).map(|_| machine.container(0, None, 1, Habit::Spins)).collect();
    let limited = machine.container(0, Some(100), 2, Habit::Spins);
    machine.run(10_000 * MS);
    assert!(close(machine.used(limited).as_millis(), 1000, 20), "{:?}", machine.used(limited));
    let used: Vec<u128> = least.iter().map(|id| machine.used(*id).as_millis()).collect();
    assert!(used.iter().all(|used| close(*used, 2111, 10)), "{used:?}");
    assert_eq!(machine.wasted, Duration::ZERO);
}

#[test]
fn who_has_no_weight_and_waited_for_something_is_next_all_the_same() {
    let mut machine = Machine::new(1);
    for _ in 0..10 {
        machine.container(100, None, 1, Habit::Spins);
    }
    machine.run(1_000 * MS);
    let napper = machine.container(0, None, 1, Habit::Naps { runs: MS / 100, sleeps: 17 * MS + MS / 3 });
    machine.run(5_000 * MS);
    assert!(machine.longest_wait(napper) <= MS, "{:?}", machine.longest_wait(napper));
}

#[test]
fn a_container_may_be_given_a_weight_and_lose_it_while_it_waits() {
    let mut machine = Machine::new(1);
    let other = machine.container(100, None, 1, Habit::Spins);
    let least: Vec<Id> = (0..3).map(|_| machine.container(0, None, 1, Habit::Spins)).collect();
    machine.run(1_000 * MS);
    for (weight, expected) in [(100, 495), (0, 7), (300, 743), (0, 7)] {
        machine.queue.resize(least[0], weight, None, machine.now);
        let before = machine.used(least[0]);
        machine.run(10_000 * MS);
        let share = (machine.used(least[0]) - before).as_nanos() * 1000 / (10_000 * MS).as_nanos();
        assert!(close(share, expected, 5), "{weight}: {share}");
    }
    assert!(machine.used(other) > Duration::ZERO && machine.used(least[1]) > Duration::ZERO);
}

#[test]
fn those_without_a_weight_are_called_ahead_of_a_free_thread_as_others_are() {
    let now = Instant::now();
    let mut queue = RunQueue::new(1);
    let least: Vec<Id> = (0..3).map(|_| queue.add(0, None, now)).collect();
    for (task, (id, before)) in least.iter().zip([Before::Waited, Before::Ran, Before::Waited]).enumerate() {
        queue.enter(*id, task, before);
    }
    assert_eq!((queue.next(now), queue.next(now)), (Some(0), None), "the second is next");
    let asking = queue.add(100, None, now);
    queue.enter(asking, 3, Before::Waited);
    queue.leave(least[0], MS);
    assert_eq!(
        (queue.next(now), queue.next(now)),
        (Some(3), None),
        "who asks comes before the group that has had a turn"
    );
    queue.leave(asking, MS);
    assert_eq!((queue.next(now), queue.next(now)), (Some(1), Some(2)), "nobody of the group has lost its place");
}
