//! Remembers what components put into their buckets.
//!
//! A [`KeyValues`] is one redb file. It holds spaces, which know nothing of each other, and in each space [`Bucket`]s. One
//! thread writes: it takes whatever waits, makes one transaction of it, syncs once and answers all, so that many writers
//! share an fsync. What is acknowledged is durable, and every read that begins later sees it.
//!
//! This crate never knows Kubernetes, nor wasmtime.

mod bucket;
mod change;
mod file;
mod limits;
mod writer;

pub use bucket::{Bucket, Page};
pub use change::Swapped;
pub use file::{KeyValues, OpenError};
pub use limits::Limits;

/// Why something was not done. Nothing of it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No key may be empty.
    #[error("a key must not be empty")]
    EmptyKey,
    /// A key is too long.
    #[error("a key of {bytes} bytes is too long: at most {limit}")]
    KeyTooLong {
        /// Its length.
        bytes: usize,
        /// The longest that is taken.
        limit: usize,
    },
    /// A value is too long.
    #[error("a value of {bytes} bytes is too long: at most {limit}")]
    ValueTooLong {
        /// Its length.
        bytes: usize,
        /// The longest that is taken.
        limit: usize,
    },
    /// One call names or brings too much.
    #[error("{what} in one call is too much: at most {limit}")]
    BatchTooLarge {
        /// How much of what.
        what: String,
        /// The most that is taken.
        limit: usize,
    },
    /// The bucket would become too large.
    #[error("the bucket {bucket:?} is full: it would hold {bytes} bytes of at most {limit}")]
    BucketFull {
        /// Its name.
        bucket: String,
        /// What it would hold.
        bytes: u64,
        /// What it may hold.
        limit: u64,
    },
    /// All buckets of the space together would become too large.
    #[error("the buckets of this namespace are full: they would hold {bytes} bytes of at most {limit}")]
    SpaceFull {
        /// What they would hold.
        bytes: u64,
        /// What they may hold.
        limit: u64,
    },
    /// A value that was to be incremented is no number.
    #[error("the value of {key:?} is not a number in decimal digits")]
    NotANumber {
        /// Its key.
        key: String,
    },
    /// A sum does not fit.
    #[error("{key:?} cannot be incremented: the sum {sum} is not within {min} and {max}")]
    Overflow {
        /// Its key.
        key: String,
        /// What it would have become.
        sum: String,
        /// The least that was allowed.
        min: i128,
        /// The most that was allowed.
        max: i128,
    },
    /// The space was removed.
    #[error("the namespace was deleted, and its buckets with it")]
    Removed,
    /// The file could not be read or written.
    #[error("the bucket's file failed: {0}")]
    File(String),
    /// The writer has ended.
    #[error("the node is shutting down")]
    Closed,
}

pub(crate) fn failed(error: impl Into<redb::Error>) -> Error {
    Error::File(error.into().to_string())
}
