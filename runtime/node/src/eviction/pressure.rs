use std::time::Duration;

use jiff::Timestamp;

use super::thresholds::{Condition, Shortage};
use crate::clock::after;

/// What of the node is under pressure now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Pressure {
    pub(crate) memory: bool,
    pub(crate) disk: bool,
    pub(crate) pid: bool,
}

impl Pressure {
    pub(crate) fn has(self, condition: Condition) -> bool {
        match condition {
            Condition::Memory => self.memory,
            Condition::Disk => self.disk,
            Condition::Pid => self.pid,
        }
    }

    /// The conditions that are true.
    pub(crate) fn conditions(self) -> impl Iterator<Item = Condition> {
        Condition::ALL.into_iter().filter(move |condition| self.has(*condition))
    }
}

/// Keeps a condition true for a while after the last shortage, so that it does not flap. Pure.
#[derive(Debug, Clone)]
pub(crate) struct Hysteresis {
    period: Duration,
    /// When each of [`Condition::ALL`] was last seen.
    seen: [Option<Timestamp>; 3],
}

impl Hysteresis {
    pub(crate) fn new(period: Duration) -> Hysteresis {
        Hysteresis { period, seen: [None; 3] }
    }

    /// Takes in what is short now, and answers what the node is to say.
    pub(crate) fn look(&mut self, shortages: &[Shortage], now: Timestamp) -> Pressure {
        for (condition, seen) in Condition::ALL.into_iter().zip(&mut self.seen) {
            if shortages.iter().any(|shortage| shortage.signal.condition() == condition) {
                *seen = Some(now);
            }
        }
        let period = self.period;
        let holds = |seen: Option<Timestamp>| seen.is_some_and(|seen| seen == now || after(seen, period) > now);
        let [memory, disk, pid] = self.seen.map(holds);
        Pressure { memory, disk, pid }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eviction::thresholds::Signal;

    #[test]
    fn pressure_stays_for_a_while() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let short = [Shortage { signal: Signal::NodefsInodesFree, available: 1, threshold: 2 }];
        let mut hysteresis = Hysteresis::new(Duration::from_secs(300));
        let disk = Pressure { disk: true, ..Pressure::default() };
        let steps: [(i64, &[Shortage], Pressure); 6] = [
            (0, &[], Pressure::default()),
            (10, &short, disk),
            (20, &[], disk),
            (200, &short, disk),
            (499, &[], disk),
            (500, &[], Pressure::default()),
        ];
        for (second, shortages, expected) in steps {
            assert_eq!(hysteresis.look(shortages, at(second)), expected, "{second}");
        }
    }
}
