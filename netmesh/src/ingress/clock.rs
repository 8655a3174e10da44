//! How long a client's connection may take over what it does. Pure but for the lock: every method is given the time.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// From a connection's begin, or the first byte of a later request, to the end of the request's head.
    pub head: Duration,
    /// From a request's head to its answer's, the request's body included.
    pub request: Duration,
    /// For how long nothing may be read or written on a connection.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts { head: Duration::from_secs(10), request: Duration::from_secs(60), idle: Duration::from_secs(180) }
    }
}

/// Why a connection has had enough time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expired {
    /// A head was begun and did not end. Whoever does that slowly wants to hold the connection.
    Head,
    /// Nothing moved.
    Idle,
}

/// What has happened on one connection, as far as time is concerned.
#[derive(Debug)]
pub(crate) struct Clock {
    timeouts: Timeouts,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// When bytes were last read or written.
    moved: Instant,
    /// When the head began that is awaited now.
    head_since: Option<Instant>,
    /// Requests whose answers have not ended.
    under_way: usize,
    /// Heads come between other frames: only silence can be told.
    is_http2: bool,
}

impl Clock {
    pub(crate) fn new(timeouts: Timeouts, now: Instant) -> Clock {
        let state = State { moved: now, head_since: Some(now), under_way: 0, is_http2: false };
        Clock { timeouts, state: Mutex::new(state) }
    }

    pub(crate) fn read(&self, now: Instant) {
        let mut state = self.state.lock();
        state.moved = now;
        if state.under_way == 0 && !state.is_http2 {
            state.head_since.get_or_insert(now);
        }
    }

    pub(crate) fn written(&self, now: Instant) {
        self.state.lock().moved = now;
    }

    /// A request's head is there.
    pub(crate) fn begun(&self, is_http2: bool) {
        let mut state = self.state.lock();
        state.under_way += 1;
        state.head_since = None;
        state.is_http2 |= is_http2;
    }

    /// A request's answer has ended.
    pub(crate) fn ended(&self, now: Instant) {
        let mut state = self.state.lock();
        state.under_way = state.under_way.saturating_sub(1);
        state.moved = now;
    }

    /// When the connection will have had enough time, if nothing more happens, and why.
    pub(crate) fn deadline(&self) -> (Instant, Expired) {
        let state = self.state.lock();
        let idle = (state.moved + self.timeouts.idle, Expired::Idle);
        let head = state.head_since.map(|since| (since + self.timeouts.head, Expired::Head));
        head.filter(|head| head.0 <= idle.0).unwrap_or(idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: u64 = 10;
    const IDLE: u64 = 180;

    struct Scene {
        begin: Instant,
        clock: Clock,
    }

    impl Scene {
        fn new() -> Scene {
            let begin = Instant::now();
            Scene { begin, clock: Clock::new(Timeouts::default(), begin) }
        }

        fn at(&self, second: u64) -> Instant {
            self.begin + Duration::from_secs(second)
        }

        fn deadline(&self) -> (u64, Expired) {
            let (at, why) = self.clock.deadline();
            (at.duration_since(self.begin).as_secs(), why)
        }
    }

    #[test]
    fn the_first_head_is_awaited_from_the_begin_and_bytes_one_by_one_do_not_help() {
        let scene = Scene::new();
        assert_eq!(scene.deadline(), (HEAD, Expired::Head));
        scene.clock.read(scene.at(3));
        scene.clock.read(scene.at(9));
        assert_eq!(scene.deadline(), (HEAD, Expired::Head));
    }

    #[test]
    fn a_connection_may_be_kept_idle_and_its_next_head_has_its_own_time() {
        let scene = Scene::new();
        scene.clock.begun(false);
        scene.clock.ended(scene.at(5));
        assert_eq!(scene.deadline(), (5 + IDLE, Expired::Idle));
        scene.clock.read(scene.at(100));
        scene.clock.read(scene.at(105));
        assert_eq!(scene.deadline(), (100 + HEAD, Expired::Head));
        scene.clock.begun(false);
        assert_eq!(scene.deadline(), (105 + IDLE, Expired::Idle));
    }

    #[test]
    fn while_a_request_is_under_way_only_silence_ends_it() {
        let scene = Scene::new();
        scene.clock.begun(false);
        scene.clock.read(scene.at(50));
        assert_eq!(scene.deadline(), (50 + IDLE, Expired::Idle));
        scene.clock.written(scene.at(60));
        assert_eq!(scene.deadline(), (60 + IDLE, Expired::Idle));
    }

    #[test]
    fn frames_of_http2_are_no_heads() {
        let scene = Scene::new();
        scene.clock.begun(true);
        scene.clock.ended(scene.at(1));
        scene.clock.read(scene.at(20));
        assert_eq!(scene.deadline(), (20 + IDLE, Expired::Idle));
    }
}
