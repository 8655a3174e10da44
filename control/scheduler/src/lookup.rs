//! Claims, volumes and classes, as the informers know them.

use std::sync::Arc;

use carob_reconcile::{Informer, Informers, ObjectKey};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::StorageClass;

use crate::storage::{Shelf, claims};

/// What the scheduler reads about storage.
pub(crate) struct Lookup {
    pub(crate) pods: Informer<Pod>,
    pub(crate) claims: Informer<PersistentVolumeClaim>,
    pub(crate) volumes: Informer<PersistentVolume>,
    pub(crate) classes: Informer<StorageClass>,
}

impl Lookup {
    pub(crate) fn new(informers: &Informers) -> Self {
        Self { pods: informers.of(), claims: informers.of(), volumes: informers.of(), classes: informers.of() }
    }

    pub(crate) async fn synced(&self) {
        self.pods.synced().await;
        self.claims.synced().await;
        self.volumes.synced().await;
        self.classes.synced().await;
    }

    /// The Pods that name this claim.
    pub(crate) fn users(&self, claim: &ObjectKey) -> Vec<Arc<Pod>> {
        let mut pods = self.pods.in_namespace(&claim.namespace);
        pods.retain(|pod| claims(pod).any(|named| named == *claim));
        pods
    }
}

impl Shelf for Lookup {
    fn claim(&self, key: &ObjectKey) -> Option<Arc<PersistentVolumeClaim>> {
        self.claims.find(key)
    }

    fn volume(&self, name: &str) -> Option<Arc<PersistentVolume>> {
        self.volumes.find(&ObjectKey::new("", name))
    }

    fn volumes(&self) -> Vec<Arc<PersistentVolume>> {
        self.volumes.all()
    }

    fn class(&self, name: &str) -> Option<Arc<StorageClass>> {
        self.classes.find(&ObjectKey::new("", name))
    }

    fn is_used(&self, claim: &ObjectKey, but: &Pod) -> bool {
        self.users(claim).iter().any(|pod| {
            let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default();
            let is_over = matches!(phase, Some("Succeeded" | "Failed"));
            pod.metadata.uid != but.metadata.uid && !node.is_empty() && !is_over
        })
    }
}
