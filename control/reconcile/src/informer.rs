use std::sync::Arc;

use kube::Resource;
use parking_lot::RwLock;
use tokio::sync::watch;

use crate::key::ObjectKey;
use crate::store::{Change, Store};

type Handler<K> = Box<dyn Fn(&Change<K>) + Send + Sync>;

/// The objects of one kind, kept true by a watch, shared by all who read that kind. Cloning is cheap.
pub struct Informer<K> {
    shared: Arc<Shared<K>>,
}

struct Shared<K> {
    kind: String,
    store: RwLock<Store<K>>,
    handlers: RwLock<Vec<Handler<K>>>,
    synced: watch::Sender<bool>,
}

impl<K> Clone for Informer<K> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<K: Resource> Informer<K> {
    /// An empty informer; [`crate::follow`] fills it. `kind` is for the log.
    pub fn new(kind: impl Into<String>) -> Self {
        Self {
            shared: Arc::new(Shared {
                kind: kind.into(),
                store: RwLock::new(Store::new()),
                handlers: RwLock::new(Vec::new()),
                synced: watch::Sender::new(false),
            }),
        }
    }

    /// The object of this name, if it is known.
    pub fn find(&self, key: &ObjectKey) -> Option<Arc<K>> {
        self.shared.store.read().get(key)
    }

    /// All objects.
    pub fn all(&self) -> Vec<Arc<K>> {
        self.shared.store.read().all().cloned().collect()
    }

    /// All objects of one namespace, by name.
    pub fn in_namespace(&self, namespace: &str) -> Vec<Arc<K>> {
        self.shared.store.read().in_namespace(namespace).cloned().collect()
    }

    /// The objects whose controller has this uid.
    pub fn owned_by(&self, uid: &str) -> Vec<Arc<K>> {
        self.shared.store.read().owned_by(uid)
    }

    /// The objects of this namespace that have no controller.
    pub fn without_controller(&self, namespace: &str) -> Vec<Arc<K>> {
        self.shared.store.read().without_controller(namespace)
    }

    /// Calls `handler` for every object known now and for every change from now on. The handler may be called from
    /// several tasks at once, must not block, and should only note which objects to look at.
    pub fn on_change(&self, handler: impl Fn(&Change<K>) + Send + Sync + 'static) {
        let mut handlers = self.shared.handlers.write();
        for object in self.all() {
            handler(&Change { old: None, new: Some(object) });
        }
        handlers.push(Box::new(handler));
    }

    /// Waits until the first list is in.
    pub async fn synced(&self) {
        let mut synced = self.shared.synced.subscribe();
        // The sender lives in `self`: waiting cannot fail while we are here.
        let _ = synced.wait_for(|done| *done).await;
    }

    /// Takes in the server's answer to one's own write, so that the next read of this process includes it, whether
    /// or not the watch has told it yet. Safe to call late: an answer that the watch has overtaken changes nothing.
    pub fn observe(&self, object: K) {
        let change = self.shared.store.write().observe(object);
        self.tell(change);
    }

    /// Takes in the server's word that this object (this uid) is gone.
    pub fn forget(&self, key: &ObjectKey, uid: &str) {
        let change = self.shared.store.write().forget(key, uid);
        self.tell(change);
    }

    pub(crate) fn kind(&self) -> &str {
        &self.shared.kind
    }

    pub(crate) fn apply(&self, object: K) {
        let change = self.shared.store.write().apply(object);
        self.tell(change);
    }

    pub(crate) fn delete(&self, object: &K) {
        let change = self.shared.store.write().delete(object);
        self.tell(change);
    }

    pub(crate) fn bookmark(&self, revision: u64) {
        self.shared.store.write().bookmark(revision);
    }

    pub(crate) fn replace(&self, items: Vec<K>, revision: u64) {
        let changes = self.shared.store.write().replace(items, revision);
        self.tell(changes);
        self.shared.synced.send_replace(true);
    }

    fn tell(&self, changes: impl IntoIterator<Item = Change<K>>) {
        let handlers = self.shared.handlers.read();
        for change in changes {
            handlers.iter().for_each(|handler| handler(&change));
        }
    }
}
