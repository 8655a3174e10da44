use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Builder, Database, DatabaseError, ReadableDatabase};
use tokio::sync::{Semaphore, oneshot};

use crate::bucket::{Bucket, ROOM, Shared};
use crate::change::{ENTRIES, SIZES, after};
use crate::writer::{Job, Writer};
use crate::{Error, Limits, failed};

/// What redb keeps in memory of the file, in bytes.
const CACHE: usize = 16 << 20;

/// All buckets, in one file, held by one process at a time: until this and every [`Bucket`] of it are dropped.
pub struct KeyValues {
    shared: Arc<Shared>,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("{path} is in use by another process: only one node may have it")]
    Held {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be read or written, or is no such file.
    #[error("cannot use {path} as the file of buckets: {reason}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        reason: String,
    },
}

impl KeyValues {
    /// Opens the file, and makes it if there is none. Repairs it after a crash: call it where blocking is fine.
    ///
    /// # Errors
    /// Another process has the file, or it cannot be read or written.
    pub fn open(path: &Path, limits: Limits) -> Result<KeyValues, OpenError> {
        let unusable = |reason: String| OpenError::Unusable { path: path.to_owned(), reason };
        let file = private_file(path).map_err(|error| unusable(error.to_string()))?;
        let database = Builder::new().set_cache_size(CACHE).create_file(file).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => OpenError::Held { path: path.to_owned() },
            error => unusable(error.to_string()),
        })?;
        prepare(&database).map_err(|error| unusable(error.to_string()))?;
        let database = Arc::new(database);
        let writer = Writer::start(database.clone(), limits).map_err(|error| unusable(error.to_string()))?;
        let shared = Shared { database, limits, writer, room: Arc::new(Semaphore::new(ROOM)) };
        Ok(KeyValues { shared: Arc::new(shared) })
    }

    /// A bucket of a space. Both exist as soon as something is in them.
    pub fn bucket(&self, space: &str, name: &str) -> Bucket {
        Bucket { shared: self.shared.clone(), space: space.into(), name: name.into() }
    }

    /// The spaces that hold something, in order.
    ///
    /// # Errors
    /// The file fails.
    pub async fn spaces(&self) -> Result<Vec<String>, Error> {
        let shared = self.shared.clone();
        tokio::task::spawn_blocking(move || spaces(&shared.database)).await.map_err(|_| Error::Closed)?
    }

    /// Removes all buckets of a space, for good: while this process runs, nothing is written to it any more.
    ///
    /// # Errors
    /// The file fails.
    pub async fn remove(&self, space: &str) -> Result<(), Error> {
        let (answer, answered) = oneshot::channel();
        let job = Job::Remove { space: space.to_owned(), answer };
        self.shared.writer.send(job).await?;
        answered.await.map_err(|_| Error::Closed)?
    }
}

/// Only its owner may read the file: what stands in it is the components' own.
fn private_file(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Makes the tables, so that no reader has to care.
fn prepare(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(ENTRIES)?;
    transaction.open_table(SIZES)?;
    Ok(transaction.commit()?)
}

/// From one space to the next: there are few, and each may hold many buckets.
fn spaces(database: &Database) -> Result<Vec<String>, Error> {
    let sizes = database.begin_read().map_err(failed)?.open_table(SIZES).map_err(failed)?;
    let (mut spaces, mut from) = (Vec::new(), String::new());
    while let Some(entry) = sizes.range((from.as_str(), "")..).map_err(failed)?.next() {
        let (key, _) = entry.map_err(failed)?;
        spaces.push(key.value().0.to_owned());
        from = after(key.value().0);
    }
    Ok(spaces)
}
