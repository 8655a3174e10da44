//! What readers, watchers and the writer share: the log, and the state in memory that follows it.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::RwLock;
use tokio::sync::watch;

use crate::{
    Error, Event, KeyValue, Range, Revision,
    index::{Held, Index, Version},
    log::{Log, Read},
    recent::Recent,
    record::Record,
};

/// The state in memory. It only ever shows what is durable.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) index: Index,
    pub(crate) revision: Revision,
    pub(crate) compacted: Revision,
    pub(crate) recent: Recent,
}

impl State {
    /// The state that `log` describes.
    pub(crate) fn rebuild(
        compacted: Revision,
        log: impl Iterator<Item = Result<Record, Error>>,
    ) -> Result<Self, Error> {
        let mut index = Index::default();
        let mut revision = compacted;
        for record in log {
            let record = record?;
            // The newest entries of the log may be forgotten tombstones: then the compaction point is the newest revision.
            revision = revision.max(record.revision);
            index.apply(&record);
        }
        Ok(Self { index, revision, compacted, recent: Recent::starting(revision) })
    }

    /// Takes up what has just become durable.
    fn apply(&mut self, records: &[Record]) {
        let Self { index, recent, .. } = self;
        recent.extend(records.iter().map(|record| Event {
            revision: record.revision,
            key: record.key.clone(),
            now: record.key_value(),
            before: index.apply(record),
        }));
        self.revision = records.last().map_or(self.revision, |last| last.revision);
    }

    /// That `at` has been written and can still be read.
    pub(crate) fn check(&self, at: Revision) -> Result<(), Error> {
        if at > self.revision {
            return Err(Error::Future { asked: at, newest: self.revision });
        }
        if at < self.compacted {
            return Err(Error::Compacted { asked: at, oldest: self.compacted });
        }
        Ok(())
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Core<L> {
    pub(crate) log: L,
    pub(crate) state: RwLock<State>,
    /// Wakes watchers; dropped with the core, which ends them.
    newest: watch::Sender<Revision>,
}

impl<L: Log> Core<L> {
    pub(crate) fn new(log: L, state: State) -> Arc<Self> {
        let newest = watch::Sender::new(state.revision);
        Arc::new(Self { log, state: RwLock::new(state), newest })
    }

    pub(crate) fn revision(&self) -> Revision {
        self.state.read().revision
    }

    /// A receiver that changes with every batch of commits.
    pub(crate) fn commits(&self) -> watch::Receiver<Revision> {
        self.newest.subscribe()
    }

    /// Shows `records`, which are durable, to everybody.
    pub(crate) fn publish(&self, records: &[Record]) {
        let Some(last) = records.last() else { return };
        self.state.write().apply(records);
        self.newest.send_replace(last.revision);
    }

    pub(crate) fn current(&self, key: &[u8]) -> Option<KeyValue> {
        self.state.read().index.current(key)
    }

    /// A range as it is, or as it was.
    pub(crate) async fn range(
        self: &Arc<Self>,
        start: &[u8],
        end: &[u8],
        limit: usize,
        at: Option<Revision>,
    ) -> Result<Range, Error> {
        let asked = RangeRead { start: Bytes::copy_from_slice(start), end: Bytes::copy_from_slice(end), limit, at };
        if at.is_none() {
            return asked.read(self);
        }
        self.clone().off_thread(move |core| asked.read(core)).await
    }

    /// Runs what may read the log where it disturbs nobody.
    pub(crate) async fn off_thread<T: Send + 'static>(
        self: Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        if !L::BLOCKS {
            return work(&self);
        }
        let done = tokio::task::spawn_blocking(move || work(&self)).await;
        done.unwrap_or_else(|error| Err(Error::Backend(format!("a read did not end: {error}"))))
    }
}

struct RangeRead {
    start: Bytes,
    end: Bytes,
    limit: usize,
    at: Option<Revision>,
}

/// An item of a past range: known, or still to be read from the log.
type Item = (Bytes, Held);

impl RangeRead {
    fn read<L: Log>(&self, core: &Core<L>) -> Result<Range, Error> {
        let state = core.state.read();
        let revision = self.at.unwrap_or(state.revision);
        state.check(revision)?;
        let limit = if self.limit == 0 { usize::MAX } else { self.limit };
        let mut found = state.index.range(&self.start, &self.end, revision);
        let items: Vec<Item> = found.by_ref().take(limit).map(|(key, held)| (key.clone(), held)).collect();
        let remaining = found.count() as u64;
        // The reader is opened under the lock, so that compaction cannot come between it and the index.
        let past = items.iter().any(|(_, held)| matches!(held, Held::InLog(_)));
        let reader = if past { Some(core.log.reader()?) } else { None };
        drop(state);
        let items = items.into_iter().map(|item| resolve(item, reader.as_ref())).collect::<Result<_, _>>()?;
        Ok(Range { revision, items, remaining })
    }
}

fn resolve(item: Item, reader: Option<&impl Read>) -> Result<KeyValue, Error> {
    match (item, reader) {
        ((_, Held::Here(key_value)), _) => Ok(key_value),
        ((key, Held::InLog(version)), Some(reader)) => read(key, version, reader),
        ((_, Held::InLog(_)), None) => Err(Error::Backend("a past value was asked for without a reader".into())),
    }
}

/// Reads what `key` held in `version`.
pub(crate) fn read(key: Bytes, version: Version, reader: &impl Read) -> Result<KeyValue, Error> {
    let value = reader.value(version.position())?;
    Ok(KeyValue { key, value, created: version.created, modified: version.revision })
}
