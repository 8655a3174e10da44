//! What happens to objects, as it happens.

use std::{collections::VecDeque, convert::Infallible, future::pending, sync::Arc, time::Duration};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use carob_store::{Event, Revision, prefix_end};
use futures::{StreamExt, stream, stream::BoxStream};
use http::StatusCode;

use super::{
    Call,
    list_options::invalid,
    respond::encoded,
    watch_alarms::{Alarm, Alarms},
    watch_format::Format,
};
use crate::{
    cache::{Applied, Change, Cursor, Entry, Selection, Snapshot, TooSlow, change_of, seen},
    metrics::Watching,
    registry::Served,
    request::Query,
    status::Status,
};

/// How many changes, or how many bytes of first objects, are handled between two looks at the clock.
const CHANGES: usize = 256;
const PIECE: usize = 64 << 10;

pub(super) async fn watch(call: Call) -> Result<Response, Status> {
    let selection = Selection::parse(call.served.resource, &call.address, &call.query)?;
    let options = WatchOptions::parse(&call.query)?;
    // Boxed, since the stream moves it with every piece.
    let watcher = Box::new(Watcher::start(call, selection, &options).await?);
    let events = stream::unfold(watcher, |mut watcher| async move {
        let piece = watcher.next().await?;
        Some((Ok::<_, Infallible>(piece), watcher))
    });
    Ok(encoded(StatusCode::OK, Body::from_stream(events)))
}

/// What a watch may be told.
struct WatchOptions {
    revision: u64,
    /// Whether the objects that are there come first.
    initial: bool,
    /// Whether their end is told.
    initial_end: bool,
    bookmarks: bool,
    lasts: Duration,
}

impl WatchOptions {
    fn parse(query: &Query) -> Result<Self, Status> {
        let revision = query.revision()?.unwrap_or(0);
        let bookmarks = query.flag("allowWatchBookmarks");
        let asked = query.get("sendInitialEvents").map(|_| query.flag("sendInitialEvents"));
        match (asked, query.get("resourceVersionMatch")) {
            (None, Some(_)) => Err(invalid(
                "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            )),
            (Some(_), rule) if rule != Some("NotOlderThan") => Err(invalid(
                "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            )),
            (asked, _) => Ok(Self {
                revision,
                initial: asked.unwrap_or(revision == 0),
                initial_end: asked == Some(true) && bookmarks,
                bookmarks,
                lasts: lasts(query)?,
            }),
        }
    }
}

/// Without a wish, half an hour to an hour, so that clients do not all come back at once.
fn lasts(query: &Query) -> Result<Duration, Status> {
    let asked = query.number("timeoutSeconds")?.and_then(|seconds| u64::try_from(seconds).ok()).filter(|s| *s > 0);
    Ok(Duration::from_secs(asked.unwrap_or_else(|| rand::random_range(1800..3600))))
}

/// One watch.
struct Watcher {
    served: Arc<Served>,
    selection: Selection,
    format: Format,
    applied: Applied,
    source: Source,
    ready: VecDeque<Bytes>,
    /// Everything up to here was sent, or is not of this watch.
    revision: u64,
    /// The revision of the last change that was looked at.
    looked_at: u64,
    bookmarks: bool,
    alarms: Alarms,
    ended: bool,
    _counted: Watching,
}

/// Where changes come from.
enum Source {
    Ring(Cursor),
    /// The store's own history, for a watch that begins before the ring.
    History(BoxStream<'static, Result<Event, carob_store::Error>>),
    /// There is none: the watch begins too far back.
    Nothing,
}

/// What woke a watch.
enum Wake {
    Changes(Vec<Arc<Change>>),
    Alarm(Alarm),
    Broken(Status),
}

impl Watcher {
    async fn start(call: Call, selection: Selection, options: &WatchOptions) -> Result<Self, Status> {
        let (source, first, revision, error) = open(&call, &selection, options).await?;
        let mut watcher = Self {
            served: call.served.clone(),
            selection,
            applied: call.api.applied().clone(),
            source,
            ready: VecDeque::new(),
            revision,
            looked_at: revision,
            bookmarks: options.bookmarks,
            alarms: Alarms::new(options.lasts, options.bookmarks, &call.api.ending()),
            ended: error.is_some(),
            _counted: call.api.metrics().watching(call.served.resource),
            format: Format::new(call),
        };
        watcher.ready.extend(error.map(|status| watcher.format.error(&status)));
        watcher.begin(first, options);
        Ok(watcher)
    }

    /// Puts what was there before into line, and the word that this was all.
    fn begin(&mut self, first: Vec<Arc<Entry>>, options: &WatchOptions) {
        let mut piece = Vec::new();
        for entry in first {
            self.format.initial(&entry, &mut piece);
            if piece.len() > PIECE {
                self.ready.push_back(std::mem::take(&mut piece).into());
            }
        }
        if !piece.is_empty() {
            self.ready.push_back(piece.into());
        }
        if options.initial_end && !self.ended {
            self.ready.push_back(self.format.bookmark(self.revision, true));
        }
    }

    /// The next piece of the body; `None` when the watch is over.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Some(piece);
            }
            if self.ended {
                return None;
            }
            match self.wake().await {
                Wake::Changes(changes) => changes.iter().for_each(|change| self.take(change)),
                Wake::Alarm(alarm) => {
                    self.bookmark();
                    self.ended = alarm == Alarm::End;
                }
                Wake::Broken(status) => {
                    self.ready.push_back(self.format.error(&status));
                    self.ended = true;
                }
            }
        }
    }

    fn take(&mut self, change: &Change) {
        if change.revision() <= self.revision {
            return;
        }
        self.looked_at = change.revision();
        if let Some(kind) = seen(change, &self.selection) {
            self.ready.push_back(self.format.change(change, kind));
        }
    }

    fn bookmark(&mut self) {
        if self.bookmarks && self.is_level() {
            self.ready.push_back(self.format.bookmark(self.revision.max(self.looked_at), false));
        }
    }

    /// Whether there is nothing left to look at; then the watch has come as far as the caches have.
    fn is_level(&mut self) -> bool {
        let Source::Ring(cursor) = &mut self.source else { return true };
        let seen = self.applied.now();
        let level = cursor.is_level();
        if level {
            self.revision = self.revision.max(seen);
        }
        level
    }

    async fn wake(&mut self) -> Wake {
        tokio::select! {
            biased;
            wake = step(&mut self.source, &self.served, &self.applied, &mut self.revision) => wake,
            alarm = self.alarms.ring() => Wake::Alarm(alarm),
        }
    }
}

/// Waits for changes. `revision` moves on to what is known to be without any.
async fn step(source: &mut Source, served: &Served, applied: &Applied, revision: &mut u64) -> Wake {
    match source {
        Source::Ring(cursor) => loop {
            let seen = applied.now();
            match cursor.take(CHANGES) {
                Err(TooSlow) => return Wake::Broken(too_slow(*revision)),
                Ok(changes) if !changes.is_empty() => return Wake::Changes(changes),
                Ok(_) => *revision = seen.max(*revision),
            }
            cursor.moved().await;
        },
        Source::History(events) => match events.next().await {
            Some(Ok(event)) => Wake::Changes(change_of(served.resource, &event).map(Arc::new).into_iter().collect()),
            Some(Err(error)) => Wake::Broken(error.into()),
            None => Wake::Alarm(Alarm::End),
        },
        Source::Nothing => pending().await,
    }
}

fn too_slow(revision: u64) -> Status {
    Status::expired(format!("too old resource version: {revision}: the watch fell behind and must begin again"))
}

type Opened = (Source, Vec<Arc<Entry>>, u64, Option<Status>);

/// Finds where the watch's changes come from, and the objects it begins with.
async fn open(call: &Call, selection: &Selection, options: &WatchOptions) -> Result<Opened, Status> {
    let cache = &call.served.cache;
    if options.initial || options.revision == 0 {
        super::get::reach(call, options.revision).await?;
        let (Snapshot { revision, mut entries }, cursor) = cache.snapshot_and_cursor(&selection.prefix());
        entries.retain(|entry| options.initial && selection.matches(entry));
        return Ok((Source::Ring(cursor), entries, revision, None));
    }
    if let Some(cursor) = cache.cursor(options.revision) {
        return Ok((Source::Ring(cursor), Vec::new(), options.revision, None));
    }
    let prefix = format!("/registry/{}/{}", call.served.resource.storage, selection.prefix());
    let end = prefix_end(prefix.as_bytes());
    match call.api.store().watch(prefix.as_bytes(), &end, Revision(options.revision)).await {
        Ok(events) => Ok((Source::History(events), Vec::new(), options.revision, None)),
        Err(error) => Ok((Source::Nothing, Vec::new(), options.revision, Some(error.into()))),
    }
}
