//! Checks the transactions of a batch, one after the other, and says what they write. Pure.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;

use crate::{Change, Error, Expect, KeyValue, Revision, Write, index::Index, record::Record};

/// The transactions of one batch. Each sees those before it, though none is durable yet.
pub(crate) struct Stage<'a> {
    index: &'a Index,
    newest: Revision,
    records: Vec<Record>,
    /// What the keys that this batch has written will hold.
    pending: HashMap<Bytes, Option<KeyValue>>,
}

impl<'a> Stage<'a> {
    pub(crate) fn new(index: &'a Index, newest: Revision) -> Self {
        Self { index, newest, records: Vec::new(), pending: HashMap::new() }
    }

    /// Takes up one transaction: all of it, or none. The answer is true once the batch is durable.
    pub(crate) fn transaction(&mut self, writes: Vec<Write>) -> Result<Revision, Error> {
        let held = self.check(&writes)?;
        let revision = Revision(self.newest.0 + 1);
        let first = self.records.len();
        for (write, held) in writes.into_iter().zip(held) {
            let index = (self.records.len() - first) as u32;
            self.records.extend(record(revision, index, write, held));
        }
        for record in &self.records[first..] {
            self.pending.insert(record.key.clone(), record.key_value());
            self.newest = revision;
        }
        Ok(self.newest)
    }

    pub(crate) fn into_records(self) -> Vec<Record> {
        self.records
    }

    /// What the keys hold, if that is as the transaction expects.
    fn check(&self, writes: &[Write]) -> Result<Vec<Option<KeyValue>>, Error> {
        if let Some(key) = repeated(writes) {
            return Err(Error::Repeated { key });
        }
        let checked = writes.iter().map(|write| match self.current(&write.key) {
            current if holds(write.expect, current.as_ref()) => Ok(current),
            current => Err(Error::Conflict { key: write.key.clone(), current }),
        });
        checked.collect()
    }

    fn current(&self, key: &Bytes) -> Option<KeyValue> {
        match self.pending.get(key) {
            Some(pending) => pending.clone(),
            None => self.index.current(key),
        }
    }
}

/// What a write to a key that holds `held` adds to the log.
fn record(revision: Revision, index: u32, write: Write, held: Option<KeyValue>) -> Option<Record> {
    let value = match write.change {
        Change::Put(bytes) => Some(bytes),
        Change::Delete if held.is_some() => None,
        Change::Delete | Change::Keep => return None,
    };
    let created = held.map_or(revision, |held| held.created);
    Some(Record { revision, index, key: write.key, created, value })
}

fn holds(expect: Expect, current: Option<&KeyValue>) -> bool {
    match expect {
        Expect::Anything => true,
        Expect::Absent => current.is_none(),
        Expect::At(revision) => current.is_some_and(|current| current.modified == revision),
    }
}

fn repeated(writes: &[Write]) -> Option<Bytes> {
    if writes.len() < 2 {
        return None;
    }
    let mut seen = HashSet::with_capacity(writes.len());
    writes.iter().find(|write| !seen.insert(&write.key)).map(|write| write.key.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(key: &'static str, expect: Expect, change: Change) -> Write {
        Write { key: key.into(), expect, change }
    }

    fn put(key: &'static str, expect: Expect) -> Write {
        write(key, expect, Change::Put("x".into()))
    }

    #[test]
    fn a_transaction_sees_the_ones_before_it_in_its_batch() {
        let index = Index::default();
        let mut stage = Stage::new(&index, Revision(4));
        assert_eq!(stage.transaction(vec![put("a", Expect::Absent)]).unwrap(), Revision(5));
        let error = stage.transaction(vec![put("a", Expect::Absent)]).unwrap_err();
        assert!(matches!(error, Error::Conflict { current: Some(current), .. } if current.modified == Revision(5)));
        assert_eq!(stage.transaction(vec![put("a", Expect::At(Revision(5)))]).unwrap(), Revision(6));
        assert_eq!(stage.into_records().last().map(|record| record.created), Some(Revision(5)));
    }

    #[test]
    fn a_conflict_writes_nothing_and_takes_no_revision() {
        let index = Index::default();
        let mut stage = Stage::new(&index, Revision(0));
        let writes = vec![put("a", Expect::Absent), put("b", Expect::At(Revision(1)))];
        assert!(matches!(stage.transaction(writes), Err(Error::Conflict { key, .. }) if key == "b"));
        assert_eq!(stage.transaction(vec![put("b", Expect::Absent)]).unwrap(), Revision(1));
        assert_eq!(stage.into_records().len(), 1);
    }

    #[test]
    fn what_changes_nothing_takes_no_revision() {
        let index = Index::default();
        let mut stage = Stage::new(&index, Revision(3));
        let nothing = vec![write("a", Expect::Absent, Change::Keep), write("b", Expect::Anything, Change::Delete)];
        assert_eq!(stage.transaction(nothing).unwrap(), Revision(3));
        assert!(stage.into_records().is_empty());
    }

    #[test]
    fn a_key_may_stand_in_a_transaction_once() {
        let index = Index::default();
        let mut stage = Stage::new(&index, Revision(0));
        let twice = vec![put("a", Expect::Anything), put("a", Expect::Anything)];
        assert!(matches!(stage.transaction(twice), Err(Error::Repeated { key }) if key == "a"));
    }
}
