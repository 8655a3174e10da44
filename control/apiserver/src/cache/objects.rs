//! The objects of one resource, and the ring of their last changes.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound,
    sync::Arc,
};

use bytes::Bytes;
use carob_resources::Resource;
use carob_store::{Event, KeyValue};
use parking_lot::RwLock;
use tokio::sync::watch;

use super::{
    Applied, Change, Cursor, Entry, Expectation, Kind, Selectable, TooSlow, change::decode, expected::Expected,
};

/// Past either of these the oldest changes go.
const MOST_CHANGES: usize = 8192;
const MOST_BYTES: usize = 16 << 20;

/// The current objects of one resource.
pub(crate) struct Cache {
    resource: &'static Resource,
    applied: Applied,
    expected: Expected,
    state: RwLock<State>,
    /// Wakes cursors; carries nothing.
    moved: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<Box<str>, Arc<Entry>>,
    changes: VecDeque<Arc<Change>>,
    /// How many changes left the ring: the number of the first one in it.
    dropped: u64,
    bytes: usize,
    /// The ring holds every change after this revision.
    floor: u64,
    /// The revision of the last change.
    revision: u64,
}

/// Objects as they were together at one revision.
pub(crate) struct Snapshot {
    pub(crate) revision: u64,
    pub(crate) entries: Vec<Arc<Entry>>,
}

impl Cache {
    pub(crate) fn new(resource: &'static Resource, applied: Applied) -> Self {
        let (state, moved) = (RwLock::default(), watch::Sender::default());
        Self { resource, applied, expected: Expected::default(), state, moved }
    }

    pub(crate) fn get(&self, key: &str) -> Option<Arc<Entry>> {
        self.state.read().objects.get(key).cloned()
    }

    /// Waits until there is an object under this key.
    pub(crate) async fn appears(&self, key: &str) {
        // Subscribed before the look, so that no wake-up is missed.
        let mut moved = self.moved.subscribe();
        while self.get(key).is_none() && moved.changed().await.is_ok() {}
    }

    pub(crate) fn len(&self) -> usize {
        self.state.read().objects.len()
    }

    /// All objects whose keys begin with `prefix` and come after `after`.
    pub(crate) fn snapshot(&self, prefix: &str, after: Option<&str>) -> Snapshot {
        self.snapshot_with(prefix, after, |_| ()).0
    }

    /// A snapshot, and a cursor at the first change after it.
    pub(crate) fn snapshot_and_cursor(self: &Arc<Self>, prefix: &str) -> (Snapshot, Cursor) {
        // Subscribed before the look, so that no wake-up is missed.
        let moved = self.moved.subscribe();
        let (snapshot, next) = self.snapshot_with(prefix, None, State::end);
        (snapshot, Cursor::new(self.clone(), next, moved))
    }

    /// A cursor at the first change after `revision`; `None` if that change may be gone.
    pub(crate) fn cursor(self: &Arc<Self>, revision: u64) -> Option<Cursor> {
        let moved = self.moved.subscribe();
        let state = self.state.read();
        let before = state.changes.partition_point(|change| change.revision() <= revision);
        let next = state.dropped + before as u64;
        (revision >= state.floor).then(|| Cursor::new(self.clone(), next, moved))
    }

    /// The revision of the last change of this resource.
    pub(crate) fn last_change(&self) -> u64 {
        self.state.read().revision
    }

    /// Copies changes from number `next` on; at most `most`.
    pub(super) fn changes(&self, next: u64, most: usize) -> Result<Vec<Arc<Change>>, TooSlow> {
        let state = self.state.read();
        let skip = next.checked_sub(state.dropped).ok_or(TooSlow)?;
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        Ok(state.changes.iter().skip(skip).take(most).cloned().collect())
    }

    /// Takes the objects of the store at the start.
    pub(super) fn fill(&self, items: impl Iterator<Item = (String, KeyValue)>, revision: u64) {
        let mut state = self.state.write();
        for (key, held) in items {
            if let Some(entry) = decode(self.resource, &key, &held, Bytes::from) {
                state.objects.insert(key.into(), entry);
            }
        }
        state.floor = revision;
        state.revision = revision;
    }

    /// Tells what is about to be written under `key`, as long as the answer is held: it is not parsed then when it comes.
    pub(crate) fn expect<'a>(&'a self, key: &'a str, stored: Bytes, selectable: Selectable) -> Expectation<'a> {
        self.expected.add(key, stored, selectable)
    }

    /// Applies changes of the store to this resource, in order.
    pub(super) fn apply<'a>(&self, events: impl Iterator<Item = (&'a str, &'a Event)>) {
        let mut state = self.state.write();
        for (key, event) in events {
            let before = state.objects.get(key).cloned();
            let known = event.now.as_ref().and_then(|now| self.expected.take(key, &now.value));
            if let Some(change) = Change::new(self.resource, key, event, before, known) {
                state.apply(Arc::new(change));
            }
        }
        drop(state);
        self.moved.send_replace(());
    }

    /// The applied revision is read before the lock is taken: everything up to it is in the objects by then. What is newer
    /// in this resource is counted by its own last change.
    fn snapshot_with<T>(&self, prefix: &str, after: Option<&str>, more: impl FnOnce(&State) -> T) -> (Snapshot, T) {
        let applied = self.applied.now();
        let state = self.state.read();
        let start = match after {
            Some(key) => Bound::Excluded(key),
            None => Bound::Included(prefix),
        };
        let range = state.objects.range::<str, _>((start, Bound::Unbounded));
        let entries = range.take_while(|(key, _)| key.starts_with(prefix)).map(|(_, entry)| entry.clone()).collect();
        (Snapshot { revision: applied.max(state.revision), entries }, more(&state))
    }
}

impl State {
    /// The number that the next change will have.
    fn end(&self) -> u64 {
        self.dropped + self.changes.len() as u64
    }

    fn apply(&mut self, change: Arc<Change>) {
        self.revision = change.revision();
        match change.kind {
            Kind::Deleted => self.objects.remove(&change.entry.key),
            Kind::Added | Kind::Modified => self.objects.insert(change.entry.key.clone(), change.entry.clone()),
        };
        self.bytes += change.weight();
        self.changes.push_back(change);
        while self.changes.len() > MOST_CHANGES || self.bytes > MOST_BYTES && self.changes.len() > 1 {
            if let Some(oldest) = self.changes.pop_front() {
                self.dropped += 1;
                self.bytes -= oldest.weight();
                self.floor = oldest.revision();
            }
        }
    }
}
