//! Watching: a stream that follows the commits from any kept revision.
//!
//! A watcher holds a place in the history and a small chunk of events, nothing else: the writer never waits for it and
//! keeps nothing for it. While it keeps up it reads the recent events in memory; when it is behind, it reads the log; when
//! what it needs is compacted, it ends with an error. It waits only when it stands at the newest revision, so it can
//! neither miss an event nor see one twice.

use std::{
    collections::VecDeque,
    sync::{Arc, Weak},
};

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt, unfold};
use tokio::sync::watch;

use crate::{
    Error, Event, Revision,
    core::{Core, State, read},
    index::Version,
    log::{Log, Read},
    record::Record,
};

/// How many events a watcher takes at a time, about: whole transactions are taken.
const CHUNK: usize = 256;

/// Follows the keys from `start` to `end` after `after`.
pub(crate) fn watch<L: Log>(
    core: &Arc<Core<L>>,
    start: &[u8],
    end: &[u8],
    after: Revision,
) -> Result<BoxStream<'static, Result<Event, Error>>, Error> {
    core.state.read().check(after)?;
    let watcher = Watcher {
        commits: core.commits(),
        core: Arc::downgrade(core),
        keys: Keys { start: Bytes::copy_from_slice(start), end: Bytes::copy_from_slice(end) },
        after,
        chunk: VecDeque::new(),
        ended: false,
    };
    Ok(unfold(watcher, |mut watcher| async { watcher.next().await.map(|event| (event, watcher)) }).boxed())
}

#[derive(Clone)]
struct Keys {
    start: Bytes,
    /// Empty: no end.
    end: Bytes,
}

impl Keys {
    fn contain(&self, key: &[u8]) -> bool {
        key >= &*self.start && (self.end.is_empty() || key < &*self.end)
    }
}

struct Watcher<L> {
    /// Weak: a watcher that nobody polls must not keep the file open.
    core: Weak<Core<L>>,
    commits: watch::Receiver<Revision>,
    keys: Keys,
    /// Everything up to here was delivered, or stands in `chunk`.
    after: Revision,
    chunk: VecDeque<Event>,
    ended: bool,
}

impl<L: Log> Watcher<L> {
    async fn next(&mut self) -> Option<Result<Event, Error>> {
        loop {
            if let Some(event) = self.chunk.pop_front() {
                return Some(Ok(event));
            }
            if self.ended {
                return None;
            }
            // Before looking, so that a commit after the look is a change.
            self.commits.mark_unchanged();
            match self.advance().await? {
                Ok(true) => {}
                Ok(false) => self.commits.changed().await.ok()?,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
    }

    /// Moves on by one chunk. False if there is nothing after where the watcher stands; `None` if the store is closed.
    async fn advance(&mut self) -> Option<Result<bool, Error>> {
        let core = self.core.upgrade()?;
        let from_memory = chunk_in_memory(&core.state.read(), &self.keys, self.after);
        let chunk = match from_memory {
            Ok(Some(chunk)) => Ok(chunk),
            Ok(None) => {
                let (keys, after) = (self.keys.clone(), self.after);
                core.off_thread(move |core| chunk_in_log(core, &keys, after)).await
            }
            Err(error) => Err(error),
        };
        Some(chunk.map(|(events, through)| {
            let moved = through > self.after;
            self.chunk.extend(events);
            self.after = through;
            moved
        }))
    }
}

/// Events in order, and the revision up to which they are complete.
type Chunk = (Vec<Event>, Revision);

/// `None` if the events needed are only in the log.
fn chunk_in_memory(state: &State, keys: &Keys, after: Revision) -> Result<Option<Chunk>, Error> {
    state.check(after)?;
    let Some(recent) = state.recent.after(after) else { return Ok(None) };
    let (mut events, mut through) = (Vec::new(), after);
    for event in recent {
        if event.revision > through && events.len() >= CHUNK {
            return Ok(Some((events, through)));
        }
        through = event.revision;
        if keys.contain(&event.key) {
            events.push(event.clone());
        }
    }
    Ok(Some((events, state.revision)))
}

fn chunk_in_log<L: Log>(core: &Core<L>, keys: &Keys, after: Revision) -> Result<Chunk, Error> {
    let reader = {
        let state = core.state.read();
        state.check(after)?;
        core.log.reader()?
    };
    let records = reader.records(after, CHUNK)?;
    let through = records.last().map_or(after, |last| last.revision);
    let wanted: Vec<Record> = records.into_iter().filter(|record| keys.contain(&record.key)).collect();
    let before: Vec<Option<Version>> = {
        let state = core.state.read();
        // Compaction may have gone by since: then versions are missing from the index, and this chunk would lie.
        state.check(after)?;
        wanted.iter().map(|record| state.index.before(&record.key, record.revision)).collect()
    };
    let events = wanted.iter().zip(before).map(|(record, before)| event(record, before, &reader));
    Ok((events.collect::<Result<_, _>>()?, through))
}

fn event(record: &Record, before: Option<Version>, reader: &impl Read) -> Result<Event, Error> {
    Ok(Event {
        revision: record.revision,
        key: record.key.clone(),
        now: record.key_value(),
        before: before.map(|version| read(record.key.clone(), version, reader)).transpose()?,
    })
}
