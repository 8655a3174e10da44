//! A node that pretends: its Pods run and are ready after a moment, and end a moment after they were told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use carob_reconcile::{Informer, Informers, Next, ObjectKey, Queue, Reconcile};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use serde_json::json;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{interval, sleep};

const MOMENT: Duration = Duration::from_millis(120);
const HEARTBEAT: Duration = Duration::from_secs(10);

/// What is given ends the node's heartbeats.
pub(super) async fn start(client: Client, tasks: &mut JoinSet<()>) -> AbortHandle {
    let node: Node = serde_json::from_value(json!({
        "metadata": { "name": "n1" },
        "status": {
            "allocatable": { "cpu": "4", "memory": "8Gi", "pods": "100" },
            "conditions": [{ "type": "Ready", "status": "True" }],
        },
    }))
    .unwrap();
    let nodes: Api<Node> = Api::all(client.clone());
    nodes.create(&PostParams::default(), &node).await.unwrap();
    let status = Patch::Merge(json!({ "status": node.status }));
    nodes.patch_status("n1", &PatchParams::default(), &status).await.unwrap();

    let heart = client.clone();
    let beating = tasks.spawn(async move {
        let mut beat = interval(HEARTBEAT);
        loop {
            beat.tick().await;
            renew_lease(&heart, "n1").await;
        }
    });
    let informers = Informers::new(client.clone());
    let pretender = Pretender { client, pods: informers.of(), last_ip: AtomicU8::new(1) };
    let queue = Arc::new(Queue::new());
    let wake = queue.clone();
    pretender.pods.on_change(move |change| {
        change.new.iter().for_each(|pod| wake.add(ObjectKey::of(&pod.metadata)));
    });
    tasks.spawn(async move {
        let _kept = informers;
        carob_reconcile::run(Arc::new(pretender), queue, 32).await;
    });
    beating
}

pub(super) async fn renew_lease(client: &Client, node: &str) {
    let leases: Api<Lease> = Api::namespaced(client.clone(), "kube-node-lease");
    let lease = json!({
        "metadata": { "name": node },
        "spec": { "holderIdentity": node, "leaseDurationSeconds": 40, "renewTime": format!("{:.6}", Timestamp::now()) },
    });
    match leases.patch(node, &PatchParams::default(), &Patch::Merge(&lease)).await {
        Err(kube::Error::Api(status)) if status.code == 404 => {
            leases.create(&PostParams::default(), &serde_json::from_value(lease).unwrap()).await.unwrap();
        }
        renewed => drop(renewed.unwrap()),
    }
}

struct Pretender {
    client: Client,
    pods: Informer<Pod>,
    last_ip: AtomicU8,
}

impl Reconcile for Pretender {
    type Key = ObjectKey;
    const NAME: &'static str = "node";

    async fn reconcile(&self, key: ObjectKey) -> kube::Result<Next> {
        let Some(pod) = self.pods.find(&key) else { return Ok(Next::Done) };
        if pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) != Some("n1") {
            return Ok(Next::Done);
        }
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &key.namespace);
        let is_running = pod.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Running"));
        if pod.metadata.deletion_timestamp.is_some() {
            sleep(MOMENT).await;
            ignore_gone(api.delete(&key.name, &DeleteParams::default().grace_period(0)).await.map(|_| ()))?;
        } else if !is_running {
            sleep(MOMENT).await;
            let ip = format!("10.244.0.{}", self.last_ip.fetch_add(1, Ordering::Relaxed));
            let ready = json!({ "type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z" });
            let status = json!({
                "metadata": { "uid": pod.uid() },
                "status": { "phase": "Running", "podIP": ip, "podIPs": [{ "ip": ip }], "conditions": [ready] },
            });
            let patch = Patch::Strategic(status);
            ignore_gone(api.patch_status(&key.name, &PatchParams::default(), &patch).await.map(|_| ()))?;
        }
        Ok(Next::Done)
    }
}

fn ignore_gone(result: kube::Result<()>) -> kube::Result<()> {
    match result {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        result => result,
    }
}
