use std::sync::Arc;
use std::time::Duration;

use carob_reconcile::{Informer, Next, ObjectKey, Queue, Reconcile};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use crate::context::Context;
use crate::pods::{is_over, node_name};
use crate::write;

const NAME: &str = "pod-garbage-collector";
const WORKERS: usize = 4;
/// A node that is missing may only be about to register (again): its Pods are left alone for so long.
const QUARANTINE: Duration = Duration::from_secs(40);

pub(crate) fn start(context: &mut Context<'_>) {
    let controller =
        Leftovers { client: context.client(NAME), nodes: context.informers.of(), pods: context.informers.of() };
    let queue = Arc::new(Queue::new());
    let (wake, nodes) = (queue.clone(), controller.nodes.clone());
    controller.pods.on_change(move |change| {
        if let Some(pod) = change.new.as_ref() {
            let key = ObjectKey::of(&pod.metadata);
            match is_left_over(pod, &nodes) {
                Some(LeftOver::NeverPlaced) => wake.add(key),
                Some(LeftOver::NodeGone) => wake.add_after(key, QUARANTINE),
                None => {}
            }
        }
    });
    let (wake, pods) = (queue.clone(), controller.pods.clone());
    controller.nodes.on_change(move |change| {
        if let (Some(gone), None) = (&change.old, &change.new) {
            let name = gone.name_any();
            let left = pods.all().into_iter().filter(|pod| node_name(pod) == Some(&name));
            left.for_each(|pod| wake.add_after(ObjectKey::of(&pod.metadata), QUARANTINE));
        }
    });
    context.spawn(Arc::new(controller), queue, WORKERS);
}

/// Why nobody else will ever remove the Pod.
enum LeftOver {
    /// It was deleted before it had a node.
    NeverPlaced,
    /// Its node does not exist.
    NodeGone,
}

fn is_left_over(pod: &Pod, nodes: &Informer<Node>) -> Option<LeftOver> {
    match node_name(pod) {
        None => pod.metadata.deletion_timestamp.is_some().then_some(LeftOver::NeverPlaced),
        Some(node) => nodes.find(&ObjectKey::new("", node)).is_none().then_some(LeftOver::NodeGone),
    }
}

struct Leftovers {
    client: Client,
    nodes: Informer<Node>,
    pods: Informer<Pod>,
}

impl Reconcile for Leftovers {
    type Key = ObjectKey;
    const NAME: &'static str = NAME;

    async fn reconcile(&self, key: ObjectKey) -> kube::Result<Next> {
        self.nodes.synced().await;
        let Some(pod) = self.pods.find(&key) else { return Ok(Next::Done) };
        let Some(why) = is_left_over(&pod, &self.nodes) else { return Ok(Next::Done) };
        if matches!(why, LeftOver::NodeGone) {
            let node = node_name(&pod).unwrap_or_default();
            // Nothing is removed on a memory's word alone.
            if Api::<Node>::all(self.client.clone()).get_opt(node).await?.is_some() {
                return Ok(Next::Done);
            }
            self.mark_failed(&pod, node).await?;
        }
        self.remove(&pod).await?;
        Ok(Next::Done)
    }
}

impl Leftovers {
    async fn mark_failed(&self, pod: &Pod, node: &str) -> kube::Result<()> {
        if is_over(pod) {
            return Ok(());
        }
        let message = format!("PodGC: node {node} no longer exists");
        let condition = json!({
            "type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC", "message": message,
        });
        let patch = json!({ "status": { "phase": "Failed", "conditions": [condition] } });
        let patch = Patch::Strategic(patch);
        match self.api(pod).patch_status(&pod.name_any(), &PatchParams::default(), &patch).await {
            Ok(_) => Ok(()),
            Err(error) if write::is_gone(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Without grace: nobody is there to use it.
    async fn remove(&self, pod: &Pod) -> kube::Result<()> {
        let exactly = Preconditions { uid: pod.uid(), resource_version: None };
        let params = DeleteParams::background().grace_period(0).preconditions(exactly);
        match self.api(pod).delete(&pod.name_any(), &params).await {
            Ok(_) => Ok(()),
            Err(error) if write::is_gone(&error) || write::is_conflict(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn api(&self, pod: &Pod) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &pod.namespace().unwrap_or_default())
    }
}
