//! What becomes of a frame. Pure: frames and the time go in, frames that have arrived come out.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

/// Where a machine's link ends.
pub(super) type Port = u8;

/// What happens to frames on the way from one machine to another. By default they arrive at once.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Line {
    /// Nothing arrives, and nobody is told.
    pub is_cut: bool,
    /// How long a frame is on its way.
    pub delay: Duration,
    /// The share that is lost, from 0 to 1.
    pub lost: f64,
}

impl Line {
    /// Nothing arrives.
    pub const CUT: Self = Self { is_cut: true, delay: Duration::ZERO, lost: 0.0 };

    /// Everything arrives late.
    #[must_use]
    pub fn slow(delay: Duration) -> Self {
        Self { delay, ..Self::default() }
    }

    /// This share is lost, from 0 to 1.
    #[must_use]
    pub fn lossy(lost: f64) -> Self {
        Self { lost, ..Self::default() }
    }
}

/// The hardware address of the machine at a port.
pub(super) fn hardware_address(port: Port) -> [u8; 6] {
    // The second bit: assigned here, and by no maker.
    [2, 0, 0, 0, 0, port]
}

/// All lines between all ports, and what is on its way.
#[derive(Default)]
pub(super) struct Lines {
    ports: BTreeSet<Port>,
    ways: HashMap<(Port, Port), Way>,
    /// By arrival; those of the same moment in the order in which they were sent.
    travelling: BTreeMap<(Instant, u64), (Port, Vec<u8>)>,
    sent: u64,
    /// What is listened for, and on which ways it was heard.
    words: Option<Vec<u8>>,
    heard: BTreeSet<(Port, Port)>,
}

#[derive(Default)]
struct Way {
    line: Line,
    /// No frame overtakes another.
    last: Option<Instant>,
    dice: u64,
}

impl Lines {
    pub(super) fn add(&mut self, port: Port) {
        self.ports.insert(port);
    }

    /// Frames that are on their way already are not touched, unless the line is cut.
    pub(super) fn set(&mut self, from: Port, to: Port, line: Line) {
        self.ways.entry((from, to)).or_default().line = line;
        if line.is_cut {
            let is_from = |frame: &[u8]| frame.get(6..12) == Some(&hardware_address(from)[..]);
            self.travelling.retain(|_, (target, frame)| *target != to || !is_from(frame));
        }
    }

    /// Remembers from now on on which ways these words can be read.
    pub(super) fn listen_for(&mut self, words: &[u8]) {
        self.words = Some(words.to_owned());
        self.heard.clear();
    }

    pub(super) fn was_heard(&self, from: Port, to: Port) -> bool {
        self.heard.contains(&(from, to))
    }

    /// Takes a frame from a port. Machines know each other's hardware addresses, so there is nothing to say to all.
    pub(super) fn send(&mut self, from: Port, frame: &[u8], now: Instant) {
        let Some(to) = self.ports.iter().copied().find(|port| frame.starts_with(&hardware_address(*port))) else {
            return;
        };
        let Some(arrival) = self.ways.entry((from, to)).or_default().send(now) else { return };
        if self.words.as_ref().is_some_and(|words| frame.windows(words.len()).any(|part| part == words)) {
            self.heard.insert((from, to));
        }
        self.sent += 1;
        self.travelling.insert((arrival, self.sent), (to, frame.to_owned()));
    }

    /// The next frame that has arrived, and the port that it leaves by.
    pub(super) fn arrived(&mut self, now: Instant) -> Option<(Port, Vec<u8>)> {
        let next = self.travelling.first_entry()?;
        (next.key().0 <= now).then(|| next.remove())
    }

    /// When the next frame arrives.
    pub(super) fn next_arrival(&self) -> Option<Instant> {
        self.travelling.first_key_value().map(|((arrival, _), _)| *arrival)
    }
}

impl Way {
    /// When a frame arrives that is sent now, if it does.
    fn send(&mut self, now: Instant) -> Option<Instant> {
        if self.line.is_cut || self.throw() < self.line.lost {
            return None;
        }
        let arrival = self.last.map_or(now + self.line.delay, |last| last.max(now + self.line.delay));
        self.last = Some(arrival);
        Some(arrival)
    }

    /// SplitMix64, from 0 to 1: each way loses the same frames in every run.
    fn throw(&mut self) -> f64 {
        self.dice = self.dice.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.dice;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn frame(from: Port, to: Port, said: u8) -> Vec<u8> {
        [&hardware_address(to)[..], &hardware_address(from), &[8, 0, said]].concat()
    }

    fn three() -> Lines {
        let mut lines = Lines::default();
        (1..=3).for_each(|port| lines.add(port));
        lines
    }

    fn arrived(lines: &mut Lines, now: Instant) -> Vec<(Port, u8)> {
        std::iter::from_fn(|| lines.arrived(now)).map(|(port, frame)| (port, frame[14])).collect()
    }

    #[test]
    fn a_frame_arrives_where_it_is_meant_to_and_nowhere_else() {
        let (mut lines, now) = (three(), Instant::now());
        lines.send(1, &frame(1, 2, 7), now);
        lines.send(1, &frame(1, 9, 8), now);
        lines.send(1, &[0xFF; 60], now);
        assert_eq!(arrived(&mut lines, now), [(2, 7)]);
    }

    #[test]
    fn a_cut_is_one_way_and_takes_what_is_on_its_way() {
        let (mut lines, now) = (three(), Instant::now());
        lines.set(1, 2, Line::slow(MS));
        lines.send(1, &frame(1, 2, 1), now);
        lines.send(3, &frame(3, 2, 2), now);
        lines.set(1, 2, Line::CUT);
        lines.send(1, &frame(1, 2, 3), now);
        lines.send(2, &frame(2, 1, 4), now);
        assert_eq!(arrived(&mut lines, now + MS), [(2, 2), (1, 4)]);
        lines.set(1, 2, Line::default());
        lines.send(1, &frame(1, 2, 5), now + MS);
        assert_eq!(arrived(&mut lines, now + MS), [(2, 5)]);
    }

    #[test]
    fn a_frame_is_late_and_overtakes_none() {
        let (mut lines, now) = (three(), Instant::now());
        lines.set(1, 2, Line::slow(10 * MS));
        lines.send(1, &frame(1, 2, 1), now);
        lines.set(1, 2, Line::default());
        lines.send(1, &frame(1, 2, 2), now);
        assert_eq!(arrived(&mut lines, now + 9 * MS), []);
        assert_eq!(lines.next_arrival(), Some(now + 10 * MS));
        assert_eq!(arrived(&mut lines, now + 10 * MS), [(2, 1), (2, 2)]);
        assert_eq!(lines.next_arrival(), None);
    }

    #[test]
    fn words_are_heard_on_their_way_only() {
        let (mut lines, now) = (three(), Instant::now());
        lines.send(2, &frame(2, 1, 7), now);
        lines.listen_for(&[8, 0, 7]);
        lines.send(1, &frame(1, 2, 7), now);
        lines.send(2, &frame(2, 3, 8), now);
        assert!(lines.was_heard(1, 2) && !lines.was_heard(2, 1) && !lines.was_heard(2, 3));
    }

    #[test]
    fn the_share_is_lost_and_the_same_frames_each_time() {
        let now = Instant::now();
        let survivors = || {
            let mut lines = three();
            lines.set(1, 2, Line::lossy(0.3));
            (0..=255).cycle().take(10_000).for_each(|said| lines.send(1, &frame(1, 2, said), now));
            arrived(&mut lines, now)
        };
        let first = survivors();
        assert!((6_800..7_200).contains(&first.len()), "{}", first.len());
        assert!(first == survivors(), "another run loses others");
    }
}
