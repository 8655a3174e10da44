//! One change of an object, as watchers see it.

use std::sync::Arc;

use bytes::Bytes;
use carob_resources::Resource;
use carob_store::{Event, KeyValue};

use super::{
    Entry, Selection,
    entry::{Selectable, served},
};
use crate::codec;

/// What happened to an object, from the point of view of a watcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Added,
    Modified,
    Deleted,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

/// A committed change. The watch frame and the object share their bytes.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) kind: Kind,
    /// The object now; of a deleted one its last state, at the revision of the deletion.
    pub(crate) entry: Arc<Entry>,
    /// The object before, if it was there.
    before: Option<Arc<Entry>>,
    frame: Bytes,
}

impl Change {
    /// The change that an event of the store is for one resource; `before` is what that resource held, `known` what there is
    /// for selectors in what it holds now, which is parsed if that is not known.
    ///
    /// `None` for a deletion of what was not there, and for bytes that are no object (which is logged).
    pub(super) fn new(
        resource: &Resource,
        key: &str,
        event: &Event,
        before: Option<Arc<Entry>>,
        known: Option<Selectable>,
    ) -> Option<Self> {
        let revision = event.revision.0;
        let Some(now) = &event.now else {
            let mut frame = Bytes::new();
            let entry = before.as_ref()?.at(revision, |object| wrap(&mut frame, Kind::Deleted, &object));
            return Some(Self { kind: Kind::Deleted, entry, before, frame });
        };
        let kind = if before.is_some() { Kind::Modified } else { Kind::Added };
        let mut frame = Bytes::new();
        let mut framed = |object: Vec<u8>| wrap(&mut frame, kind, &object);
        let entry = match known {
            Some(known) => Arc::new(Entry::new(key, revision, framed(codec::splice(&now.value, revision)), known)),
            None => decode(resource, key, now, framed)?,
        };
        Some(Self { kind, entry, before, frame })
    }

    pub(crate) fn revision(&self) -> u64 {
        self.entry.revision
    }

    /// About how much memory it holds.
    pub(crate) fn weight(&self) -> usize {
        self.frame.len() + 256
    }

    /// The whole watch event, as it goes over the wire, when it is seen as `kind`.
    pub(crate) fn frame(&self, kind: Kind) -> Bytes {
        if kind == self.kind {
            return self.frame.clone();
        }
        let mut frame = Bytes::new();
        wrap(&mut frame, kind, &self.shown(kind).bytes);
        frame
    }

    /// The object that an event of this kind shows: one that leaves a selection is shown as it was, at the new revision.
    pub(crate) fn shown(&self, kind: Kind) -> Arc<Entry> {
        match &self.before {
            Some(before) if kind == Kind::Deleted && self.kind != Kind::Deleted => {
                before.at(self.revision(), Bytes::from)
            }
            _ => self.entry.clone(),
        }
    }
}

/// The change that an event of the store's history is for one resource.
pub(crate) fn change_of(resource: &Resource, event: &Event) -> Option<Change> {
    let prefix = format!("/registry/{}/", resource.storage);
    let key = std::str::from_utf8(&event.key).ok()?.strip_prefix(prefix.as_str())?;
    let before = event.before.as_ref().and_then(|held| decode(resource, key, held, Bytes::from));
    Change::new(resource, key, event, before, None)
}

/// As what a change is seen by a watcher of `selection`, if at all.
pub(crate) fn seen(change: &Change, selection: &Selection) -> Option<Kind> {
    let was = change.before.as_ref().is_some_and(|before| selection.matches(before));
    let is = change.kind != Kind::Deleted && selection.matches(&change.entry);
    match (was, is) {
        (false, true) => Some(Kind::Added),
        (true, true) => Some(Kind::Modified),
        (true, false) => Some(Kind::Deleted),
        (false, false) => None,
    }
}

/// The entry for what the store holds under a key; bytes that are no object are logged and left out.
pub(crate) fn decode(
    resource: &Resource,
    key: &str,
    held: &KeyValue,
    wrap: impl FnOnce(Vec<u8>) -> Bytes,
) -> Option<Arc<Entry>> {
    let revision = held.modified.0;
    match served(resource, &held.value, revision) {
        Ok((object, bytes)) => {
            let selectable = Selectable::of(resource, &object);
            Some(Arc::new(Entry::new(key, revision, wrap(bytes), selectable)))
        }
        Err(error) => {
            tracing::error!(key, resource = resource.plural, %error, "the store holds no JSON here; left out");
            None
        }
    }
}

/// Builds a watch event around an object and returns the object's part of it.
fn wrap(frame: &mut Bytes, kind: Kind, object: &[u8]) -> Bytes {
    let head = format!("{{\"type\":\"{}\",\"object\":", kind.name());
    let mut out = Vec::with_capacity(head.len() + object.len() + 2);
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(object);
    out.extend_from_slice(b"}\n");
    *frame = out.into();
    frame.slice(head.len()..frame.len() - 2)
}
