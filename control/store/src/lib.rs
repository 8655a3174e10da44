//! Remembers every revision.
//!
//! A store maps keys to bytes. Every committed write gets the next number of one global [`Revision`], and what a key held
//! at an older revision stays readable until it is compacted. The layout is etcd's: the log, keyed by revision, is the
//! only thing on disk; the index by key, and what each key holds now, live in memory and are rebuilt when the store is
//! opened. So reads of the present never touch the disk, and go on after it has failed.
//!
//! This crate never knows what a Pod is, never parses a value and never speaks HTTP. Start reading at [`Store`], then
//! `writer.rs` (how a batch of transactions becomes durable) and `watch.rs` (how a watcher follows without ever holding
//! the writer up). [`Redb`] and [`Memory`] share all of it and differ in their `Log` and in who
//! appends to it (`backend.rs`).

mod backend;
mod core;
mod error;
mod history;
mod index;
mod log;
mod memory;
mod queue;
mod recent;
mod record;
mod redb;
mod stage;
mod types;
mod watch;
mod writer;

use futures::stream::BoxStream;

pub use self::{
    error::{Error, OpenError},
    history::Options,
    memory::Memory,
    redb::Redb,
    types::{Change, Event, Expect, KeyValue, Range, Revision, Write, prefix_end},
};

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
    /// An empty `end` means no end. At most `limit` items are returned (0: no limit); `remaining` counts the rest.
    async fn range(&self, start: &[u8], end: &[u8], limit: usize, at: Option<Revision>) -> Result<Range, Error>;

    /// Applies all of `writes` as one revision, or none of them. A key may stand in it once.
    ///
    /// Returns the transaction's revision, after it is durable. A transaction that changes nothing (it only compares, or
    /// deletes what does not exist) takes no revision and returns the newest. Dropping the future does not take a write
    /// back: it may still happen.
    async fn write(&self, writes: Vec<Write>) -> Result<Revision, Error>;

    /// Every change to keys from `start` to `end` at revisions greater than `after`, in order, until the store is closed.
    ///
    /// An empty `end` means no end. The stream ends with an error if the watcher falls behind what is kept. `after` may be
    /// at most the newest revision.
    async fn watch(
        &self,
        start: &[u8],
        end: &[u8],
        after: Revision,
    ) -> Result<BoxStream<'static, Result<Event, Error>>, Error>;

    /// Forgets what was overwritten or deleted at or before `before`: from then on nothing older than `before` can be
    /// read, and no watch can begin before it. Doing it again, or for an older revision, changes nothing.
    async fn compact(&self, before: Revision) -> Result<(), Error>;
}
