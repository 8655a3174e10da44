//! When the node is short of something: thresholds in the kubelet's notation, `memory.available<100Mi,nodefs.available<10%`.

use std::fmt;
use std::str::FromStr;

use carob_resources::quantity::Quantity;

use crate::machine::{Level, MachineUse};

/// Something that the node may run short of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Signal {
    MemoryAvailable,
    NodefsAvailable,
    NodefsInodesFree,
    /// Images are kept on the node's file system: this is the same disk as the node's, with another threshold.
    ImagefsAvailable,
    ImagefsInodesFree,
    PidAvailable,
}

/// A condition of the Node that a shortage makes true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Condition {
    Memory,
    Disk,
    Pid,
}

impl Condition {
    pub(crate) const ALL: [Condition; 3] = [Condition::Memory, Condition::Disk, Condition::Pid];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Condition::Memory => "MemoryPressure",
            Condition::Disk => "DiskPressure",
            Condition::Pid => "PIDPressure",
        }
    }
}

impl Signal {
    const ALL: [Signal; 6] = [
        Signal::MemoryAvailable,
        Signal::NodefsAvailable,
        Signal::NodefsInodesFree,
        Signal::ImagefsAvailable,
        Signal::ImagefsInodesFree,
        Signal::PidAvailable,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Signal::MemoryAvailable => "memory.available",
            Signal::NodefsAvailable => "nodefs.available",
            Signal::NodefsInodesFree => "nodefs.inodesFree",
            Signal::ImagefsAvailable => "imagefs.available",
            Signal::ImagefsInodesFree => "imagefs.inodesFree",
            Signal::PidAvailable => "pid.available",
        }
    }

    pub(crate) fn condition(self) -> Condition {
        match self {
            Signal::MemoryAvailable => Condition::Memory,
            Signal::PidAvailable => Condition::Pid,
            _ => Condition::Disk,
        }
    }

    /// The resource that is short, as messages call it.
    pub(crate) fn resource(self) -> &'static str {
        match self {
            Signal::MemoryAvailable => "memory",
            Signal::NodefsAvailable | Signal::ImagefsAvailable => "ephemeral-storage",
            Signal::NodefsInodesFree | Signal::ImagefsInodesFree => "inodes",
            Signal::PidAvailable => "pids",
        }
    }

    pub(crate) fn is_bytes(self) -> bool {
        matches!(self, Signal::MemoryAvailable | Signal::NodefsAvailable | Signal::ImagefsAvailable)
    }

    fn level(self, machine: &MachineUse) -> Option<Level> {
        match self {
            Signal::MemoryAvailable => machine.memory,
            Signal::NodefsAvailable | Signal::ImagefsAvailable => machine.disk.map(|disk| disk.bytes),
            // Some file systems have no fixed number of them, and say 0.
            Signal::NodefsInodesFree | Signal::ImagefsInodesFree => {
                machine.disk.map(|disk| disk.inodes).filter(|inodes| inodes.capacity > 0)
            }
            Signal::PidAvailable => machine.pids,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Amount {
    Units(u64),
    Percent(f64),
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Threshold {
    signal: Signal,
    amount: Amount,
}

/// How little may be left of what before Pods are evicted.
#[derive(Debug, Clone, PartialEq)]
pub struct Thresholds(Vec<Threshold>);

/// A text that is no list of thresholds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no eviction threshold: {why}; write for instance memory.available<100Mi,nodefs.available<10%")]
pub struct ThresholdsError {
    text: String,
    why: &'static str,
}

/// Less is left than should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shortage {
    pub(crate) signal: Signal,
    pub(crate) available: u64,
    pub(crate) threshold: u64,
}

impl Thresholds {
    /// Everything that is short now. What cannot be read is taken to be plenty.
    pub(crate) fn met(&self, machine: &MachineUse) -> Vec<Shortage> {
        let met = |threshold: &Threshold| {
            let level = threshold.signal.level(machine)?;
            let least = threshold.amount.of(level.capacity);
            (level.available < least).then_some(Shortage {
                signal: threshold.signal,
                available: level.available,
                threshold: least,
            })
        };
        self.0.iter().filter_map(met).collect()
    }

    /// What is kept back of a capacity for the node itself.
    pub(crate) fn reserve(&self, signal: Signal, capacity: u64) -> u64 {
        let amounts = self.0.iter().filter(|threshold| threshold.signal == signal);
        amounts.map(|threshold| threshold.amount.of(capacity)).max().unwrap_or(0)
    }
}

impl Amount {
    fn of(self, capacity: u64) -> u64 {
        match self {
            Amount::Units(units) => units,
            Amount::Percent(percent) => (capacity as f64 * percent / 100.0) as u64,
        }
    }
}

/// The kubelet's defaults, but for those of a file system for images: here that is the node's.
impl Default for Thresholds {
    fn default() -> Self {
        use Amount::{Percent, Units};
        let of = |(signal, amount)| Threshold { signal, amount };
        let defaults = [
            (Signal::MemoryAvailable, Units(100 << 20)),
            (Signal::NodefsAvailable, Percent(10.0)),
            (Signal::NodefsInodesFree, Percent(5.0)),
        ];
        Thresholds(defaults.map(of).to_vec())
    }
}

impl FromStr for Thresholds {
    type Err = ThresholdsError;

    fn from_str(text: &str) -> Result<Self, ThresholdsError> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(threshold).collect::<Result<_, _>>().map(Thresholds)
    }
}

fn threshold(text: &str) -> Result<Threshold, ThresholdsError> {
    let refuse = |why| ThresholdsError { text: text.to_owned(), why };
    let (name, amount) = text.split_once('<').ok_or_else(|| refuse("there is no <"))?;
    let signal = Signal::ALL.into_iter().find(|signal| signal.name() == name);
    let signal = signal.ok_or_else(|| refuse("there is no such signal"))?;
    let amount = match amount.strip_suffix('%') {
        Some(percent) => {
            let percent = percent.parse().ok().filter(|percent| (0.0..=100.0).contains(percent));
            Amount::Percent(percent.ok_or_else(|| refuse("its percentage is not between 0 and 100"))?)
        }
        None => {
            let quantity = Quantity::parse(amount).map_err(|_| refuse("its amount is no quantity"))?;
            Amount::Units(quantity.units().try_into().map_err(|_| refuse("its amount is negative"))?)
        }
    };
    Ok(Threshold { signal, amount })
}

impl fmt::Display for Thresholds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, Threshold { signal, amount }) in self.0.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            match amount {
                Amount::Percent(percent) => write!(f, "{comma}{}<{percent}%", signal.name())?,
                Amount::Units(units) => write!(f, "{comma}{}<{units}", signal.name())?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Disk;

    fn machine(memory: u64, disk: u64, inodes: u64) -> MachineUse {
        let level = |available| Level { capacity: 1000 << 20, available };
        MachineUse {
            memory: Some(level(memory << 20)),
            disk: Some(Disk { bytes: level(disk << 20), inodes: Level { capacity: 1000, available: inodes } }),
            pids: Some(Level { capacity: 100, available: 7 }),
            cpu: None,
        }
    }

    #[test]
    fn what_is_short_is_found() {
        use Signal::{MemoryAvailable, NodefsAvailable, NodefsInodesFree};
        let cases: [(MachineUse, &[Signal]); 6] = [
            (machine(500, 500, 500), &[]),
            (machine(100, 100, 50), &[]),
            (machine(99, 500, 500), &[MemoryAvailable]),
            (machine(500, 99, 500), &[NodefsAvailable]),
            (machine(500, 500, 49), &[NodefsInodesFree]),
            (machine(99, 99, 49), &[MemoryAvailable, NodefsAvailable, NodefsInodesFree]),
        ];
        for (machine, expected) in cases {
            let met: Vec<Signal> = Thresholds::default().met(&machine).into_iter().map(|met| met.signal).collect();
            assert_eq!(met, expected, "{machine:?}");
        }
        assert!(Thresholds::default().met(&MachineUse::default()).is_empty(), "what is unknown is plenty");
        let pids: Thresholds = "pid.available<10".parse().unwrap();
        let shortage = Shortage { signal: Signal::PidAvailable, available: 7, threshold: 10 };
        assert_eq!(pids.met(&machine(500, 500, 500)), [shortage]);
    }

    #[test]
    fn thresholds_are_read_and_written() {
        let text = "memory.available<104857600,nodefs.available<7.5%";
        let read: Thresholds = " memory.available<100Mi , nodefs.available<7.5%,".parse().unwrap();
        assert_eq!(read.to_string(), text);
        assert_eq!(read.reserve(Signal::NodefsAvailable, 1000), 75);
        assert_eq!(read.reserve(Signal::PidAvailable, 1000), 0);
        for wrong in ["memory.available", "memory<1", "memory.available<x", "memory.available<101%", "pid.available<-1"]
        {
            assert!(wrong.parse::<Thresholds>().unwrap_err().to_string().contains(wrong), "{wrong}");
        }
    }
}
