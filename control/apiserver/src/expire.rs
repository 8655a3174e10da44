//! Lets Events go an hour after they were last seen, as Kubernetes does: nobody else deletes them.

use std::{sync::Arc, time::Duration};

use carob_store::{Change, Error, Expect, Revision, Store, Write};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::registry::Registry;

const LIFE: SignedDuration = SignedDuration::from_hours(1);
const BETWEEN_LOOKS: Duration = Duration::from_secs(300);

/// Removes Events that are too old, for ever.
pub(crate) async fn expire(store: Arc<dyn Store>, registry: Arc<Registry>) {
    loop {
        tokio::time::sleep(BETWEEN_LOOKS).await;
        if let Err(error) = remove(&*store, &registry, Timestamp::now()).await {
            tracing::warn!(%error, "old events could not be removed");
        }
    }
}

/// Removes the Events that are too old now. One that is written meanwhile stays.
async fn remove(store: &dyn Store, registry: &Registry, now: Timestamp) -> Result<(), Error> {
    let Some(events) = registry.core("events") else { return Ok(()) };
    for entry in events.cache.snapshot("", None).entries {
        if !is_old(&entry.object(), now) {
            continue;
        }
        let key = events.store_key(entry.namespace(), entry.name()).into();
        let write = Write { key, expect: Expect::At(Revision(entry.revision)), change: Change::Delete };
        match store.write(vec![write]).await {
            Ok(_) | Err(Error::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether an Event was last seen longer ago than Events live.
fn is_old(event: &Value, now: Timestamp) -> bool {
    let times = ["/metadata/creationTimestamp", "/lastTimestamp", "/eventTime", "/series/lastObservedTime"];
    let seen = times.iter().filter_map(|at| event.pointer(at)?.as_str()?.parse::<Timestamp>().ok()).max();
    seen.is_some_and(|seen| now.duration_since(seen) > LIFE)
}

#[cfg(test)]
mod tests {
    use carob_store::Memory;
    use serde_json::json;

    use super::*;
    use crate::{
        cache::{Applied, load},
        codec,
    };

    #[test]
    fn the_last_sighting_counts() {
        let now: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let old = "2026-01-01T10:00:00Z";
        let cases = [
            (json!({ "metadata": { "creationTimestamp": old } }), true),
            (json!({ "metadata": { "creationTimestamp": "2026-01-01T11:30:00Z" } }), false),
            (json!({ "metadata": { "creationTimestamp": old }, "lastTimestamp": "2026-01-01T11:59:00Z" }), false),
            (
                json!({ "metadata": { "creationTimestamp": old }, "series": { "lastObservedTime": "2026-01-01T11:59:00.5Z" } }),
                false,
            ),
            (json!({ "metadata": {} }), false),
        ];
        for (event, expected) in cases {
            assert_eq!(is_old(&event, now), expected, "{event}");
        }
    }

    #[tokio::test]
    async fn only_old_events_go() {
        let store = Memory::new();
        let put = |name: &str, time: &str| Write {
            key: format!("/registry/events/default/{name}").into(),
            expect: Expect::Absent,
            change: Change::Put(codec::encode(&json!({ "metadata": { "name": name, "creationTimestamp": time } }))),
        };
        store.write(vec![put("old", "2026-01-01T10:00:00Z"), put("new", "2026-01-01T11:30:00Z")]).await.unwrap();
        let applied = Applied::new();
        let registry = Registry::new(carob_resources::all(), &applied);
        load(&store, &registry, &applied).await.unwrap();
        remove(&store, &registry, "2026-01-01T12:00:00Z".parse().unwrap()).await.unwrap();
        assert!(store.get(b"/registry/events/default/old").await.unwrap().is_none());
        assert!(store.get(b"/registry/events/default/new").await.unwrap().is_some());
    }
}
