//! Follows the store's log into the caches.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use carob_store::{Error, Event, KeyValue, Revision, Store, prefix_end};
use futures::StreamExt;
use tokio::sync::watch;

use crate::registry::{Registry, Served};

/// How many events are applied at most before their readers are woken.
const BATCH: usize = 1024;
const RETRY: Duration = Duration::from_millis(100);

/// The newest revision that all caches have seen.
#[derive(Clone)]
pub(crate) struct Applied(Arc<watch::Sender<u64>>);

impl Applied {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }

    pub(crate) fn now(&self) -> u64 {
        *self.0.borrow()
    }

    /// Waits until the caches have seen `revision`.
    pub(crate) async fn reach(&self, revision: u64) {
        // The sender is held by `self`.
        let _ = self.0.subscribe().wait_for(|applied| *applied >= revision).await;
    }
}

/// Fills the caches from the store, as of one revision.
pub(crate) async fn load(store: &dyn Store, registry: &Registry, applied: &Applied) -> Result<(), Error> {
    let at = store.revision();
    let mut by_storage: BTreeMap<&str, Vec<&Served>> = BTreeMap::new();
    for served in registry.iter() {
        by_storage.entry(served.resource.storage).or_default().push(served);
    }
    for (storage, all) in by_storage {
        let prefix = format!("/registry/{storage}/");
        let held = store.range(prefix.as_bytes(), &prefix_end(prefix.as_bytes()), 0, Some(at)).await?;
        for served in all {
            served.cache.fill(held.items.iter().filter_map(|item| relative(item, &prefix)), at.0);
        }
    }
    applied.0.send_replace(at.0);
    Ok(())
}

/// Applies all that happens in the store, for ever. A broken stream is taken up where it broke.
pub(crate) async fn follow(store: Arc<dyn Store>, registry: Arc<Registry>, applied: Applied) {
    loop {
        // The whole store, so that revisions that touch no object move the caches on too.
        match store.watch(b"", b"", Revision(applied.now())).await {
            Ok(events) => {
                let mut batches = events.ready_chunks(BATCH);
                while let Some(batch) = batches.next().await {
                    apply(&registry, &applied, batch);
                }
                tracing::warn!("the store's log ended; following it again");
            }
            Err(error) => tracing::error!(%error, "the store's log cannot be followed"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

fn apply(registry: &Registry, applied: &Applied, batch: Vec<Result<Event, Error>>) {
    let events: Vec<Event> = batch.into_iter().map_while(Result::ok).collect();
    let Some(last) = events.last().map(|event| event.revision.0) else { return };
    let mut by_storage: HashMap<&str, Vec<(&str, &Event)>> = HashMap::new();
    for event in &events {
        if let Some((storage, key)) = split(&event.key) {
            by_storage.entry(storage).or_default().push((key, event));
        }
    }
    for (storage, events) in by_storage {
        for served in registry.stored_as(storage) {
            served.cache.apply(events.iter().copied());
        }
    }
    applied.0.send_replace(last);
}

/// The storage name and the object's key of a key of the store.
fn split(key: &[u8]) -> Option<(&str, &str)> {
    std::str::from_utf8(key).ok()?.strip_prefix("/registry/")?.split_once('/')
}

fn relative(item: &KeyValue, prefix: &str) -> Option<(String, KeyValue)> {
    let key = std::str::from_utf8(&item.key).ok()?.strip_prefix(prefix)?;
    Some((key.to_owned(), item.clone()))
}
