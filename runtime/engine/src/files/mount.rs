use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustix::fs::{Mode, OFlags};
use wasmtime_wasi::filesystem::Dir;
use wasmtime_wasi::{FsPerms, OpenMode};

/// A folder of the host, opened when a guest first looks for it and then shared by every instance of every container
/// that it was cloned for.
#[derive(Clone)]
pub struct Folder {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    opened: OnceLock<Dir>,
}

impl Folder {
    /// The folder at this path, which is not looked at yet.
    pub fn at(path: impl Into<PathBuf>) -> Folder {
        Folder { shared: Arc::new(Shared { path: path.into(), opened: OnceLock::new() }) }
    }

    /// A folder that is open already, whatever becomes of the path that led to it; `path` is for messages.
    pub fn opened(path: impl Into<PathBuf>, folder: File) -> Folder {
        let opened = OnceLock::from(dir(folder));
        Folder { shared: Arc::new(Shared { path: path.into(), opened }) }
    }

    /// Where it is, or was when it was opened.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    fn open(&self) -> io::Result<Dir> {
        if let Some(opened) = self.shared.opened.get() {
            return Ok(opened.clone());
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = dir(rustix::fs::open(&self.shared.path, flags, Mode::empty())?.into());
        Ok(self.shared.opened.get_or_init(|| folder).clone())
    }
}

/// With every right: a mount takes away what it does not give.
fn dir(folder: File) -> Dir {
    Dir::new(folder, FsPerms::ReadWrite, OpenMode::READ | OpenMode::WRITE, false)
}

/// Bounds how much guests store below a mount.
pub trait Quota: Send + Sync + 'static {
    /// Takes `bytes` by which files are about to grow; `false` if they do not fit.
    ///
    /// Called on a thread that may block, so that it can look at the disk.
    fn take(&self, bytes: u64) -> bool;
}

/// A part of the host's files that a guest sees.
#[derive(Clone)]
pub struct Mount {
    guest_path: String,
    folder: Folder,
    /// The one file of the folder that is seen, in the place of the folder.
    file: Option<String>,
    read_only: bool,
    foreign: bool,
    quota: Option<Arc<dyn Quota>>,
}

impl Mount {
    /// A folder with all that is below it, at the absolute `guest_path`.
    pub fn folder(folder: Folder, guest_path: impl Into<String>) -> Mount {
        Mount { guest_path: guest_path.into(), folder, file: None, read_only: false, foreign: false, quota: None }
    }

    /// The one file `name` of a folder, at `guest_path`.
    ///
    /// WASI opens files below folders only. The guest is therefore given something that answers as a folder whose only
    /// path is `.`, which is the file: standard libraries ask for just that when a path is exactly a preopened one. It can
    /// be read, written and looked at, but neither removed nor replaced by another, as with a mounted file on Linux.
    pub fn file(folder: Folder, name: impl Into<String>, guest_path: impl Into<String>) -> Mount {
        Mount { file: Some(name.into()), ..Mount::folder(folder, guest_path) }
    }

    /// Whether every change is refused.
    #[must_use]
    pub fn read_only(self, read_only: bool) -> Mount {
        Mount { read_only, ..self }
    }

    /// Whether others than guests make files there, as in a folder of the host's. What is neither a file nor a folder is not
    /// opened then: a FIFO would hold a thread until somebody opens its other end, and a device for as long as it likes.
    #[must_use]
    pub fn foreign(self, foreign: bool) -> Mount {
        Mount { foreign, ..self }
    }

    /// Bounds what is stored there.
    #[must_use]
    pub fn quota(self, quota: Arc<dyn Quota>) -> Mount {
        Mount { quota: Some(quota), ..self }
    }

    /// Where the guest sees it.
    pub fn guest_path(&self) -> &str {
        &self.guest_path
    }

    pub(super) fn open(&self) -> io::Result<Dir> {
        let mut dir = self.folder.open()?;
        if self.read_only {
            dir.perms = FsPerms::ReadOnly;
            dir.open_mode = OpenMode::READ;
        }
        Ok(dir)
    }

    pub(super) fn host_path(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn single_file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    pub(super) fn is_foreign(&self) -> bool {
        self.foreign
    }

    pub(super) fn bound(&self) -> Option<Arc<dyn Quota>> {
        self.quota.clone()
    }
}

impl std::fmt::Debug for Mount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mode = if self.read_only { "ro" } else { "rw" };
        let folder = self.folder.path();
        let path = self.file.as_ref().map_or_else(|| folder.to_owned(), |file| folder.join(file));
        write!(f, "{} on {} ({mode})", path.display(), self.guest_path)
    }
}
