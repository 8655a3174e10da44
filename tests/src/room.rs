//! Whether there is room on the machine's disk: without, nodes take no Pods, and tests wait in vain for them.

use std::path::Path;

/// How much of the disk has to be left, in percent: twice what nodes of tests evict below.
const LEAST: u64 = 2;

/// Fails, once and for all to see, where nodes whose files are in `folder` would soon be short of disk.
///
/// # Panics
/// If too little is left.
pub(crate) fn assert_room(folder: &Path) {
    let disk = rustix::fs::statvfs(folder).expect("the folder's file system can be asked");
    let mebibytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize) >> 20;
    let (left, all) = (mebibytes(disk.f_bavail), mebibytes(disk.f_blocks));
    assert!(
        has_room(left, all),
        "the disk of {} is nearly full: {left} of {all} MiB are left. Below {LEAST} % no test is begun, since nodes would tell \
         DiskPressure, and no Pod would be scheduled. Make room, or set TMPDIR to a folder on another disk",
        folder.display()
    );
}

fn has_room(left: u64, all: u64) -> bool {
    u128::from(left) * 100 >= u128::from(all) * u128::from(LEAST)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_part_has_to_be_left() {
        for (left, all, expected) in [(2, 100, true), (1, 100, false), (0, 0, true), (u64::MAX, u64::MAX, true)] {
            assert_eq!(super::has_room(left, all), expected, "{left} of {all}");
        }
    }
}
