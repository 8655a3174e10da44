//! What of the machine is in use now.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::{Cgroup, meminfo, memory_capacity};

/// The kernel's unit of time in /proc/stat: a hundredth of a second on every architecture that Linux has.
const USER_HZ: u64 = 100;

/// How much there is of something, and how much of it is left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Level {
    pub(crate) capacity: u64,
    pub(crate) available: u64,
}

impl Level {
    pub(crate) fn used(&self) -> u64 {
        self.capacity.saturating_sub(self.available)
    }
}

/// A file system.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Disk {
    pub(crate) bytes: Level,
    pub(crate) inodes: Level,
}

/// The machine at one moment. What cannot be read is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct MachineUse {
    pub(crate) memory: Option<Level>,
    pub(crate) disk: Option<Disk>,
    pub(crate) pids: Option<Level>,
    /// CPU time of everything since the machine's start, or since that of the limited control group.
    pub(crate) cpu: Option<Duration>,
}

impl MachineUse {
    /// Reads /proc, the control group, and the file system that holds `data`.
    pub(crate) fn read(data: &Path) -> MachineUse {
        let cgroup = Cgroup::own();
        MachineUse { memory: memory(&cgroup), disk: Disk::read(data), pids: pids(&cgroup), cpu: cpu(&cgroup) }
    }
}

impl Disk {
    /// The file system that holds `path`, or what is above it: the folder may not be there yet.
    pub(crate) fn read(path: &Path) -> Option<Disk> {
        let stat = path.ancestors().find_map(|path| rustix::fs::statvfs(path).ok())?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        Some(Disk {
            bytes: Level { capacity: bytes(stat.f_blocks), available: bytes(stat.f_bavail) },
            inodes: Level { capacity: stat.f_files, available: stat.f_favail },
        })
    }
}

/// What is left for us: the machine's, or the control group's if that is less.
fn memory(cgroup: &Cgroup) -> Option<Level> {
    let available = meminfo("MemAvailable")?;
    let left = cgroup.memory().map_or(u64::MAX, |group| group.limit.saturating_sub(group.working_set));
    Some(Level { capacity: memory_capacity(cgroup), available: available.min(left) })
}

fn pids(cgroup: &Cgroup) -> Option<Level> {
    let most: u64 = fs::read_to_string("/proc/sys/kernel/pid_max").ok()?.trim().parse().ok()?;
    let running = u64::from(rustix::system::sysinfo().procs);
    let machine = Level { capacity: most, available: most.saturating_sub(running) };
    let group = cgroup.pids().map(|(most, now)| Level { capacity: most, available: most.saturating_sub(now) });
    Some(group.filter(|group| group.available < machine.available).unwrap_or(machine))
}

fn cpu(cgroup: &Cgroup) -> Option<Duration> {
    let machine = || busy(&fs::read_to_string("/proc/stat").ok()?);
    cgroup.cpu_micros().map(Duration::from_micros).or_else(machine)
}

/// The first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal, guest, guest_nice. Guests' time is
/// in the user's already.
fn busy(stat: &str) -> Option<Duration> {
    let fields = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = fields.split_whitespace().map_while(|field| field.parse().ok()).collect();
    let busy =
        ticks.iter().take(8).enumerate().filter(|(place, _)| !matches!(place, 3 | 4 | 7)).map(|(_, ticks)| ticks);
    Some(Duration::from_millis(busy.sum::<u64>() * (1000 / USER_HZ)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_can_be_read() {
        let now = MachineUse::read(Path::new("/not/there/yet"));
        let memory = now.memory.unwrap();
        assert!(memory.available > 0 && memory.available <= memory.capacity, "{memory:?}");
        let disk = now.disk.unwrap();
        assert!(disk.bytes.available <= disk.bytes.capacity && disk.bytes.capacity > 0, "{disk:?}");
        assert!(now.pids.unwrap().available > 0);
        assert!(now.cpu.unwrap() > Duration::ZERO);
    }

    #[test]
    fn idling_and_waiting_is_not_work() {
        assert_eq!(busy("cpu  100 10 50 9999 500 5 5 77 3 0\ncpu0 1 1\n"), Some(Duration::from_millis(1700)));
        assert_eq!(busy("intr 1\n"), None);
    }
}
