//! Folders in memory, for `emptyDir` of medium `Memory`.
//!
//! A kubelet mounts a tmpfs for each, which needs root. Here they are folders of the tmpfs that the machine has at
//! `/dev/shm` already, bounded as `charge.rs` says. Where there is none, they are plain folders on disk.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::statfs;
use sha2::{Digest, Sha256};

const SHARED_MEMORY: &str = "/dev/shm";
/// `TMPFS_MAGIC` of Linux.
const TMPFS: i64 = 0x0102_1994;

/// Where the folders of one node are, if there is a file system in memory.
#[derive(Debug, Clone)]
pub(crate) struct MemoryDirs {
    root: Option<PathBuf>,
    data_dir: PathBuf,
}

/// In the root, beside the folders of Pods: leads to the files of the node that it belongs to.
const OWNER: &str = "node";

impl MemoryDirs {
    /// The folders of the node whose files are in `data_dir`: another node on the machine has its own.
    pub(crate) fn of(data_dir: &Path) -> MemoryDirs {
        // It need not be there yet, and must be called the same when it is.
        let data_dir = std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.to_owned());
        let hex: String =
            Sha256::digest(data_dir.as_os_str().as_encoded_bytes())[..8].iter().map(|b| format!("{b:02x}")).collect();
        let is_memory = statfs(SHARED_MEMORY).is_ok_and(|stat| stat.f_type == TMPFS);
        let root = is_memory.then(|| Path::new(SHARED_MEMORY).join(format!("carob-{hex}")));
        MemoryDirs { root, data_dir }
    }

    /// The folder of a Pod, by its UID; `None` if it has to be on disk.
    pub(super) fn pod(&self, uid: &str) -> Option<PathBuf> {
        let root = self.root.as_ref()?;
        match make_own(root, &self.data_dir) {
            Ok(()) => Some(root.join(uid)),
            Err(error) => {
                tracing::warn!(path = %root.display(), %error, "volumes of medium Memory are kept on disk");
                None
            }
        }
    }

    /// Whether a folder is one of these.
    pub(super) fn holds(&self, folder: &Path) -> bool {
        self.root.as_ref().is_some_and(|root| folder.starts_with(root))
    }

    pub(crate) fn remove(&self, uid: &str) -> io::Result<()> {
        let Some(root) = &self.root else { return Ok(()) };
        match fs::remove_dir_all(root.join(uid)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes the folders of Pods that are gone, by their UIDs.
    pub(crate) fn remove_all_but(&self, is_known: impl Fn(&str) -> bool) -> io::Result<()> {
        let Some(entries) = self.root.as_ref().and_then(|root| fs::read_dir(root).ok()) else { return Ok(()) };
        for entry in entries {
            let entry = entry?;
            if entry.file_name().to_str().is_some_and(|uid| uid != OWNER && !is_known(uid)) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }

    /// Removes what is left of nodes whose own files are gone: nobody else would, until the machine starts again.
    pub(crate) fn remove_forsaken(&self) -> io::Result<()> {
        let Some(all) = self.root.as_ref().and_then(|root| root.parent()) else { return Ok(()) };
        for entry in fs::read_dir(all)? {
            let entry = entry?;
            let is_root = entry.file_name().to_str().is_some_and(|name| name.starts_with("carob-"));
            if is_root && is_forsaken(&entry.path()) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }
}

/// Whether a folder is the root of a node of this user, and the node's files are gone.
fn is_forsaken(root: &Path) -> bool {
    is_own(root).unwrap_or(false) && fs::read_link(root.join(OWNER)).is_ok_and(|node| !node.exists())
}

/// A folder of ours that nobody else may enter: anybody may have made one of that name before.
fn make_own(root: &Path, data_dir: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(root) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    if !is_own(root)? {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    match symlink(data_dir, root.join(OWNER)) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Whether a folder is this user's, and nobody else may enter it.
fn is_own(root: &Path) -> io::Result<bool> {
    let found = fs::symlink_metadata(root)?;
    Ok(found.is_dir() && found.uid() == rustix::process::geteuid().as_raw() && found.mode() & 0o077 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_in_memory_and_go_with_their_pods() {
        let data = tempfile::tempdir().unwrap();
        let dirs = MemoryDirs::of(data.path());
        let Some(pod) = dirs.pod("uid-1") else {
            assert!(statfs(SHARED_MEMORY).is_err() || statfs(SHARED_MEMORY).unwrap().f_type != TMPFS);
            return;
        };
        fs::create_dir_all(pod.join("cache")).unwrap();
        fs::create_dir_all(dirs.pod("uid-2").unwrap()).unwrap();
        dirs.remove_all_but(|uid| uid == "uid-1").unwrap();
        assert!(pod.exists() && !dirs.pod("uid-2").unwrap().exists());
        dirs.remove("uid-1").unwrap();
        assert!(!pod.exists());

        let root = pod.parent().unwrap().to_owned();
        dirs.remove_forsaken().unwrap();
        assert!(root.exists(), "its node may start again");
        drop(data);
        MemoryDirs::of(Path::new("/another")).remove_forsaken().unwrap();
        assert!(!root.exists());
    }

    #[test]
    fn a_folder_that_others_may_enter_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("open");
        DirBuilder::new().mode(0o755).create(&root).unwrap();
        assert_eq!(make_own(&root, dir.path()).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert!(make_own(&dir.path().join("own"), dir.path()).is_ok());
    }
}
