//! What was deleted while it was in use goes when it is not.

use std::sync::Arc;

use carob_reconcile::{Informer, Next, ObjectKey, Queue, Reconcile, Watched};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde::Serialize;
use serde_json::{Value, json};

use crate::context::Context;
use crate::pods::node_name;

const CLAIM_PROTECTION: &str = "kubernetes.io/pvc-protection";
const VOLUME_PROTECTION: &str = "kubernetes.io/pv-protection";
const WORKERS: usize = 2;

pub(super) fn start(context: &mut Context<'_>) {
    let claims = Claims {
        client: context.client("pvc-protection-controller"),
        claims: context.informers.of(),
        pods: context.informers.of(),
    };
    let queue = wake_on_deletion(&claims.claims);
    let wake = queue.clone();
    claims.pods.on_change(move |change| {
        // A Pod uses a claim from its binding to its end; only its end can be waited for.
        let gone = change.old.as_ref().filter(|_| change.new.is_none());
        gone.into_iter().flat_map(|pod| claims_of(pod)).for_each(|key| wake.add(key));
    });
    context.spawn(Arc::new(claims), queue, WORKERS);

    let volumes = Volumes { client: context.client("pv-protection-controller"), volumes: context.informers.of() };
    let queue = wake_on_deletion(&volumes.volumes);
    context.spawn(Arc::new(volumes), queue, WORKERS);
}

fn wake_on_deletion<K: Watched>(informer: &Informer<K>) -> Arc<Queue<ObjectKey>> {
    let queue = Arc::new(Queue::new());
    let wake = queue.clone();
    informer.on_change(move |change| {
        let deleted = change.new.as_ref().filter(|object| object.meta().deletion_timestamp.is_some());
        deleted.into_iter().for_each(|object| wake.add(ObjectKey::of(object.meta())));
    });
    queue
}

struct Claims {
    client: Client,
    claims: Informer<PersistentVolumeClaim>,
    pods: Informer<Pod>,
}

impl Reconcile for Claims {
    type Key = ObjectKey;
    const NAME: &'static str = "pvc-protection-controller";

    async fn reconcile(&self, key: ObjectKey) -> kube::Result<Next> {
        self.pods.synced().await;
        let Some(claim) = self.claims.find(&key) else { return Ok(Next::Done) };
        let Some(patch) = without(&claim.metadata, CLAIM_PROTECTION) else { return Ok(Next::Done) };
        let pods = self.pods.in_namespace(&key.namespace);
        if pods.iter().any(|pod| uses(pod, &key)) || self.is_used_after_all(&key).await? {
            return Ok(Next::Done);
        }
        let api: Api<PersistentVolumeClaim> = Api::namespaced(self.client.clone(), &key.namespace);
        let_go(&api, &self.claims, &claim, patch).await
    }
}

impl Claims {
    /// The informer may be behind: a Pod that is bound a moment ago would lose its data.
    async fn is_used_after_all(&self, key: &ObjectKey) -> kube::Result<bool> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &key.namespace);
        let users: Vec<Pod> = api.list(&Default::default()).await?.into_iter().filter(|pod| uses(pod, key)).collect();
        let is_used = !users.is_empty();
        users.into_iter().for_each(|pod| self.pods.observe(pod));
        Ok(is_used)
    }
}

struct Volumes {
    client: Client,
    volumes: Informer<PersistentVolume>,
}

impl Reconcile for Volumes {
    type Key = ObjectKey;
    const NAME: &'static str = "pv-protection-controller";

    async fn reconcile(&self, key: ObjectKey) -> kube::Result<Next> {
        let Some(volume) = self.volumes.find(&key) else { return Ok(Next::Done) };
        let is_bound = volume.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Bound");
        let Some(patch) = without(&volume.metadata, VOLUME_PROTECTION).filter(|_| !is_bound) else {
            return Ok(Next::Done);
        };
        let_go(&Api::all(self.client.clone()), &self.volumes, &volume, patch).await
    }
}

async fn let_go<K: Watched + Serialize>(
    api: &Api<K>,
    informer: &Informer<K>,
    object: &K,
    patch: Value,
) -> kube::Result<Next> {
    let written = api.patch(&object.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await?;
    // The last finalizer's end is the object's: then there is nothing to observe but that it is gone.
    match written.meta().finalizers.as_ref().is_none_or(Vec::is_empty) {
        true => informer.forget(&ObjectKey::of(object.meta()), &object.uid().unwrap_or_default()),
        false => informer.observe(written),
    }
    Ok(Next::Done)
}

/// A patch that takes this finalizer from an object that is on its way; `None` where there is nothing to take.
fn without(meta: &ObjectMeta, finalizer: &str) -> Option<Value> {
    let held = meta.finalizers.as_ref().filter(|_| meta.deletion_timestamp.is_some())?;
    let kept: Vec<&String> = held.iter().filter(|one| *one != finalizer).collect();
    let patch = json!({ "metadata": { "resourceVersion": meta.resource_version, "finalizers": kept } });
    (kept.len() < held.len()).then_some(patch)
}

/// Whether the Pod, once it is bound to a node, has the claim's volume.
fn uses(pod: &Pod, claim: &ObjectKey) -> bool {
    node_name(pod).is_some() && claims_of(pod).any(|used| used == *claim)
}

fn claims_of(pod: &Pod) -> impl Iterator<Item = ObjectKey> {
    let (namespace, own) = (pod.namespace().unwrap_or_default(), pod.name_any());
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    volumes.filter_map(move |volume| {
        let named = volume.persistent_volume_claim.as_ref().map(|claim| claim.claim_name.clone());
        let name = named.or_else(|| volume.ephemeral.as_ref().map(|_| format!("{own}-{}", volume.name)))?;
        Some(ObjectKey::new(&namespace, name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_used_by_bound_pods_that_name_it() {
        let pod = |node: &str, volume: Value| -> Pod {
            serde_json::from_value(json!({
                "metadata": { "namespace": "ns", "name": "p" },
                "spec": { "nodeName": node, "containers": [], "volumes": [volume] },
            }))
            .unwrap()
        };
        let named = json!({ "name": "v", "persistentVolumeClaim": { "claimName": "c" } });
        let cases = [
            (pod("n1", named.clone()), "c", true),
            (pod("", named.clone()), "c", false),
            (pod("n1", named), "other", false),
            (pod("n1", json!({ "name": "v", "ephemeral": {} })), "p-v", true),
            (pod("n1", json!({ "name": "v", "emptyDir": {} })), "c", false),
        ];
        for (pod, claim, expected) in cases {
            assert_eq!(uses(&pod, &ObjectKey::new("ns", claim)), expected, "{claim} {pod:?}");
        }
    }

    #[test]
    fn only_what_is_deleted_loses_its_protection() {
        let mut meta =
            ObjectMeta { finalizers: Some(vec!["x/y".into(), CLAIM_PROTECTION.into()]), ..Default::default() };
        assert_eq!(without(&meta, CLAIM_PROTECTION), None);
        meta.deletion_timestamp = Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
        assert_eq!(without(&meta, CLAIM_PROTECTION).unwrap()["metadata"]["finalizers"], json!(["x/y"]));
        assert_eq!(without(&meta, VOLUME_PROTECTION), None);
    }
}
