//! Who has a file locked, as far as the system tells.

use std::{fs, path::Path};

/// A description of the process that holds a lock on `path`.
pub(super) fn of(path: &Path) -> String {
    match process(path) {
        Some(pid) if pid == std::process::id() => "this process already".into(),
        Some(pid) => format!("process {pid}{}", name(pid)),
        None => "another process".into(),
    }
}

/// Linux lists all locks; elsewhere nobody is found.
#[cfg(unix)]
fn process(path: &Path) -> Option<u32> {
    let inode = std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).ok()?);
    let locks = fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| holder_in(line, inode))
}

#[cfg(not(unix))]
fn process(_: &Path) -> Option<u32> {
    None
}

/// A line reads `1: FLOCK  ADVISORY  WRITE 5001 fd:01:1234 0 EOF`; an open file description's lock has -1 for a process.
#[cfg(unix)]
fn holder_in(line: &str, inode: u64) -> Option<u32> {
    let mut words = line.split_whitespace().skip(4);
    let pid = words.next()?.parse().ok()?;
    let file = words.next()?.rsplit(':').next()?;
    (file.parse() == Ok(inode)).then_some(pid)
}

fn name(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    if name.trim().is_empty() { String::new() } else { format!(" ({})", name.trim()) }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_an_inode_is_found_among_the_locks() {
        for (line, found) in [
            ("1: FLOCK  ADVISORY  WRITE 5001 fd:01:1234 0 EOF", Some(5001)),
            ("2: FLOCK  ADVISORY  WRITE 5001 fd:01:99 0 EOF", None),
            ("3: OFDLCK ADVISORY  WRITE -1 fd:01:1234 0 EOF", None),
            ("4: -> FLOCK  ADVISORY  WRITE 7 fd:01:1234 0 EOF", None),
            ("", None),
        ] {
            assert_eq!(holder_in(line, 1234), found, "{line}");
        }
    }
}
