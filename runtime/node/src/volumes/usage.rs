//! How much there is in a folder.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What a folder holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) bytes: u64,
    /// Files, folders and links, the folder itself not counted.
    pub(crate) entries: u64,
}

/// Bytes that an entry counts at least, for what the file system keeps of it.
const ENTRY: u64 = 512;

/// Walks a folder without following links or leaving it. What vanishes meanwhile is not counted.
///
/// A file counts with its length or with its blocks, whichever is more: a file with holes could be filled without a change
/// of its length. (`du`, and with it a kubelet, counts blocks.)
pub(crate) fn of(dir: &Path) -> Size {
    let mut size = Size::default();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            size.entries += 1;
            size.bytes += bytes(&meta);
            if meta.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    size
}

fn bytes(meta: &fs::Metadata) -> u64 {
    let length = if meta.is_file() { meta.len() } else { 0 };
    length.max(meta.blocks() * 512).max(ENTRY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_count_with_holes_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(of(dir.path()), Size::default());
        fs::create_dir(dir.path().join("d")).unwrap();
        fs::File::create(dir.path().join("d/hole")).unwrap().set_len(1 << 20).unwrap();
        std::os::unix::fs::symlink("/usr", dir.path().join("out")).unwrap();
        let size = of(dir.path());
        assert_eq!(size.entries, 3);
        assert!(((1 << 20)..(1 << 20) + 16 * 1024).contains(&size.bytes), "{size:?}");
        assert_eq!(of(&dir.path().join("absent")), Size::default());
    }
}
