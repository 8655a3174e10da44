//! The control group that this process runs in, as far as it is limited there. Both versions of control groups are read.

use std::fs;
use std::path::{Path, PathBuf};

/// Where control groups are mounted.
const ROOT: &str = "/sys/fs/cgroup";
/// Version 1 says this, or about this, where there is no limit.
const UNLIMITED: u64 = 1 << 60;

/// The folders of this process's control groups, its own first, up to the root of what is visible of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Cgroup {
    unified: Vec<PathBuf>,
    /// Version 1, of the memory controller.
    memory: Vec<PathBuf>,
}

/// A limit on memory, and how far it is used, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MemoryGroup {
    pub(crate) limit: u64,
    /// Without what could be dropped at once, which is what the kubelet counts.
    pub(crate) working_set: u64,
}

impl Cgroup {
    pub(crate) fn own() -> Cgroup {
        Cgroup::parse(&fs::read_to_string("/proc/self/cgroup").unwrap_or_default(), Path::new(ROOT))
    }

    /// From the lines of /proc/PID/cgroup: `0::/path` is version 2, `N:memory:/path` version 1.
    fn parse(text: &str, root: &Path) -> Cgroup {
        let mut cgroup = Cgroup::default();
        for line in text.lines() {
            let mut parts = line.splitn(3, ':');
            match (parts.next(), parts.next(), parts.next()) {
                (Some("0"), Some(""), Some(path)) => cgroup.unified = folders(root, path),
                (_, Some("memory"), Some(path)) => cgroup.memory = folders(&root.join("memory"), path),
                _ => {}
            }
        }
        cgroup
    }

    /// The narrowest of the groups that limit memory.
    pub(crate) fn memory(&self) -> Option<MemoryGroup> {
        let unified = self.unified.iter().filter_map(|folder| {
            let limit = number(&folder.join("memory.max"))?;
            Some(MemoryGroup { limit, working_set: working_set(folder, "memory.current", "inactive_file") })
        });
        let first = self.memory.iter().filter_map(|folder| {
            let limit = number(&folder.join("memory.limit_in_bytes")).filter(|limit| *limit < UNLIMITED)?;
            let working_set = working_set(folder, "memory.usage_in_bytes", "total_inactive_file");
            Some(MemoryGroup { limit, working_set })
        });
        unified.chain(first).min_by_key(|group| group.limit.saturating_sub(group.working_set))
    }

    /// CPU time of the group whose processors are limited, in microseconds, if one is.
    pub(crate) fn cpu_micros(&self) -> Option<u64> {
        let limited = self.unified.iter().find(|folder| {
            fs::read_to_string(folder.join("cpu.max")).is_ok_and(|text| !text.trim_start().starts_with("max"))
        })?;
        keyed(&limited.join("cpu.stat"), "usage_usec")
    }

    /// The limit on processes, and how many there are, of the narrowest group that has one.
    pub(crate) fn pids(&self) -> Option<(u64, u64)> {
        let groups = self
            .unified
            .iter()
            .filter_map(|folder| Some((number(&folder.join("pids.max"))?, number(&folder.join("pids.current"))?)));
        groups.min_by_key(|(most, now)| most.saturating_sub(*now))
    }
}

/// A group's folder and those above it. A path that is not visible here (another namespace's) leaves the root.
fn folders(root: &Path, path: &str) -> Vec<PathBuf> {
    let own = root.join(path.trim_start_matches('/'));
    own.ancestors().take_while(|folder| folder.starts_with(root)).map(Path::to_owned).collect()
}

fn working_set(folder: &Path, usage: &str, inactive: &str) -> u64 {
    let usage = number(&folder.join(usage)).unwrap_or(0);
    usage.saturating_sub(keyed(&folder.join("memory.stat"), inactive).unwrap_or(0))
}

/// The number in a file; `None` for `max`, and where there is no such file.
fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The number behind a key, one of which stands in each line.
fn keyed(path: &Path, key: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    #[test]
    fn the_narrowest_limit_on_the_way_up_counts() {
        let root = tempfile::tempdir().unwrap();
        write(
            root.path(),
            &[
                ("a/memory.max", "1000\n"),
                ("a/memory.current", "700\n"),
                ("a/memory.stat", "anon 1\ninactive_file 100\n"),
                ("a/b/memory.max", "max\n"),
                ("a/b/pids.max", "50\n"),
                ("a/b/pids.current", "7\n"),
                ("a/b/cpu.max", "max 100000\n"),
                ("a/cpu.max", "50000 100000\n"),
                ("a/cpu.stat", "usage_usec 1234\nuser_usec 1000\n"),
            ],
        );
        let cgroup = Cgroup::parse("0::/a/b\n", root.path());
        assert_eq!(cgroup.memory(), Some(MemoryGroup { limit: 1000, working_set: 600 }));
        assert_eq!((cgroup.pids(), cgroup.cpu_micros()), (Some((50, 7)), Some(1234)));
    }

    #[test]
    fn version_1_has_a_folder_for_each_controller() {
        let root = tempfile::tempdir().unwrap();
        let usage = [("memory/x/memory.usage_in_bytes", "900"), ("memory/x/memory.stat", "total_inactive_file 200\n")];
        write(root.path(), &usage);
        write(root.path(), &[("memory/x/memory.limit_in_bytes", "9223372036854771712")]);
        let cgroup = Cgroup::parse("9:memory:/x\n8:cpu,cpuacct:/x\n", root.path());
        assert_eq!(cgroup.memory(), None);
        write(root.path(), &[("memory/x/memory.limit_in_bytes", "2000")]);
        assert_eq!(cgroup.memory(), Some(MemoryGroup { limit: 2000, working_set: 700 }));
    }

    #[test]
    fn nothing_readable_is_no_limit() {
        let cgroup = Cgroup::parse("", Path::new("/nowhere"));
        assert_eq!((cgroup.memory(), cgroup.pids(), cgroup.cpu_micros()), (None, None, None));
    }
}
