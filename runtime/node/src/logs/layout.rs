//! Where a Pod's files are.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Which Pod: a name may come back, its UID does not.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PodRef {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
}

/// The folder with one folder for each Pod of this node.
#[derive(Debug, Clone)]
pub(crate) struct PodDirs {
    root: PathBuf,
}

impl PodDirs {
    pub(crate) fn new(root: PathBuf) -> PodDirs {
        PodDirs { root }
    }

    fn pod(&self, pod: &PodRef) -> PathBuf {
        self.root.join(format!("{}_{}_{}", pod.namespace, pod.name, pod.uid))
    }

    /// Where the Pod's own volumes are. No container is called so: their names hold no dot.
    pub(crate) fn volumes(&self, pod: &PodRef) -> PathBuf {
        self.pod(pod).join(".volumes")
    }

    /// Where a container's single files of changing volumes are.
    pub(crate) fn pinned(&self, pod: &PodRef, container: &str) -> PathBuf {
        self.pod(pod).join(".pinned").join(container)
    }

    /// Where the files are that the node gives to a container.
    pub(crate) fn given(&self, pod: &PodRef, container: &str) -> PathBuf {
        self.pod(pod).join(".given").join(container)
    }

    /// Where all logs of a container are.
    pub(crate) fn logs(&self, pod: &PodRef, container: &str) -> PathBuf {
        self.pod(pod).join(container)
    }

    /// Where the log of a container's n-th restart is written.
    pub(crate) fn log(&self, pod: &PodRef, container: &str, restart: i32) -> PathBuf {
        self.logs(pod, container).join(format!("{restart}.log"))
    }

    /// Whether a container's n-th restart has left a log.
    pub(crate) fn has_log(&self, pod: &PodRef, container: &str, restart: i32) -> bool {
        !files(&self.log(pod, container, restart)).is_empty()
    }

    /// Removes the log of a container's n-th restart: one run before the newest is kept, as a kubelet does.
    pub(crate) fn remove_log(&self, pod: &PodRef, container: &str, restart: i32) -> io::Result<()> {
        files(&self.log(pod, container, restart)).iter().try_for_each(fs::remove_file)
    }

    /// Removes a Pod's own volumes, and what else its containers had to write to.
    pub(crate) fn remove_volumes(&self, pod: &PodRef) -> io::Result<()> {
        let dirs = [".volumes", ".pinned", ".given"].map(|name| self.pod(pod).join(name));
        dirs.iter().try_for_each(|dir| match fs::remove_dir_all(dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        })
    }

    /// Removes all that is kept of a Pod.
    pub(crate) fn remove(&self, pod: &PodRef) -> io::Result<()> {
        match fs::remove_dir_all(self.pod(pod)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes what is kept of Pods that are gone, by their UIDs.
    pub(crate) fn remove_all_but(&self, is_known: impl Fn(&str) -> bool) -> io::Result<()> {
        fs::create_dir_all(&self.root)?;
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            let name = entry.file_name();
            let uid = name.to_str().and_then(|name| name.rsplit_once('_')).map(|(_, uid)| uid);
            if uid.is_some_and(|uid| !is_known(uid)) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }
}

/// The log's older files, oldest first, then the one being written.
pub(super) fn files(log: &Path) -> Vec<PathBuf> {
    let mut files = rotated(log);
    if log.exists() {
        files.push(log.to_owned());
    }
    files
}

/// The log's older files, oldest first: their names sort by time.
pub(super) fn rotated(log: &Path) -> Vec<PathBuf> {
    let (Some(dir), Some(name)) = (log.parent(), log.file_name().and_then(OsStr::to_str)) else { return Vec::new() };
    let prefix = format!("{name}.");
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut rotated: Vec<_> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with(&prefix)))
        .map(|entry| entry.path())
        .collect();
    rotated.sort();
    rotated
}
