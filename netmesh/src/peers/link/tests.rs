use proptest::prelude::*;

use super::*;

fn address(port: u16) -> SocketAddr {
    ([192, 0, 2, 1], port).into()
}

/// The link of `me` with the other of `a` and `b`.
fn link(me: &str) -> Link {
    let peer = if me == "a" { "b" } else { "a" };
    Link::new(&me.into(), &peer.into(), address(1), 1.0)
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

#[test]
fn nothing_is_dialled_before_it_is_wanted_and_then_once() {
    let (mut link, now) = (link("a"), Instant::now());
    assert_eq!(link.on(Event::Woken, now), []);
    assert_eq!(link.on(Event::Wanted, now), [Action::Dial(address(1))]);
    assert_eq!(link.on(Event::Wanted, now), []);
    assert_eq!(link.on(Event::Dialled(7), now), [Action::Adopt(7)]);
    assert_eq!(link.on(Event::Wanted, now), []);
    assert_eq!(link.wakes_at(), None);
}

#[test]
fn failures_are_further_and_further_apart_until_one_succeeds() {
    let (mut link, mut now) = (link("a"), Instant::now());
    link.on(Event::Wanted, now);
    let mut pauses = Vec::new();
    for _ in 0..9 {
        assert_eq!(link.on(Event::Failed, now), []);
        let next = link.wakes_at().unwrap();
        pauses.push((next - now).as_millis());
        assert_eq!(link.on(Event::Wanted, now), [], "not before its time");
        now = next;
        assert_eq!(link.on(Event::Woken, now), [Action::Dial(address(1))]);
    }
    assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
    link.on(Event::Dialled(1), now);
    assert_eq!(link.on(Event::Lost(1), now), [Action::Dial(address(1))], "after a success at once");
    link.on(Event::Failed, now);
    assert_eq!(link.wakes_at(), Some(now + FIRST_PAUSE));
}

#[test]
fn the_greater_lets_the_lesser_go_first_when_a_connection_is_lost() {
    let (mut link, now) = (link("b"), Instant::now());
    assert_eq!(link.on(Event::Arrived(1), now), [Action::Adopt(1)]);
    assert_eq!(link.on(Event::Lost(1), now), []);
    assert_eq!(link.wakes_at(), Some(now + FIRST_PAUSE));
}

#[test]
fn of_two_that_were_dialled_at_once_both_keep_the_lessers() {
    for (me, events, kept) in [
        ("a", [Event::Dialled(1), Event::Arrived(2)], 1),
        ("a", [Event::Arrived(2), Event::Dialled(1)], 1),
        ("b", [Event::Dialled(2), Event::Arrived(1)], 1),
        ("b", [Event::Arrived(1), Event::Dialled(2)], 1),
    ] {
        let (mut link, now) = (link(me), Instant::now());
        link.on(Event::Wanted, now);
        let actions: Vec<Action> = events.iter().flat_map(|event| link.on(*event, now + seconds(1.0))).collect();
        assert_eq!(link.current.unwrap().id, kept, "{me} {events:?}");
        assert!(actions.contains(&Action::Retire(3 - kept)), "{me} {events:?}: {actions:?}");
    }
}

#[test]
fn a_node_that_dials_again_has_lost_what_there_was() {
    let (mut link, now) = (link("a"), Instant::now());
    link.on(Event::Wanted, now);
    link.on(Event::Dialled(1), now);
    let later = now + TIE;
    assert_eq!(link.on(Event::Arrived(2), later), [Action::Adopt(2), Action::Retire(1)]);
    let at_once = later + seconds(0.1);
    assert_eq!(link.on(Event::Arrived(3), at_once), [Action::Adopt(3), Action::Retire(2)]);
    assert_eq!(link.on(Event::Lost(2), at_once), [], "it was given up already");
    assert_eq!(link.on(Event::Lost(3), at_once), [Action::Dial(address(1))]);
}

#[test]
fn a_connection_that_was_dialled_from_here_is_made_again_where_the_node_has_moved() {
    let (mut link, now) = (link("a"), Instant::now());
    assert_eq!(link.on(Event::Moved(address(2)), now), []);
    assert_eq!(link.on(Event::Wanted, now), [Action::Dial(address(2))]);
    assert_eq!(link.on(Event::Moved(address(3)), now), [Action::Dial(address(3))], "in place of the other");
    link.on(Event::Dialled(1), now);
    assert_eq!(link.on(Event::Moved(address(4)), now), [Action::Dial(address(4))]);
    assert_eq!(link.on(Event::Dialled(2), now), [Action::Adopt(2), Action::Retire(1)]);

    let mut arrived = self::link("a");
    arrived.on(Event::Arrived(1), now);
    assert_eq!(arrived.on(Event::Moved(address(2)), now), [], "QUIC moves it");
}

/// Two links with a network between them: what happens to them, in any order.
struct Pair {
    links: [Link; 2],
    dialling: [bool; 2],
    /// Connections that are up, with the sides that have not heard of them.
    unheard: Vec<(Id, usize, [bool; 2])>,
    next: Id,
    current: [Option<Id>; 2],
    now: Instant,
}

impl Pair {
    fn new() -> Pair {
        Pair {
            links: [link("a"), link("b")],
            dialling: [false; 2],
            unheard: Vec::new(),
            next: 1,
            current: [None; 2],
            now: Instant::now(),
        }
    }

    fn tell(&mut self, side: usize, event: Event) {
        for action in self.links[side].on(event, self.now) {
            match action {
                Action::Dial(_) => self.dialling[side] = true,
                Action::Adopt(id) => self.current[side] = Some(id),
                Action::Retire(_) => {}
            }
        }
    }

    /// The handshake that `side` has begun ends.
    fn connects(&mut self, side: usize) {
        if std::mem::take(&mut self.dialling[side]) {
            self.unheard.push((self.next, side, [true; 2]));
            self.next += 1;
        }
    }

    fn hears(&mut self, side: usize, which: usize) {
        if self.unheard.is_empty() {
            return;
        }
        let place = which % self.unheard.len();
        let (id, dialler, unheard) = &mut self.unheard[place];
        if std::mem::take(&mut unheard[side]) {
            let event = if *dialler == side { Event::Dialled(*id) } else { Event::Arrived(*id) };
            self.tell(side, event);
        }
    }

    fn settle(&mut self) {
        for side in [0, 1] {
            self.connects(side);
        }
        for which in 0..self.unheard.len() {
            for side in [0, 1] {
                self.hears(side, which);
            }
        }
    }
}

proptest! {
    /// However two nodes' first dials meet, both keep the same connection.
    #[test]
    fn both_nodes_keep_the_same_connection(steps in prop::collection::vec((0..3, 0..2usize, 0..4usize), 1..20)) {
        let mut pair = Pair::new();
        for (step, side, which) in steps {
            match step {
                0 => pair.tell(side, Event::Wanted),
                1 => pair.connects(side),
                _ => pair.hears(side, which),
            }
            pair.now += Duration::from_millis(50);
        }
        pair.settle();
        prop_assert_eq!(pair.current[0], pair.current[1]);
    }
}
