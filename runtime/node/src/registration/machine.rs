//! What the machine says of itself.

use std::fs;
use std::path::Path;

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

/// What of it is under pressure now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Pressure {
    pub(crate) memory: bool,
    pub(crate) disk: bool,
}

/// Below this much available memory the node is under pressure: the kubelet's own threshold.
pub(crate) const MEMORY_RESERVE: u64 = 100 * 1024 * 1024;

impl Machine {
    /// Reads it from /proc, /etc and the file system that holds `data`.
    pub(crate) fn read(data: &Path) -> Machine {
        let text = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
        Machine {
            cpus: std::thread::available_parallelism().map_or(1, |cpus| cpus.get() as u64),
            memory_bytes: memory("MemTotal").unwrap_or(0),
            disk_bytes: disk(data).map_or(0, |disk| disk.total),
            architecture: architecture(),
            kernel: text("/proc/sys/kernel/osrelease"),
            os_image: os_image(&text("/etc/os-release")),
            machine_id: text("/etc/machine-id"),
            boot_id: text("/proc/sys/kernel/random/boot_id"),
        }
    }
}

impl Pressure {
    /// What is short now; what cannot be read is taken to be plenty.
    pub(crate) fn read(data: &Path) -> Pressure {
        Pressure {
            memory: memory("MemAvailable").is_some_and(|bytes| bytes < MEMORY_RESERVE),
            disk: disk(data).is_some_and(|disk| disk.free < disk.total / 10),
        }
    }
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

fn memory(name: &str) -> Option<u64> {
    field(&fs::read_to_string("/proc/meminfo").ok()?, name)
}

/// A line such as `MemTotal:  1024 kB`, in bytes.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

struct Disk {
    total: u64,
    free: u64,
}

fn disk(path: &Path) -> Option<Disk> {
    // The folder may not be there yet; the file system is that of whatever is above it.
    let stat = path.ancestors().find_map(|path| rustix::fs::statvfs(path).ok())?;
    Some(Disk { total: stat.f_blocks * stat.f_frsize, free: stat.f_bavail * stat.f_frsize })
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
