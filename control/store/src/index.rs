//! The index by key: every kept version of every key, and what each key holds now.

use std::{
    collections::{BTreeMap, VecDeque, btree_map},
    ops::Bound,
};

use bytes::Bytes;

use crate::{
    KeyValue, Revision,
    record::{Position, Record},
};

/// A kept version of a key. Its bytes are in the log, at `(revision, index)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) revision: Revision,
    pub(crate) created: Revision,
    index: u32,
    live: bool,
}

impl Version {
    fn of(record: &Record) -> Self {
        Self { revision: record.revision, created: record.created, index: record.index, live: record.value.is_some() }
    }

    pub(crate) fn position(&self) -> Position {
        (self.revision.0, self.index)
    }
}

/// What a key held at some revision: known, or to be read from the log.
#[derive(Debug)]
pub(crate) enum Held {
    Here(KeyValue),
    InLog(Version),
}

#[derive(Debug)]
struct Entry {
    current: Version,
    /// The current bytes; `None` if the current version is a tombstone.
    value: Option<Bytes>,
    /// Overwritten versions that are kept, oldest first. Empty, and so without an allocation, for a key at rest.
    older: Vec<Version>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Index {
    keys: BTreeMap<Bytes, Entry>,
    /// What compaction will find to forget, in order of revision: at this revision, this key was overwritten or deleted.
    superseded: VecDeque<(Revision, Bytes)>,
}

impl Index {
    /// What `key` holds now.
    pub(crate) fn current(&self, key: &[u8]) -> Option<KeyValue> {
        self.keys.get_key_value(key).and_then(|(key, entry)| entry.key_value(key))
    }

    /// How many keys are indexed, deleted ones that are still kept included.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Takes up `record`, which is newer than everything here, and returns what its key held before.
    pub(crate) fn apply(&mut self, record: &Record) -> Option<KeyValue> {
        let version = Version::of(record);
        match self.keys.entry(record.key.clone()) {
            btree_map::Entry::Occupied(mut known) => {
                self.superseded.push_back((record.revision, record.key.clone()));
                known.get_mut().replace(record, version)
            }
            btree_map::Entry::Vacant(unknown) => {
                if record.value.is_none() {
                    self.superseded.push_back((record.revision, record.key.clone()));
                }
                unknown.insert(Entry { current: version, value: record.value.clone(), older: Vec::new() });
                None
            }
        }
    }

    /// The keys of a range with what they held at `at`, in ascending order.
    pub(crate) fn range(&self, start: &[u8], end: &[u8], at: Revision) -> impl Iterator<Item = (&Bytes, Held)> {
        let upper = if end.is_empty() { Bound::Unbounded } else { Bound::Excluded(end) };
        // BTreeMap::range panics on a range that ends before it begins: that one is empty.
        let empty = !end.is_empty() && end <= start;
        let bounds =
            if empty { (Bound::Excluded(start), Bound::Included(start)) } else { (Bound::Included(start), upper) };
        self.keys.range::<[u8], _>(bounds).filter_map(move |(key, entry)| Some((key, entry.at(key, at)?)))
    }

    /// The version of `key` that stood before `revision`, if it was live.
    pub(crate) fn before(&self, key: &[u8], revision: Revision) -> Option<Version> {
        let entry = self.keys.get(key)?;
        entry.versions().rfind(|version| version.revision < revision).filter(|version| version.live).copied()
    }

    /// Whether [`Index::forget`] would find something.
    pub(crate) fn is_forgettable(&self, through: Revision) -> bool {
        self.superseded.front().is_some_and(|(revision, _)| *revision <= through)
    }

    /// Drops versions that were overwritten or deleted at or before `through`, and returns where the log has them.
    ///
    /// Stops, between two keys, once `limit` are found.
    pub(crate) fn forget(&mut self, through: Revision, limit: usize) -> Vec<Position> {
        let mut forgotten = Vec::new();
        while forgotten.len() < limit && self.is_forgettable(through) {
            let Some((_, key)) = self.superseded.pop_front() else { break };
            let Some(entry) = self.keys.get_mut(&key) else { continue };
            if entry.forget(through, &mut forgotten) {
                self.keys.remove(&key);
            }
        }
        forgotten
    }
}

impl Entry {
    fn versions(&self) -> impl DoubleEndedIterator<Item = &Version> {
        self.older.iter().chain([&self.current])
    }

    fn key_value(&self, key: &Bytes) -> Option<KeyValue> {
        self.value.clone().map(|value| KeyValue {
            key: key.clone(),
            value,
            created: self.current.created,
            modified: self.current.revision,
        })
    }

    fn replace(&mut self, record: &Record, version: Version) -> Option<KeyValue> {
        let before = self.key_value(&record.key);
        self.older.push(self.current);
        self.current = version;
        self.value = record.value.clone();
        before
    }

    fn at(&self, key: &Bytes, at: Revision) -> Option<Held> {
        if self.current.revision <= at {
            return self.key_value(key).map(Held::Here);
        }
        let version = self.older.iter().rfind(|version| version.revision <= at)?;
        version.live.then_some(Held::InLog(*version))
    }

    /// Drops what `through` makes unreachable. True if nothing of the key is left.
    fn forget(&mut self, through: Revision, forgotten: &mut Vec<Position>) -> bool {
        let reached = self.versions().take_while(|version| version.revision <= through).count();
        if reached == 0 {
            return false;
        }
        // The last one reached is what `through` shows: all before it go.
        forgotten.extend(self.older.drain(..reached - 1).map(|version| version.position()));
        let oldest = *self.older.first().unwrap_or(&self.current);
        if oldest.live || oldest.revision > through {
            return false;
        }
        // A tombstone goes together with all that it hid, in one batch: alone, it would bring the key back to life.
        forgotten.push(oldest.position());
        if self.older.is_empty() {
            return true;
        }
        self.older.remove(0);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(records: &[(u64, &'static str, Option<&'static str>)]) -> Index {
        let mut index = Index::default();
        for &(revision, key, value) in records {
            index.apply(&Record {
                revision: Revision(revision),
                index: 0,
                key: key.into(),
                created: Revision(revision),
                value: value.map(Bytes::from),
            });
        }
        index
    }

    fn keys_at(index: &Index, at: u64) -> Vec<&[u8]> {
        index.range(b"", b"", Revision(at)).map(|(key, _)| &**key).collect()
    }

    #[test]
    fn a_range_shows_what_was_there_at_a_revision() {
        let index = index(&[(1, "a", Some("1")), (2, "b", Some("2")), (3, "a", None), (4, "c", Some("4"))]);
        let seen: Vec<_> = (0..=4).map(|at| keys_at(&index, at).concat()).collect();
        assert_eq!(seen, [&b""[..], b"a", b"ab", b"b", b"bc"]);
    }

    #[test]
    fn a_range_that_ends_before_it_begins_is_empty() {
        let index = index(&[(1, "a", Some("1"))]);
        for (start, end) in [("b", "a"), ("a", "a")] {
            assert_eq!(index.range(start.as_bytes(), end.as_bytes(), Revision(1)).count(), 0);
        }
    }

    #[test]
    fn forgetting_keeps_what_the_compaction_point_still_shows() {
        let mut index = index(&[(1, "a", Some("1")), (2, "a", Some("2")), (3, "a", Some("3")), (4, "b", Some("4"))]);
        assert_eq!(index.forget(Revision(2), 10), [(1, 0)]);
        assert!(index.before(b"a", Revision(3)).is_some());
        assert_eq!(keys_at(&index, 2), [b"a"]);
        assert!(!index.is_forgettable(Revision(2)) && index.is_forgettable(Revision(3)));
    }

    #[test]
    fn a_tombstone_goes_with_all_that_it_hid() {
        let mut index = index(&[(1, "a", Some("1")), (2, "a", Some("2")), (3, "a", None), (4, "b", None)]);
        assert_eq!(index.forget(Revision(3), 1), [(1, 0), (2, 0), (3, 0)]);
        assert_eq!(index.len(), 1);
        assert_eq!(index.forget(Revision(4), 1), [(4, 0)]);
        assert_eq!(index.len(), 0);
    }

    #[test]
    fn a_key_that_came_back_keeps_its_new_life() {
        let mut index = index(&[(1, "a", Some("1")), (2, "a", None), (3, "a", Some("3"))]);
        assert_eq!(index.forget(Revision(2), 10), [(1, 0), (2, 0)]);
        assert_eq!(keys_at(&index, 3), [b"a"]);
        assert!(index.forget(Revision(3), 10).is_empty());
    }
}
