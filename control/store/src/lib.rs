//! Remembers every revision.
//!
//! A store maps keys to bytes. Every committed write gets the next number of one global [`Revision`], and what a key held
//! at an older revision stays readable until it is compacted. The layout is etcd's: the log, keyed by revision, is the
//! only thing on disk; the index by key lives in memory and is rebuilt when the store is opened.
//!
//! This crate never knows what a Pod is, never parses a value and never speaks HTTP. Start reading at [`Store`].

use std::fmt;

use bytes::Bytes;
use futures::stream::BoxStream;

/// A point in the store's history. The first write gets revision 1; 0 is the empty store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a key held at some revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValue {
    /// The key.
    pub key: Bytes,
    /// The bytes as they were written; the store adds nothing.
    pub value: Bytes,
    /// The revision of the write that made the key exist.
    pub created: Revision,
    /// The revision of the write that put these bytes.
    pub modified: Revision,
}

/// What must hold of a key for a transaction to be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The key does not exist.
    Absent,
    /// The key exists and was last written at this revision.
    At(Revision),
    /// The key may hold anything, or nothing.
    Anything,
}

/// What a transaction does to one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The key holds these bytes from now on.
    Put(Bytes),
    /// The key exists no longer.
    Delete,
    /// The key is only compared.
    Keep,
}

/// One key's part in a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The key.
    pub key: Bytes,
    /// The condition.
    pub expect: Expect,
    /// The effect, if every write's condition holds.
    pub change: Change,
}

/// A consistent answer to a range read.
#[derive(Clone, Debug, Default)]
pub struct Range {
    /// The revision at which the whole answer held.
    pub revision: Revision,
    /// The keys that were found, in ascending order.
    pub items: Vec<KeyValue>,
    /// How many keys of the range follow after the last one in `items`.
    pub remaining: u64,
}

/// One committed change, as a watcher sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The revision of the change. All changes of one transaction share it.
    pub revision: Revision,
    /// The key.
    pub key: Bytes,
    /// What the key holds now; `None` if it was deleted.
    pub now: Option<KeyValue>,
    /// What it held before; `None` if it did not exist.
    pub before: Option<KeyValue>,
}

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
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
    /// The backend failed, and the store takes no more writes until it is opened again.
    #[error("the store failed: {0}")]
    Backend(String),
}

/// A key-value store with one history.
///
/// A write is acknowledged only when it will survive a crash. Reads see every acknowledged write.
#[async_trait::async_trait]
pub trait Store: Send + Sync + 'static {
    /// The newest committed revision.
    fn revision(&self) -> Revision;

    /// What `key` holds now.
    async fn get(&self, key: &[u8]) -> Result<Option<KeyValue>, Error>;

    /// The keys from `start` (included) to `end` (excluded), as they were at `at`, or now.
    ///
    /// At most `limit` items are returned (0: no limit); `remaining` counts the rest.
    async fn range(&self, start: &[u8], end: &[u8], limit: usize, at: Option<Revision>) -> Result<Range, Error>;

    /// Applies all of `writes` as one revision, or none of them. A key may stand in it once.
    ///
    /// Returns the transaction's revision, after it is durable.
    async fn write(&self, writes: Vec<Write>) -> Result<Revision, Error>;

    /// Every change to keys from `start` to `end` at revisions greater than `after`, in order, for ever.
    ///
    /// The stream ends with an error if the watcher falls behind what is kept.
    async fn watch(
        &self,
        start: &[u8],
        end: &[u8],
        after: Revision,
    ) -> Result<BoxStream<'static, Result<Event, Error>>, Error>;

    /// Forgets what was overwritten or deleted at or before `before`.
    async fn compact(&self, before: Revision) -> Result<(), Error>;
}
