use std::collections::HashMap;
use std::sync::Arc;

use carob_reconcile::{Informer, Next, ObjectKey, Queue, Reconcile};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use parking_lot::Mutex;
use serde_json::json;
use tokio::time::Instant;

use crate::context::Context;
use crate::nodes::plan::plan;

const NAME: &str = "node-controller";
const LEASES: &str = "kube-node-lease";
const WORKERS: usize = 4;

pub(crate) fn start(context: &mut Context<'_>) {
    let controller = Lifecycle {
        client: context.client(NAME),
        nodes: context.informers.of(),
        leases: context.informers.of(),
        heard: Mutex::default(),
    };
    let queue = Arc::new(Queue::new());
    let wake = queue.clone();
    controller.nodes.on_change(move |change| {
        // Heartbeats change nothing here but the time, and the run below looks at that by itself.
        let told = |node: &Arc<Node>| (node.spec.clone(), node.status.clone().unwrap_or_default().conditions);
        if change.old.as_ref().map(told) != change.new.as_ref().map(told) {
            change.latest().into_iter().for_each(|node| wake.add(node.name_any()));
        }
    });
    context.spawn(Arc::new(controller), queue, WORKERS);
}

struct Lifecycle {
    client: Client,
    nodes: Informer<Node>,
    leases: Informer<Lease>,
    /// When we saw each node's lease change, by our own clock: clocks of nodes may be wrong.
    heard: Mutex<HashMap<String, (Option<MicroTime>, Instant)>>,
}

impl Reconcile for Lifecycle {
    type Key = String;
    const NAME: &'static str = NAME;

    async fn reconcile(&self, name: String) -> kube::Result<Next> {
        self.leases.synced().await;
        let Some(node) = self.nodes.find(&ObjectKey::new("", &name)) else {
            self.heard.lock().remove(&name);
            return Ok(Next::Done);
        };
        let plan = plan(&node, self.heard(&name).elapsed(), Timestamp::now());
        let api: Api<Node> = Api::all(self.client.clone());
        if let Some(conditions) = plan.conditions {
            let patch = json!({ "status": { "conditions": conditions } });
            self.nodes.observe(api.patch_status(&name, &PatchParams::default(), &Patch::Strategic(patch)).await?);
        }
        if let Some(taints) = plan.taints {
            let patch = json!({
                "metadata": { "resourceVersion": node.resource_version() }, "spec": { "taints": taints },
            });
            // A conflict with our own conditions just now is a new run.
            self.nodes.observe(api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await?);
        }
        Ok(Next::After(plan.look_again))
    }
}

impl Lifecycle {
    /// When the node was heard of last: a renewed lease, or our first look.
    fn heard(&self, name: &str) -> Instant {
        let lease = self.leases.find(&ObjectKey::new(LEASES, name));
        let renewed = lease.and_then(|lease| lease.spec.as_ref()?.renew_time.clone());
        let mut heard = self.heard.lock();
        let entry = heard.entry(name.to_owned()).or_insert_with(|| (renewed.clone(), Instant::now()));
        if entry.0 != renewed {
            *entry = (renewed, Instant::now());
        }
        entry.1
    }
}
