//! Files that change all at once, as a kubelet writes them:
//!
//! ```text
//! key        -> ..data/key
//! ..data     -> ..2026_11_24_14_00_00.123456789
//! ..2026_11_24_14_00_00.123456789/key
//! ```
//!
//! A new set of files is written beside the old one, then `..data` is replaced by one rename: who reads through it sees the
//! old set or the new one. The volume's folder itself stays, so that a guest which holds it sees the change.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::payload::Payload;

const DATA: &str = "..data";
const NEW_DATA: &str = "..data_tmp";

/// Makes the files below `dir` those of `payload`. It may be called for one folder once at a time.
pub(super) fn write(dir: &Path, payload: &Payload, now: Timestamp) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let current = fresh_dir(dir, now)?;
    for (path, file) in payload {
        write_file(&current.join(path), &file.bytes, file.mode)?;
    }
    let name = current.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let new = dir.join(NEW_DATA);
    remove_if_there(&new)?;
    symlink(name, &new)?;
    fs::rename(&new, dir.join(DATA))?;
    link_tops(dir, payload)?;
    remove_old(dir, payload, &current)
}

/// A folder that was not there before: a clock that was set back may give the same name again.
fn fresh_dir(dir: &Path, now: Timestamp) -> io::Result<PathBuf> {
    let name = now.strftime("..%Y_%m_%d_%H_%M_%S.%9f").to_string();
    for n in 0.. {
        let dir = dir.join(if n == 0 { name.clone() } else { format!("{name}-{n}") });
        match fs::create_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|()| dir),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn write_file(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, bytes)?;
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// The first part of each path, which is what is seen of the volume.
fn tops(payload: &Payload) -> BTreeSet<&str> {
    payload.keys().filter_map(|path| path.split('/').next()).collect()
}

fn link_tops(dir: &Path, payload: &Payload) -> io::Result<()> {
    for top in tops(payload) {
        match symlink(Path::new(DATA).join(top), dir.join(top)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn remove_old(dir: &Path, payload: &Payload, current: &Path) -> io::Result<()> {
    let tops = tops(payload);
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let (name, path) = (entry.file_name(), entry.path());
        let kept = name == DATA || path == current || name.to_str().is_some_and(|name| tops.contains(name));
        if kept {
            continue;
        }
        if entry.file_type()?.is_dir() { fs::remove_dir_all(path)? } else { fs::remove_file(path)? }
    }
    Ok(())
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::super::payload::File;
    use super::*;

    fn payload(files: &[(&str, &str)]) -> Payload {
        let file = |text: &str| File { bytes: text.into(), mode: 0o640 };
        files.iter().map(|(path, text)| ((*path).to_owned(), file(text))).collect()
    }

    fn seen(dir: &Path) -> Vec<String> {
        let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| !name.starts_with("..2")).collect();
        names.sort();
        names
    }

    #[test]
    fn files_come_change_and_go_and_nothing_old_stays() {
        let dir = tempfile::tempdir().unwrap();
        let now = Timestamp::now();
        write(dir.path(), &payload(&[("a", "1"), ("d/x", "2")]), now).unwrap();
        assert_eq!(seen(dir.path()), ["..data", "a", "d"]);
        assert_eq!(fs::read_to_string(dir.path().join("d/x")).unwrap(), "2");
        assert_eq!(fs::metadata(dir.path().join("a")).unwrap().permissions().mode() & 0o777, 0o640);

        fs::create_dir(dir.path().join("..2001_left_by_a_killed_node")).unwrap();
        symlink("nowhere", dir.path().join(NEW_DATA)).unwrap();
        write(dir.path(), &payload(&[("a", "3"), ("b", "4")]), now).unwrap();
        assert_eq!(seen(dir.path()), ["..data", "a", "b"]);
        assert_eq!(fs::read_to_string(dir.path().join("a")).unwrap(), "3");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4, "one folder of files only");
    }

    /// Who holds the folder, as a guest does, sees one set of files or the other.
    #[test]
    fn a_reader_never_sees_half_of_a_change() {
        let dir = tempfile::tempdir().unwrap();
        let set = |n: u32| payload(&[("a", &n.to_string()), ("b", &n.to_string())]);
        write(dir.path(), &set(0), Timestamp::now()).unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 1..200 {
                    write(dir.path(), &set(n), Timestamp::now()).unwrap();
                }
                done.store(true, Ordering::Relaxed);
            });
            while !done.load(Ordering::Relaxed) {
                // The set is resolved once, then read: as a program does that wants files which belong together.
                let Ok(data) = fs::canonicalize(dir.path().join(DATA)) else { continue };
                let read = |name: &str| fs::read_to_string(data.join(name));
                if let (Ok(a), Ok(b)) = (read("a"), read("b")) {
                    assert_eq!(a, b);
                    assert!(!a.is_empty());
                }
            }
        });
        assert_eq!(fs::read_to_string(dir.path().join("b")).unwrap(), "199");
    }
}
