//! Reads the part of a list that was asked for.

use std::sync::Arc;

use bytes::Bytes;
use carob_store::{Error, Revision, prefix_end};

use super::{
    Call,
    get::reach,
    list_options::{At, ListOptions, token},
};
use crate::{
    cache::{Entry, Selection, Snapshot, decode},
    status::Status,
};

/// A part of a list.
pub(super) struct Page {
    pub(super) revision: u64,
    pub(super) entries: Vec<Arc<Entry>>,
    /// Gets the next part.
    pub(super) next: Option<String>,
    /// How many objects follow this part, where that is known.
    pub(super) remaining: Option<usize>,
}

impl Page {
    /// A list that is all in one part.
    pub(super) fn whole(revision: u64, entries: Vec<Arc<Entry>>) -> Self {
        Self { revision, entries, next: None, remaining: None }
    }
}

pub(super) async fn read(call: &Call, selection: &Selection, options: &ListOptions) -> Result<Page, Status> {
    let cache = &call.served.cache;
    let prefix = selection.prefix();
    let snapshot = match &options.at {
        At::Now => cache.snapshot(&prefix, None),
        At::NotOlderThan(revision) => {
            reach(call, *revision).await?;
            cache.snapshot(&prefix, None)
        }
        At::Exactly(revision) => {
            reach(call, *revision).await?;
            past(call, &prefix, None, *revision).await?
        }
        At::Behind { key, revision } if !key.starts_with(&prefix) => {
            return Err(Status::bad_request(format!(
                "continue key is not valid: {key:?} at {revision:?} is of another list"
            )));
        }
        At::Behind { key, revision: None } => cache.snapshot(&prefix, Some(key)),
        At::Behind { key, revision: Some(revision) } => {
            past(call, &prefix, Some(key), *revision).await.map_err(|error| offer_inconsistent(error, key))?
        }
    };
    Ok(cut(selection, options.limit, snapshot))
}

/// Objects as they were at `revision`: from the cache if nothing changed since, else from the store's history.
async fn past(call: &Call, prefix: &str, after: Option<&str>, revision: u64) -> Result<Snapshot, Status> {
    let snapshot = call.served.cache.snapshot(prefix, after);
    if snapshot.entries.iter().all(|entry| entry.revision <= revision) && call.served.cache.last_change() <= revision {
        return Ok(Snapshot { revision, ..snapshot });
    }
    let root = format!("/registry/{}/", call.served.resource.storage);
    let start = after.map_or(format!("{root}{prefix}"), |key| format!("{root}{key}\0"));
    let end = prefix_end(format!("{root}{prefix}").as_bytes());
    let range = call.api.store().range(start.as_bytes(), &end, 0, Some(Revision(revision))).await;
    let range = range.map_err(|error| match error {
        Error::Compacted { .. } => Status::expired(format!(
            "The provided resource version is too old: {revision} is no longer kept; list again without it"
        )),
        other => other.into(),
    })?;
    let entries = range.items.iter().filter_map(|item| {
        let key = std::str::from_utf8(&item.key).ok()?.strip_prefix(root.as_str())?;
        decode(call.served.resource, key, item, Bytes::from)
    });
    Ok(Snapshot { revision, entries: entries.collect() })
}

/// A list whose first part is too old to be continued consistently can go on inconsistently.
fn offer_inconsistent(error: Status, key: &str) -> Status {
    if error.reason() != "Expired" {
        return error;
    }
    Status::expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list without \
         the continue parameter, or use the continue token in this response to retrieve the remainder of the results. \
         Continuing with the provided token results in an inconsistent list - objects that were created, modified, or \
         deleted between the time the first chunk was returned and now may show up in the list.",
    )
    .with_continue(token(key, None))
}

/// Takes the first `limit` objects that match.
fn cut(selection: &Selection, limit: Option<usize>, snapshot: Snapshot) -> Page {
    let Snapshot { revision, entries } = snapshot;
    let mut chosen = entries.into_iter().filter(|entry| selection.is_by_key() || selection.matches(entry));
    let Some(limit) = limit else { return Page::whole(revision, chosen.collect()) };
    let entries: Vec<Arc<Entry>> = chosen.by_ref().take(limit).collect();
    let left = chosen.count();
    let next = entries.last().filter(|_| left > 0).map(|last| token(&last.key, Some(revision)));
    let remaining = (left > 0 && selection.is_by_key()).then_some(left);
    Page { revision, entries, next, remaining }
}
