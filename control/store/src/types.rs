//! The words of the store: revisions, what a key holds, what a transaction asks, what a watcher sees.

use std::fmt;

use bytes::Bytes;

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

/// The first key that does not begin with `prefix`: the `end` of a range that covers all keys that do.
///
/// Empty (no end) when there is no such key.
pub fn prefix_end(prefix: &[u8]) -> Bytes {
    let kept = prefix.iter().rposition(|byte| *byte != u8::MAX).map_or(0, |last| last + 1);
    let mut end = prefix[..kept].to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix_follows_every_key_that_has_it() {
        for (prefix, end) in [(&b"a/"[..], &b"a0"[..]), (b"a\xff", b"b"), (b"\xff\xff", b""), (b"", b"")] {
            assert_eq!(prefix_end(prefix), end);
        }
    }
}
