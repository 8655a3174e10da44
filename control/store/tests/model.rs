//! Both backends beside a model so simple that it is right: the list of all that was ever written.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;

use bytes::Bytes;
use carob_store::{Change, Error, Event, Expect, KeyValue, Memory, Revision, Store, Write};
use common::expecting;
use futures::StreamExt;
use proptest::prelude::*;
use tokio::runtime::{Builder, Runtime};

const KEYS: [&str; 5] = ["/a", "/a/1", "/a/2", "/b", "/c"];

/// One thing that is done to the stores. Numbers are taken modulo whatever there is to choose from.
#[derive(Clone, Debug)]
enum Step {
    Write(Vec<(usize, Condition, Option<u8>)>),
    Compact(u64),
    Reopen,
    Read { at: u64, from: usize, to: usize, limit: usize },
    Watch { after: u64, from: usize, to: usize },
}

#[derive(Clone, Copy, Debug)]
enum Condition {
    Anything,
    Absent,
    /// The revision that the key is at: holds, if it exists.
    Current,
    Stale,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let condition = prop_oneof![
        4 => Just(Condition::Anything),
        1 => Just(Condition::Absent),
        2 => Just(Condition::Current),
        1 => Just(Condition::Stale),
    ];
    let write = (0..KEYS.len(), condition, prop::option::weighted(0.7, any::<u8>()));
    let key = || 0..=KEYS.len();
    let step = prop_oneof![
        6 => prop::collection::vec(write, 1..4).prop_map(Step::Write),
        1 => any::<u64>().prop_map(Step::Compact),
        1 => Just(Step::Reopen),
        3 => (any::<u64>(), key(), key(), 0..4usize).prop_map(|(at, from, to, limit)| Step::Read { at, from, to, limit }),
        2 => (any::<u64>(), key(), key()).prop_map(|(after, from, to)| Step::Watch { after, from, to }),
    ];
    prop::collection::vec(step, 1..40)
}

#[derive(Default)]
struct Model {
    /// Every change, in order.
    events: Vec<Event>,
    newest: u64,
    compacted: u64,
}

impl Model {
    fn at(&self, revision: u64) -> BTreeMap<Bytes, KeyValue> {
        let mut state = BTreeMap::new();
        for event in self.events.iter().filter(|event| event.revision.0 <= revision) {
            match &event.now {
                Some(now) => state.insert(event.key.clone(), now.clone()),
                None => state.remove(&event.key),
            };
        }
        state
    }

    fn write(&mut self, writes: &[Write]) -> Result<u64, Bytes> {
        let state = self.at(self.newest);
        for write in writes {
            let modified = state.get(&write.key).map(|held| held.modified);
            match write.expect {
                Expect::Absent if modified.is_some() => return Err(write.key.clone()),
                Expect::At(revision) if modified != Some(revision) => return Err(write.key.clone()),
                _ => {}
            }
        }
        let revision = Revision(self.newest + 1);
        for write in writes {
            let before = state.get(&write.key).cloned();
            let created = before.as_ref().map_or(revision, |before| before.created);
            let put =
                |value: &Bytes| KeyValue { key: write.key.clone(), value: value.clone(), created, modified: revision };
            let now = match &write.change {
                Change::Put(value) => Some(put(value)),
                _ if before.is_none() => continue,
                _ => None,
            };
            self.events.push(Event { revision, key: write.key.clone(), now, before });
            self.newest = revision.0;
        }
        Ok(self.newest)
    }
}

/// The key with this number as a bound: the last one is no bound at all.
fn bound(number: usize) -> &'static [u8] {
    KEYS.get(number).map_or(b"", |key| key.as_bytes())
}

fn within(key: &[u8], from: usize, to: usize) -> bool {
    key >= bound(from) && (bound(to).is_empty() || key < bound(to))
}

/// Closes a store, if there is one, and opens it again.
type Reopen = dyn Fn(Option<Box<dyn Store>>) -> Box<dyn Store>;

struct Check {
    runtime: Runtime,
    model: Model,
    store: Option<Box<dyn Store>>,
    reopen: Box<Reopen>,
}

impl Check {
    fn new(reopen: impl Fn(Option<Box<dyn Store>>) -> Box<dyn Store> + 'static) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        Self { runtime, model: Model::default(), store: Some(reopen(None)), reopen: Box::new(reopen) }
    }

    fn store(&self) -> &dyn Store {
        self.store.as_deref().unwrap()
    }

    fn run(mut self, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Write(writes) => self.write(&writes),
                Step::Compact(before) => self.compact(before % (self.model.newest + 2)),
                Step::Reopen => self.store = Some((self.reopen)(self.store.take())),
                Step::Read { at, from, to, limit } => self.read(at % (self.model.newest + 2), from, to, limit),
                Step::Watch { after, from, to } => self.watch(after % (self.model.newest + 2), from, to),
            }
            assert_eq!(self.store().revision(), Revision(self.model.newest));
        }
        self.read(self.model.newest, KEYS.len(), KEYS.len(), 0);
        self.watch(self.model.compacted, KEYS.len(), KEYS.len());
    }

    fn write(&mut self, writes: &[(usize, Condition, Option<u8>)]) {
        let state = self.model.at(self.model.newest);
        let mut transaction: BTreeMap<&str, Write> = BTreeMap::new();
        for (key, condition, value) in writes {
            let current = state.get(KEYS[*key].as_bytes()).map_or(Revision(0), |held| held.modified);
            let expect = match condition {
                Condition::Anything => Expect::Anything,
                Condition::Absent => Expect::Absent,
                Condition::Current => Expect::At(current),
                Condition::Stale => Expect::At(Revision(current.0 + 1)),
            };
            let change = value.map_or(Change::Delete, |value| Change::Put(vec![value; usize::from(value)].into()));
            transaction.insert(KEYS[*key], expecting(KEYS[*key], expect, change));
        }
        let transaction: Vec<Write> = transaction.into_values().collect();
        let expected = self.model.write(&transaction);
        match (self.runtime.block_on(self.store().write(transaction)), expected) {
            (Ok(revision), Ok(expected)) => assert_eq!(revision.0, expected),
            (Err(Error::Conflict { key, current }), Err(expected)) => {
                assert_eq!((&key, current.as_ref()), (&expected, state.get(&expected)));
            }
            (answer, expected) => panic!("{answer:?} instead of {expected:?}"),
        }
    }

    fn compact(&mut self, before: u64) {
        let answer = self.runtime.block_on(self.store().compact(Revision(before)));
        if before > self.model.newest {
            assert!(matches!(answer, Err(Error::Future { .. })));
        } else {
            answer.unwrap();
            self.model.compacted = self.model.compacted.max(before);
        }
    }

    fn read(&self, at: u64, from: usize, to: usize, limit: usize) {
        let answer = self.runtime.block_on(self.store().range(bound(from), bound(to), limit, Some(Revision(at))));
        let Some(range) = self.allowed(at, answer) else { return };
        let mut expected: Vec<_> = self.model.at(at).into_values().filter(|held| within(&held.key, from, to)).collect();
        let shown = if limit == 0 { expected.len() } else { limit.min(expected.len()) };
        assert_eq!(range.remaining, (expected.len() - shown) as u64);
        expected.truncate(shown);
        assert_eq!((range.revision, range.items), (Revision(at), expected));
    }

    fn watch(&self, after: u64, from: usize, to: usize) {
        let answer = self.runtime.block_on(self.store().watch(bound(from), bound(to), Revision(after)));
        let Some(watch) = self.allowed(after, answer) else { return };
        let events = self.model.events.iter().filter(|event| event.revision.0 > after && within(&event.key, from, to));
        let expected: Vec<_> = events.cloned().collect();
        let seen: Vec<_> = self.runtime.block_on(watch.take(expected.len()).map(Result::unwrap).collect());
        assert_eq!(seen, expected);
    }

    /// The answer about `at`, if there must be one.
    fn allowed<T>(&self, at: u64, answer: Result<T, Error>) -> Option<T> {
        match answer {
            Err(Error::Future { .. }) => assert!(at > self.model.newest),
            Err(Error::Compacted { oldest, .. }) => {
                assert!(at < self.model.compacted && oldest.0 == self.model.compacted);
            }
            other => {
                assert!((self.model.compacted..=self.model.newest).contains(&at));
                return Some(other.unwrap());
            }
        }
        None
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn memory_does_what_the_model_does(steps in steps()) {
        Check::new(|store| store.unwrap_or_else(|| Box::new(Memory::new()))).run(steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn redb_does_what_the_model_does(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        Check::new(move |store| {
            drop(store);
            Box::new(common::redb(&dir))
        })
        .run(steps);
    }
}
