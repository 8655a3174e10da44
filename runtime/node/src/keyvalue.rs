//! The buckets of `wasi:keyvalue`: one file of this node, a space for each namespace.
//!
//! A space is named by the namespace's UID, so that a namespace that is made again begins with nothing.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use carob_engine::{BucketError, Keys, Swapped};
use carob_keyvalue::{KeyValues, Limits};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use k8s_openapi::api::core::v1::Namespace;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt};
use tokio::sync::OnceCell;

/// The file is opened, and made, when the first container declares a bucket.
pub(crate) struct Buckets {
    path: PathBuf,
    opened: OnceCell<KeyValues>,
}

impl Buckets {
    pub(crate) fn new(path: PathBuf) -> Buckets {
        Buckets { path, opened: OnceCell::new() }
    }

    /// A bucket of the namespace with this UID. The error is for a container's status.
    pub(crate) async fn bucket(&self, namespace: &str, name: &str) -> Result<Arc<dyn carob_engine::Bucket>, String> {
        Ok(Arc::new(Bucket(self.open().await?.bucket(namespace, name))))
    }

    /// Removes the buckets of namespaces that are gone. Ends never.
    pub(crate) async fn follow_namespaces(&self, client: Client) {
        let mut events = watcher(Api::<Namespace>::all(client), watcher::Config::default()).default_backoff().boxed();
        let mut listing = Listing::default();
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init) => listing = Listing { had: self.spaces().await, listed: HashSet::new() },
                Ok(Event::InitApply(namespace)) => listing.listed.extend(namespace.uid()),
                Ok(Event::InitDone) => self.remove(std::mem::take(&mut listing).vanished()).await,
                Ok(Event::Delete(namespace)) => self.remove(namespace.uid().into_iter().collect()).await,
                Ok(Event::Apply(_)) => {}
                Err(error) => tracing::warn!(%error, "the watch of namespaces failed; it is tried again"),
            }
        }
    }

    async fn open(&self) -> Result<&KeyValues, String> {
        let path = self.path.clone();
        let open = || async move {
            let opened = tokio::task::spawn_blocking(move || KeyValues::open(&path, Limits::default())).await;
            opened.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
        };
        self.opened.get_or_try_init(open).await
    }

    /// What the file holds; nothing where there is no file.
    async fn spaces(&self) -> Vec<String> {
        if !self.path.exists() {
            return Vec::new();
        }
        let spaces = match self.open().await {
            Ok(keyvalues) => keyvalues.spaces().await.map_err(|error| error.to_string()),
            Err(error) => Err(error),
        };
        spaces.unwrap_or_else(|error| {
            tracing::warn!(error, "the buckets of namespaces that are gone cannot be looked for");
            Vec::new()
        })
    }

    async fn remove(&self, namespaces: Vec<String>) {
        // Whoever opens the file later finds nothing of them in it.
        let Some(keyvalues) = self.opened.get() else { return };
        for namespace in namespaces {
            if let Err(error) = keyvalues.remove(&namespace).await {
                tracing::warn!(namespace, %error, "the buckets of a deleted namespace could not be removed");
            }
        }
    }
}

/// A list of namespaces that is under way.
#[derive(Default)]
struct Listing {
    /// The spaces that there were when it began: a namespace that is made meanwhile is not among them.
    had: Vec<String>,
    listed: HashSet<String>,
}

impl Listing {
    fn vanished(self) -> Vec<String> {
        self.had.into_iter().filter(|space| !self.listed.contains(space)).collect()
    }
}

/// A bucket, in the engine's words.
struct Bucket(carob_keyvalue::Bucket);

fn told(error: carob_keyvalue::Error) -> BucketError {
    BucketError(error.to_string())
}

impl carob_engine::Bucket for Bucket {
    fn get(&self, keys: Vec<String>) -> BoxFuture<'_, Result<Vec<Option<Vec<u8>>>, BucketError>> {
        async { self.0.get(keys).await.map_err(told) }.boxed()
    }

    fn set(&self, entries: Vec<(String, Vec<u8>)>) -> BoxFuture<'_, Result<(), BucketError>> {
        async { self.0.set(entries).await.map_err(told) }.boxed()
    }

    fn delete(&self, keys: Vec<String>) -> BoxFuture<'_, Result<(), BucketError>> {
        async { self.0.delete(keys).await.map_err(told) }.boxed()
    }

    fn list(&self, after: Option<String>) -> BoxFuture<'_, Result<Keys, BucketError>> {
        async {
            let page = self.0.list(after).await.map_err(told)?;
            Ok(Keys { keys: page.keys, more: page.more })
        }
        .boxed()
    }

    fn increment(&self, key: String, delta: i128, min: i128, max: i128) -> BoxFuture<'_, Result<i128, BucketError>> {
        async move { self.0.increment(key, delta, min, max).await.map_err(told) }.boxed()
    }

    fn swap(
        &self,
        key: String,
        expected: Option<Vec<u8>>,
        value: Vec<u8>,
    ) -> BoxFuture<'_, Result<Swapped, BucketError>> {
        async {
            let swapped = self.0.swap(key, expected, value).await.map_err(told)?;
            Ok(match swapped {
                carob_keyvalue::Swapped::Done => Swapped::Done,
                carob_keyvalue::Swapped::Changed(value) => Swapped::Changed(value),
            })
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use carob_apiserver::{ApiServer, Config, Identity};
    use kube::api::{DeleteParams, PostParams};
    use serde_json::json;

    use super::*;

    async fn client() -> Client {
        let config = Config { advertise: ("192.0.2.1".parse().unwrap(), 6443), ..Config::default() };
        let api = ApiServer::new(Arc::new(carob_store::Memory::new()), config).await.unwrap();
        let admin = Identity::user("admin").group("system:masters");
        Client::new(api.client(admin), "default")
    }

    async fn created(client: &Client, name: &str) -> String {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        let namespaces = Api::<Namespace>::all(client.clone());
        let created = namespaces.create(&PostParams::default(), &serde_json::from_value(namespace).unwrap()).await;
        created.unwrap().uid().unwrap()
    }

    async fn until_spaces_are(buckets: &Buckets, expected: &[&str]) {
        let mut expected: Vec<String> = expected.iter().map(|space| (*space).to_owned()).collect();
        expected.sort();
        tokio::time::timeout(std::time::Duration::from_secs(60), async {
            while buckets.spaces().await != expected {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        })
        .await
        .expect("the spaces are those of the namespaces");
    }

    #[tokio::test]
    async fn buckets_go_with_their_namespace() {
        let (client, folder) = (client().await, tempfile::tempdir().unwrap());
        let buckets = Arc::new(Buckets::new(folder.path().join("buckets.redb")));
        let (kept, deleted) = (created(&client, "kept").await, created(&client, "deleted").await);
        // The third is of a namespace that was deleted while the node was away.
        for space in [&kept, &deleted, "vanished"] {
            let bucket = buckets.bucket(space, "b").await.unwrap();
            bucket.set(vec![("key".into(), b"value".to_vec())]).await.unwrap();
        }
        let following = (buckets.clone(), client.clone());
        let task = tokio::spawn(async move { following.0.follow_namespaces(following.1).await });
        until_spaces_are(&buckets, &[&kept, &deleted]).await;
        let namespaces = Api::<Namespace>::all(client.clone());
        namespaces.delete("deleted", &DeleteParams::default()).await.unwrap();
        // There is no controller here to finish it.
        let finished = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "deleted"}, "spec": {"finalizers": []}});
        let path = "/api/v1/namespaces/deleted/finalize";
        let request = http::Request::put(path).body(serde_json::to_vec(&finished).unwrap()).unwrap();
        client.request::<serde_json::Value>(request).await.unwrap();
        until_spaces_are(&buckets, &[&kept]).await;
        task.abort();
    }
}
