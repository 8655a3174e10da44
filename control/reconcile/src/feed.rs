//! List, then watch, for ever: what keeps an informer true.

use std::time::Duration;

use futures::{Stream, StreamExt};
use kube::Resource;
use kube::api::{ListParams, WatchEvent};
use tokio::time::{sleep, timeout};

use crate::backoff::Backoff;
use crate::informer::Informer;
use crate::key::revision_of;
use crate::source::Source;

const PAGE: u32 = 500;
/// Longer than the server is asked to keep a watch open: past it the connection is dead without having said so.
const SILENCE: Duration = Duration::from_secs(330);

/// Why one watch ended.
enum Ended {
    /// Ask again from the last revision seen.
    Resume,
    /// The server no longer keeps that revision: list again.
    Expired,
}

/// Keeps the informer true until it is dropped. Never returns.
pub async fn follow<K, S>(source: S, informer: Informer<K>)
where
    K: Resource + Clone + Send + Sync + 'static,
    S: Source<K>,
{
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(10));
    loop {
        match list(&source).await {
            Ok((items, version)) => {
                backoff.reset();
                informer.replace(items, version.parse().unwrap_or(0));
                watch(&source, &informer, version).await;
            }
            Err(error) => {
                tracing::warn!(kind = informer.kind(), %error, "cannot list; trying again");
                sleep(backoff.pause()).await;
            }
        }
    }
}

async fn list<K: Clone, S: Source<K>>(source: &S) -> kube::Result<(Vec<K>, String)> {
    let mut params = ListParams::default().limit(PAGE);
    let mut items = Vec::new();
    loop {
        let page = source.list(&params).await?;
        items.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params.continue_token = Some(token),
            None => return Ok((items, page.metadata.resource_version.unwrap_or_default())),
        }
    }
}

/// Watches from `version`, again and again, until the server has forgotten the revision.
async fn watch<K, S>(source: &S, informer: &Informer<K>, mut version: String)
where
    K: Resource + Clone + Send + Sync + 'static,
    S: Source<K>,
{
    let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(5));
    loop {
        let before = version.clone();
        match source.watch(&version).await {
            Ok(stream) => {
                if let Ended::Expired = consume(stream, informer, &mut version).await {
                    return;
                }
            }
            Err(kube::Error::Api(status)) if status.code == 410 => return,
            Err(error) => tracing::debug!(kind = informer.kind(), %error, "cannot watch; trying again"),
        }
        if version != before {
            backoff.reset();
        }
        sleep(backoff.pause()).await;
    }
}

async fn consume<K, S>(mut stream: S, informer: &Informer<K>, version: &mut String) -> Ended
where
    K: Resource + Clone + Send + Sync + 'static,
    S: Stream<Item = kube::Result<WatchEvent<K>>> + Unpin,
{
    while let Ok(Some(event)) = timeout(SILENCE, stream.next()).await {
        match event {
            Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)) => {
                advance(version, &object);
                informer.apply(object);
            }
            Ok(WatchEvent::Deleted(object)) => {
                advance(version, &object);
                informer.delete(&object);
            }
            Ok(WatchEvent::Bookmark(bookmark)) => {
                informer.bookmark(bookmark.metadata.resource_version.parse().unwrap_or(0));
                *version = bookmark.metadata.resource_version;
            }
            Ok(WatchEvent::Error(status)) if status.code == 410 => return Ended::Expired,
            Ok(WatchEvent::Error(status)) => {
                tracing::debug!(kind = informer.kind(), %status, "the watch ended");
                return Ended::Resume;
            }
            Err(error) => {
                tracing::debug!(kind = informer.kind(), %error, "the watch broke");
                return Ended::Resume;
            }
        }
    }
    Ended::Resume
}

/// The version only moves forward: a server that repeats an event must not take us back.
fn advance<K: Resource>(version: &mut String, object: &K) {
    if revision_of(object.meta()) > version.parse().unwrap_or(0) {
        *version = revision_of(object.meta()).to_string();
    }
}
