//! Why a store did not do what it was asked, and why one could not be opened.

use std::{io, path::PathBuf};

use bytes::Bytes;

use crate::{KeyValue, Revision};

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// A condition of the transaction did not hold; nothing was written. Carries what the key holds now.
    #[error("key {} is not what the transaction expects", String::from_utf8_lossy(.key))]
    Conflict {
        /// The key whose condition failed.
        key: Bytes,
        /// What it holds.
        current: Option<KeyValue>,
    },
    /// The history asked for is gone.
    #[error("revision {asked} is compacted; the oldest kept is {oldest}")]
    Compacted {
        /// What was asked for.
        asked: Revision,
        /// The oldest revision that can still be read or watched from.
        oldest: Revision,
    },
    /// The revision has not been written yet.
    #[error("revision {asked} is in the future; the newest is {newest}")]
    Future {
        /// What was asked for.
        asked: Revision,
        /// The newest committed revision.
        newest: Revision,
    },
    /// A transaction names a key twice.
    #[error("key {} stands in the transaction twice", String::from_utf8_lossy(.key))]
    Repeated {
        /// The key.
        key: Bytes,
    },
    /// The backend failed, and the store takes no more writes until it is opened again.
    #[error("the store takes no more writes until it is opened again, that is, until the server is restarted: {0}")]
    Backend(String),
}

impl Error {
    /// For those who ask a store that has been closed, or whose writer ended.
    pub(crate) fn closed() -> Self {
        Self::Backend("it is closed".into())
    }
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another store has the file open.
    #[error("{path} is in use by {holder}; stop it first, or use another data directory")]
    Held {
        /// The file.
        path: PathBuf,
        /// Who holds it, as far as the system says.
        holder: String,
    },
    /// The path is something other than a regular file.
    #[error("{path} is not a regular file; the store needs a file it can create or one it created before")]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The file is not a store, or a damaged one.
    #[error("{path} is not a readable store ({reason}); restore it from a backup, or move it away to begin empty")]
    Corrupted {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The system refused: no such directory, no permission, no space.
    #[error("cannot open {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}
