//! Folders of tests, whose names say whose they are: what a dead test has left behind goes when the next one begins.

use std::env::temp_dir;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;

use rustix::process::{Pid, Signal, kill_process};

use crate::room::assert_room;

const PREFIX: &str = "carob-test-";

/// A new folder of this test process.
///
/// # Panics
/// If none can be made, or there is no room for what would be in it.
pub(crate) fn create() -> PathBuf {
    static SWEEP: Once = Once::new();
    SWEEP.call_once(sweep);
    assert_room(&temp_dir());
    let own = std::process::id();
    let began = began(own).expect("the running process has begun");
    let prefix = format!("{PREFIX}{own}-{began}-");
    tempfile::Builder::new().prefix(&prefix).tempdir().expect("a temporary folder").keep()
}

/// Ends the processes and removes the folders whose test has ended without doing so.
fn sweep() {
    let entries = fs::read_dir(temp_dir()).into_iter().flatten().flatten();
    for folder in entries.map(|entry| entry.path()).filter(|folder| is_left_over(folder)) {
        processes_with(&folder).into_iter().for_each(kill);
        // Another test may be at it too.
        let _ = fs::remove_dir_all(&folder);
    }
}

/// Whether the folder's owner does not live any more; a number may be another process's by now, a moment is not.
fn is_left_over(folder: &Path) -> bool {
    let owner = || {
        let (pid, rest) = folder.file_name()?.to_str()?.strip_prefix(PREFIX)?.split_once('-')?;
        Some((pid.parse().ok()?, rest.split_once('-')?.0.parse().ok()?))
    };
    owner().is_some_and(|(pid, moment): (u32, u64)| began(pid) != Some(moment))
}

/// When a process has begun, in the kernel's ticks: field 22 of `/proc/PID/stat`.
fn began(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after_name = stat.rsplit_once(')')?.1;
    after_name.split_whitespace().nth(19)?.parse().ok()
}

/// Processes that have the folder among their arguments.
fn processes_with(folder: &Path) -> Vec<Pid> {
    let folder = folder.to_string_lossy();
    let mentions = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&*folder)
    };
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(mentions).filter_map(Pid::from_raw).collect()
}

fn kill(process: Pid) {
    // It may have ended by itself.
    let _ = kill_process(process, Signal::KILL);
}
