//! The store without a disk, for tests: no thread, no wait, and time is tokio's, which may be paused.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock, RwLockReadGuard};

use crate::{
    Error, Options, Revision, Write,
    backend::Backend,
    core::{Core, State},
    log::{Batch, Log, Read, whole_transactions},
    recent::Recent,
    record::{Position, Record},
    writer::Writer,
};

/// A store that forgets everything when it is dropped.
///
/// It behaves as [`Redb`](crate::Redb) does, history and compaction included, but old history is let go only when
/// something is written.
pub struct Memory {
    core: Arc<Core<MemoryLog>>,
    writer: Mutex<Writer<MemoryLog>>,
}

impl Memory {
    /// An empty store with the default options.
    pub fn new() -> Self {
        Self::with(&Options::default())
    }

    /// An empty store.
    pub fn with(options: &Options) -> Self {
        let (zero, index) = (Revision::default(), Default::default());
        let state = State { index, revision: zero, compacted: zero, recent: Recent::starting(zero) };
        let core = Core::new(MemoryLog::default(), state);
        let writer = Mutex::new(Writer::new(core.clone(), options));
        Self { core, writer }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Backend for Memory {
    type Log = MemoryLog;

    fn core(&self) -> &Arc<Core<MemoryLog>> {
        &self.core
    }

    async fn write(&self, writes: Vec<Write>) -> Result<Revision, Error> {
        let now = tokio::time::Instant::now().into_std();
        let answer = self.writer.lock().commit(vec![writes], now).pop();
        answer.unwrap_or_else(|| Err(Error::Backend("a transaction was not answered".into())))
    }

    async fn compact(&self, before: Revision) -> Result<(), Error> {
        self.writer.lock().compact(before)
    }
}

#[derive(Debug, Default)]
pub(crate) struct MemoryLog(RwLock<BTreeMap<Position, Record>>);

impl Log for MemoryLog {
    const BLOCKS: bool = false;
    /// Nothing is appended, and nothing forgotten, while a reader is there.
    type Reader<'a> = RwLockReadGuard<'a, BTreeMap<Position, Record>>;

    fn reader(&self) -> Result<Self::Reader<'_>, Error> {
        Ok(self.0.read())
    }

    fn append(&self, batch: &Batch) -> Result<(), Error> {
        let mut log = self.0.write();
        log.extend(batch.records.iter().map(|record| (record.position(), record.clone())));
        for position in &batch.forgotten {
            log.remove(position);
        }
        Ok(())
    }
}

impl Read for RwLockReadGuard<'_, BTreeMap<Position, Record>> {
    fn value(&self, position: Position) -> Result<Bytes, Error> {
        let value = self.get(&position).and_then(|record| record.value.clone());
        value.ok_or_else(|| Error::Backend(format!("the log has no value at {position:?}")))
    }

    fn records(&self, after: Revision, limit: usize) -> Result<Vec<Record>, Error> {
        let first = Bound::Excluded((after.0, u32::MAX));
        whole_transactions(self.range((first, Bound::Unbounded)).map(|(_, record)| Ok(record.clone())), limit)
    }
}
