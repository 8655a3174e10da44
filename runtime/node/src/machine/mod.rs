//! What the machine says of itself: what it is (once), and what of it is in use (now).
//!
//! Where the process runs in a control group with limits, those are the machine.

mod cgroup;
mod usage;

use std::fs;
use std::path::Path;

pub(crate) use self::cgroup::Cgroup;
pub(crate) use self::usage::{Disk, Level, MachineUse};

/// The machine's capacity and names; read once, since they do not change while a process runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Machine {
    pub(crate) cpus: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) disk_bytes: u64,
    pub(crate) architecture: String,
    pub(crate) kernel: String,
    pub(crate) os_image: String,
    pub(crate) machine_id: String,
    pub(crate) boot_id: String,
}

impl Machine {
    /// Reads it from /proc, /etc, the control group and the file system that holds `data`.
    pub(crate) fn read(data: &Path) -> Machine {
        let text = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
        Machine {
            // This knows of affinity and of the control group's quota.
            cpus: std::thread::available_parallelism().map_or(1, |cpus| cpus.get() as u64),
            memory_bytes: machine_memory(),
            disk_bytes: Disk::read(data).map_or(0, |disk| disk.bytes.capacity),
            architecture: architecture(),
            kernel: text("/proc/sys/kernel/osrelease"),
            os_image: os_image(&text("/etc/os-release")),
            machine_id: text("/etc/machine-id"),
            boot_id: text("/proc/sys/kernel/random/boot_id"),
        }
    }
}

/// Bytes of memory that this process may have: the machine's, or its control group's if that is less.
pub fn machine_memory() -> u64 {
    memory_capacity(&Cgroup::own())
}

fn memory_capacity(cgroup: &Cgroup) -> u64 {
    let machine = meminfo("MemTotal").unwrap_or(0);
    cgroup.memory().map_or(machine, |group| machine.min(group.limit))
}

/// Memory that this process holds, in bytes.
pub(crate) fn resident_bytes() -> u64 {
    field(&fs::read_to_string("/proc/self/status").unwrap_or_default(), "VmRSS").unwrap_or(0)
}

/// Go's name for the processor, as clients expect it.
fn architecture() -> String {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
    .to_owned()
}

/// A line of /proc/meminfo, in bytes.
fn meminfo(name: &str) -> Option<u64> {
    field(&fs::read_to_string("/proc/meminfo").ok()?, name)
}

/// A line such as `MemTotal:  1024 kB`, in bytes.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

fn os_image(os_release: &str) -> String {
    let name = os_release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(|| "Linux".to_owned(), |name| name.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_something_to_offer() {
        let machine = Machine::read(Path::new("/"));
        assert!(machine.cpus > 0 && machine.memory_bytes > 0 && machine.disk_bytes > 0);
        assert!(!machine.kernel.is_empty());
        assert!(resident_bytes() > 0);
    }

    #[test]
    fn fields_are_read_whole() {
        let text = "MemTotalX: 1 kB\nMemTotal:       2048 kB\n";
        assert_eq!(field(text, "MemTotal"), Some(2048 * 1024));
        assert_eq!(field(text, "MemFree"), None);
    }
}
