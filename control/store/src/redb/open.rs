//! Opening the file: what can be wrong with it, in words, and giving back the space it does not need.

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use redb::{Builder, StorageBackend, backends::FileBackend};

use super::{holder, log::RedbLog};
use crate::{OpenError, Options, core::State};

/// A file smaller than this is never shrunk: there is nothing to win.
const SMALL: u64 = 8 << 20;
/// A file is shrunk when it is this many times as large as what it holds.
const WORTHWHILE: u64 = 3;

/// A log that is open, and the state it describes.
pub(super) struct Opened {
    pub(super) log: RedbLog,
    pub(super) state: State,
}

/// Opens the log in the file at `path`, and creates it if there is none.
pub(super) fn file(path: &Path, options: &Options) -> Result<Opened, OpenError> {
    if path.exists() {
        return existing(path, options);
    }
    create(path, options)
}

fn existing(path: &Path, options: &Options) -> Result<Opened, OpenError> {
    let file = regular_file(path)?;
    let opened = FileBackend::new(file).map_err(redb::Error::from).and_then(|backend| on(backend, options));
    opened.map_err(|error| describe(path, error))
}

/// Makes the file under another name first: a crash halfway through must not leave one that is no store.
fn create(path: &Path, options: &Options) -> Result<Opened, OpenError> {
    let unfinished = path.with_added_extension("new");
    let failed = |source| OpenError::Io { path: path.to_owned(), source };
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let opened = existing(&unfinished, options)?;
    put_in_place(&unfinished, path).map_err(failed)?;
    Ok(opened)
}

fn put_in_place(unfinished: &Path, path: &Path) -> io::Result<()> {
    File::open(unfinished)?.sync_all()?;
    fs::rename(unfinished, path)?;
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => File::open(dir)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

/// Opens the log on `backend`.
pub(super) fn on(backend: impl StorageBackend, options: &Options) -> Result<Opened, redb::Error> {
    // On some damaged files redb stops at an assertion of its own.
    let opened = catch_unwind(AssertUnwindSafe(|| trusting(backend, options)));
    opened.unwrap_or_else(|_| Err(redb::Error::Corrupted("its structure contradicts itself".into())))
}

fn trusting(backend: impl StorageBackend, options: &Options) -> Result<Opened, redb::Error> {
    let len = backend.len()?;
    let database = Builder::new().set_cache_size(options.cache_bytes).create_with_backend(backend)?;
    let mut log = RedbLog::new(database);
    log.prepare()?;
    let (state, bytes) = log.load()?;
    if len > SMALL && len > bytes * WORTHWHILE {
        log.shrink()?;
    }
    Ok(Opened { log, state })
}

/// Only its owner may read the file: Secrets stand in it.
fn regular_file(path: &Path) -> Result<File, OpenError> {
    let failed = |source| OpenError::Io { path: path.to_owned(), source };
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => return Err(OpenError::NotAFile { path: path.to_owned() }),
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(failed)
}

fn describe(path: &Path, error: redb::Error) -> OpenError {
    let path = path.to_owned();
    match error {
        redb::Error::DatabaseAlreadyOpen => {
            let holder = holder::of(&path);
            OpenError::Held { path, holder }
        }
        redb::Error::Io(source) if !says_damaged(&source) => OpenError::Io { path, source },
        damage => OpenError::Corrupted { path, reason: damage.to_string() },
    }
}

/// Whether the contents were at fault, and not the system.
fn says_damaged(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof)
}
