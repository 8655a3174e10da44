//! The objects that volumes are made from, each watched once for all Pods that use it.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Weak};

use futures::StreamExt;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolume, PersistentVolumeClaim, Secret};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::watch_object;
use kube::{Api, Client, Resource};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::error::VolumeError;

/// Every kind of object that a volume may need.
pub(crate) struct Objects {
    client: Client,
    pub(super) config_maps: Watches<ConfigMap>,
    pub(super) secrets: Watches<Secret>,
    pub(super) claims: Watches<PersistentVolumeClaim>,
    pub(super) volumes: Watches<PersistentVolume>,
}

/// The objects of one kind that somebody watches now, by namespace and name.
pub(super) struct Watches<K> {
    kind: &'static str,
    watched: Mutex<HashMap<Key, Weak<Watch<K>>>>,
}

/// Namespace and name.
type Key = (String, String);

/// One object, watched until the last who asked for it is gone.
pub(super) struct Watch<K> {
    kind: &'static str,
    seen: watch::Receiver<Seen<K>>,
    task: JoinHandle<()>,
}

/// What is known of an object.
#[derive(Debug, Clone)]
enum Seen<K> {
    /// Nobody has answered yet.
    Unknown,
    Unreachable(String),
    Absent,
    There(Arc<K>),
}

impl Objects {
    pub(crate) fn new(client: Client) -> Objects {
        Objects {
            client,
            config_maps: Watches::new("configmap"),
            secrets: Watches::new("secret"),
            claims: Watches::new("persistentvolumeclaim"),
            volumes: Watches::new("persistentvolume"),
        }
    }

    pub(super) fn config_map(&self, namespace: &str, name: &str) -> Arc<Watch<ConfigMap>> {
        self.config_maps.get(namespace, name, || Api::namespaced(self.client.clone(), namespace))
    }

    pub(super) fn secret(&self, namespace: &str, name: &str) -> Arc<Watch<Secret>> {
        self.secrets.get(namespace, name, || Api::namespaced(self.client.clone(), namespace))
    }

    pub(super) fn claim(&self, namespace: &str, name: &str) -> Arc<Watch<PersistentVolumeClaim>> {
        self.claims.get(namespace, name, || Api::namespaced(self.client.clone(), namespace))
    }

    pub(super) fn volume(&self, name: &str) -> Arc<Watch<PersistentVolume>> {
        self.volumes.get("", name, || Api::all(self.client.clone()))
    }
}

impl<K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static> Watches<K> {
    fn new(kind: &'static str) -> Watches<K> {
        Watches { kind, watched: Mutex::default() }
    }

    fn get(&self, namespace: &str, name: &str, api: impl FnOnce() -> Api<K>) -> Arc<Watch<K>> {
        let key = (namespace.to_owned(), name.to_owned());
        let mut watched = self.watched.lock();
        if let Some(watch) = watched.get(&key).and_then(Weak::upgrade) {
            return watch;
        }
        watched.retain(|_, watch| watch.strong_count() > 0);
        let watch = Arc::new(Watch::start(self.kind, api(), name));
        watched.insert(key, Arc::downgrade(&watch));
        watch
    }
}

impl<K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static> Watch<K> {
    fn start(kind: &'static str, api: Api<K>, name: &str) -> Watch<K> {
        let (sender, seen) = watch::channel(Seen::Unknown);
        let mut events = watch_object(api, name).default_backoff().boxed();
        let task = tokio::spawn(async move {
            while let Some(event) = events.next().await {
                let news = match event {
                    Ok(Some(object)) => Seen::There(Arc::new(object)),
                    Ok(None) => Seen::Absent,
                    // What was seen last still holds, as far as anybody knows.
                    Err(_) if !matches!(*sender.borrow(), Seen::Unknown | Seen::Unreachable(_)) => continue,
                    Err(error) => Seen::Unreachable(error.to_string()),
                };
                sender.send_replace(news);
            }
        });
        Watch { kind, seen, task }
    }

    /// The object as it was last seen, once anything is known of it; `None` if there is none.
    pub(super) async fn get(&self) -> Result<Option<Arc<K>>, VolumeError> {
        let mut seen = self.seen.clone();
        let known = seen.wait_for(|seen| !matches!(seen, Seen::Unknown)).await;
        let message = match known.as_deref() {
            Ok(Seen::There(object)) => return Ok(Some(object.clone())),
            Ok(Seen::Absent) => return Ok(None),
            Ok(Seen::Unreachable(message)) => message.clone(),
            Ok(Seen::Unknown) | Err(_) => "the watch ended".to_owned(),
        };
        Err(VolumeError::Unreachable { kind: self.kind, message })
    }

    /// Ends when something else is known than at this call.
    pub(super) fn changed(&self) -> BoxFuture<'static, ()> {
        let mut seen = self.seen.clone();
        seen.mark_unchanged();
        Box::pin(async move {
            if seen.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}

impl<K> Drop for Watch<K> {
    fn drop(&mut self) {
        self.task.abort();
    }
}
