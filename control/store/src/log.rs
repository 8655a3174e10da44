//! What a backend has to be: a log that takes whole batches and gives consistent readers.

use bytes::Bytes;

use crate::{
    Error, Revision,
    record::{Position, Record},
};

/// One durable step of the log.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// What is added, in order.
    pub(crate) records: Vec<Record>,
    /// What nobody can ask for any more.
    pub(crate) forgotten: Vec<Position>,
    /// The new compaction point, if it moved. It is durable no later than the first entry it lets go.
    pub(crate) compacted: Option<Revision>,
    /// Whether the log should be left so that it opens fast after a crash. Costs a second sync.
    pub(crate) settle: bool,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.forgotten.is_empty() && self.compacted.is_none() && !self.settle
    }
}

/// The log. Only one thread at a time appends; any number read.
pub(crate) trait Log: Send + Sync + 'static {
    /// Whether reading may wait for a disk, and so must not happen on a thread that runs async tasks.
    const BLOCKS: bool;

    /// A consistent view of the log.
    type Reader<'a>: Read;

    /// Everything that was appended before, and nothing that is appended after.
    fn reader(&self) -> Result<Self::Reader<'_>, Error>;

    /// All of `batch`, or nothing; durable when it returns. After an error the log takes no more.
    fn append(&self, batch: &Batch) -> Result<(), Error>;
}

/// A view of the log.
pub(crate) trait Read {
    /// The value of the entry at `position`, which exists and is not a tombstone.
    fn value(&self, position: Position) -> Result<Bytes, Error>;

    /// The entries after `after`: whole transactions, until there are `limit` entries or more.
    fn records(&self, after: Revision, limit: usize) -> Result<Vec<Record>, Error>;
}

/// Takes whole transactions from `entries` until there are `limit` entries or more.
pub(crate) fn whole_transactions(
    entries: impl Iterator<Item = Result<Record, Error>>,
    limit: usize,
) -> Result<Vec<Record>, Error> {
    let mut taken: Vec<Record> = Vec::new();
    for entry in entries {
        let entry = entry?;
        if taken.len() >= limit && taken.last().is_some_and(|last| last.revision != entry.revision) {
            break;
        }
        taken.push(entry);
    }
    Ok(taken)
}
