//! The log as one redb table, keyed by revision: appending in the order of keys dirties few pages.

use bytes::Bytes;
use redb::{Database, ReadOnlyTable, ReadableDatabase, ReadableTable, TableDefinition, TableError, WriteTransaction};

use crate::{
    Error, Revision,
    core::State,
    log::{Batch, Log, Read, whole_transactions},
    record::{Position, Record},
};

const LOG: TableDefinition<Position, &[u8]> = TableDefinition::new("log");
/// Only the compaction point stands here.
const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
const COMPACTED: &str = "compacted";

type LogTable = ReadOnlyTable<Position, &'static [u8]>;

/// See the module.
#[derive(Debug)]
pub(crate) struct RedbLog(Database);

impl RedbLog {
    pub(super) fn new(database: Database) -> Self {
        Self(database)
    }

    /// Makes sure that the tables exist, so that no reader has to care.
    pub(super) fn prepare(&self) -> Result<(), redb::Error> {
        match self.tables() {
            Err(redb::Error::TableDoesNotExist(_)) => self.create(),
            other => other.map(|_| ()),
        }
    }

    /// The state that the log describes, and how many bytes its entries have.
    pub(super) fn load(&self) -> Result<(State, u64), redb::Error> {
        let (log, meta) = self.tables()?;
        let compacted = Revision(meta.get(COMPACTED)?.map_or(0, |found| found.value()));
        let mut bytes = 0;
        let entries = log.iter()?.map(|entry| {
            let (position, record) = entry.map_err(failed)?;
            bytes += record.value().len() as u64;
            Record::decode(position.value(), record.value())
        });
        let state = State::rebuild(compacted, entries).map_err(|error| redb::Error::Corrupted(error.to_string()))?;
        Ok((state, bytes))
    }

    /// Gives the file's unused space back. Needs the file alone.
    pub(super) fn shrink(&mut self) -> Result<bool, redb::CompactionError> {
        self.0.compact()
    }

    fn tables(&self) -> Result<(LogTable, ReadOnlyTable<&'static str, u64>), redb::Error> {
        let transaction = self.0.begin_read()?;
        Ok((transaction.open_table(LOG)?, transaction.open_table(META)?))
    }

    fn create(&self) -> Result<(), redb::Error> {
        let transaction = self.0.begin_write()?;
        transaction.open_table(LOG)?;
        transaction.open_table(META)?;
        Ok(transaction.commit()?)
    }

    fn write(&self, batch: &Batch) -> Result<(), redb::Error> {
        // One-phase: the commit is one sync, and redb's checksums tell a torn one from a whole one.
        let mut transaction = self.0.begin_write()?;
        transaction.set_quick_repair(batch.settle);
        fill(&transaction, batch)?;
        Ok(transaction.commit()?)
    }
}

fn fill(transaction: &WriteTransaction, batch: &Batch) -> Result<(), redb::Error> {
    if let Some(compacted) = batch.compacted {
        transaction.open_table(META)?.insert(COMPACTED, compacted.0)?;
    }
    let mut log = transaction.open_table(LOG)?;
    for position in &batch.forgotten {
        log.remove(position)?;
    }
    for record in &batch.records {
        let mut place = log.insert_reserve(record.position(), record.encoded_len())?;
        record.encode(place.as_mut());
    }
    Ok(())
}

impl Log for RedbLog {
    const BLOCKS: bool = true;
    type Reader<'a> = LogTable;

    fn reader(&self) -> Result<Self::Reader<'_>, Error> {
        let transaction = self.0.begin_read().map_err(failed)?;
        transaction.open_table(LOG).map_err(|error: TableError| failed(error))
    }

    fn append(&self, batch: &Batch) -> Result<(), Error> {
        self.write(batch).map_err(failed)
    }
}

impl Read for LogTable {
    fn value(&self, position: Position) -> Result<Bytes, Error> {
        let missing = || Error::Backend(format!("the log has no value at {position:?}"));
        let found = self.get_owned(position).map_err(failed)?.ok_or_else(missing)?;
        Record::decode(position, found.value())?.value.ok_or_else(missing)
    }

    fn records(&self, after: Revision, limit: usize) -> Result<Vec<Record>, Error> {
        let entries = self.range_owned((after.0 + 1, 0)..).map_err(failed)?.map(|entry| {
            let (position, record) = entry.map_err(failed)?;
            Record::decode(position.value(), record.value())
        });
        whole_transactions(entries, limit)
    }
}

fn failed(error: impl Into<redb::Error>) -> Error {
    Error::Backend(error.into().to_string())
}
