//! A part of a volume, resolved within it: guests write to volumes, and a link that one of them has planted must not lead
//! the node to another place.

use std::fs::File;
use std::io;
use std::path::{Component, Path};

use cap_primitives::fs::{self as within, DirOptions, FollowSymlinks, OpenOptions};

/// What a subPath leads to.
#[derive(Debug)]
pub(super) enum Part {
    Folder(File),
    /// A file, and the open folder it lies in.
    File {
        dir: File,
        name: String,
    },
}

/// Finds `path` below the open folder `root`; what is not there becomes a folder, unless it is `read_only`.
pub(super) fn resolve(root: &File, path: &Path, read_only: bool) -> io::Result<Part> {
    match within::stat(root, path, FollowSymlinks::Yes) {
        Ok(found) if found.is_dir() => Ok(Part::Folder(within::open_dir(root, path)?)),
        Ok(_) => file(root, path),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !read_only => {
            make_dirs(root, path)?;
            Ok(Part::Folder(within::open_dir(root, path)?))
        }
        Err(error) => Err(error),
    }
}

/// The file behind whatever links lead to it, so that its folder's handle and its name say where it is.
fn file(root: &File, path: &Path) -> io::Result<Part> {
    let real = within::canonicalize(root, path)?;
    let (parent, name) = (real.parent().unwrap_or(Path::new("")), real.file_name().and_then(|name| name.to_str()));
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let name = name.ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    Ok(Part::File { dir: within::open_dir(root, parent)?, name })
}

/// Makes the folders of `path`, one after the other, each within `root`.
pub(super) fn make_dirs(root: &File, path: &Path) -> io::Result<()> {
    let mut made = std::path::PathBuf::new();
    for part in path.components() {
        let Component::Normal(part) = part else { continue };
        made.push(part);
        match within::create_dir(root, &made, &DirOptions::new()) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Opens a file that was found, to copy it.
pub(super) fn open(dir: &File, name: &str) -> io::Result<File> {
    within::open(dir, Path::new(name), OpenOptions::new().read(true))
}

/// An open handle of a folder that the node has made or was told to use.
pub(super) fn open_root(path: &Path) -> io::Result<File> {
    File::options().read(true).open(path)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn parts_are_found_or_made_within_the_volume_and_links_never_lead_out() {
        let dir = tempfile::tempdir().unwrap();
        let volume = dir.path().join("volume");
        fs::create_dir_all(volume.join("a/b")).unwrap();
        fs::write(volume.join("a/file"), "inside").unwrap();
        fs::write(dir.path().join("outside"), "outside").unwrap();
        symlink("a", volume.join("inner")).unwrap();
        symlink("/", volume.join("absolute")).unwrap();
        symlink("..", volume.join("up")).unwrap();
        symlink("../outside", volume.join("out-file")).unwrap();
        let root = open_root(&volume).unwrap();
        let resolve = |path: &str| resolve(&root, Path::new(path), false);

        for folder in ["a", "a/b", "inner/b", "new/deep", "."] {
            assert!(matches!(resolve(folder).unwrap(), Part::Folder(_)), "{folder}");
        }
        assert!(volume.join("new/deep").is_dir());
        for file in ["a/file", "inner/file"] {
            let Part::File { dir, name } = resolve(file).unwrap() else { panic!("{file} is a file") };
            let mut text = String::new();
            open(&dir, &name).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, "inside");
        }
        for out in ["absolute", "absolute/etc", "up", "up/outside", "out-file", "absolute/new", "up/new"] {
            assert!(resolve(out).is_err(), "{out}");
        }
        assert!(!dir.path().join("new").exists());
        let read_only = super::resolve(&root, Path::new("not-there"), true);
        assert_eq!(read_only.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
