use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use carob_reconcile::{Informer, Next, ObjectKey, Queue, Reconcile};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, NodeCondition, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use parking_lot::Mutex;
use serde_json::json;
use tokio::time::Instant;

use crate::context::Context;
use crate::nodes::EvictionRates;
use crate::nodes::evictions::{Eviction, Evictions, Seen, Survey};
use crate::nodes::plan::plan;
use crate::pods::{is_ready, node_name};
use crate::write;

const NAME: &str = "node-controller";
const LEASES: &str = "kube-node-lease";
const WORKERS: usize = 4;
/// With thousands of nodes lost, each of them does not count the others by itself.
const SURVEY_FOR: Duration = Duration::from_secs(1);

pub(crate) fn start(context: &mut Context<'_>, grace: Duration, rates: EvictionRates) {
    let controller = Lifecycle {
        client: context.client(NAME),
        nodes: context.informers.of(),
        leases: context.informers.of(),
        pods: context.informers.of(),
        grace,
        heard: Mutex::default(),
        evictions: Mutex::new(Evictions::new(rates, grace)),
        survey: Mutex::default(),
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

/// What a node has said last: when it renewed its lease, and when it told its condition.
type Heartbeat = (Option<MicroTime>, Option<Time>);

struct Lifecycle {
    client: Client,
    nodes: Informer<Node>,
    leases: Informer<Lease>,
    pods: Informer<Pod>,
    /// How long a node may be silent.
    grace: Duration,
    /// When we saw each node's lease or heartbeat change, by our own clock: clocks of nodes may be wrong.
    heard: Mutex<HashMap<String, (Heartbeat, Instant)>>,
    evictions: Mutex<Evictions>,
    survey: Mutex<Option<(Instant, Survey)>>,
}

impl Reconcile for Lifecycle {
    type Key = String;
    const NAME: &'static str = NAME;

    async fn reconcile(&self, name: String) -> kube::Result<Next> {
        self.leases.synced().await;
        let Some(node) = self.nodes.find(&ObjectKey::new("", &name)) else {
            self.heard.lock().remove(&name);
            self.evictions.lock().forget(&name);
            return Ok(Next::Done);
        };
        let seen = self.look_at(&node);
        let (silent, eviction) = (seen.silent_for, self.eviction(&name, seen));
        let plan = plan(&node, silent, self.grace, eviction, Timestamp::now());
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
        if silent >= self.grace {
            self.mark_pods(&name).await?;
        }
        Ok(Next::After(match eviction {
            Eviction::Hold(again) => plan.look_again.min(again),
            Eviction::Go | Eviction::Stop => plan.look_again,
        }))
    }
}

impl Lifecycle {
    fn look_at(&self, node: &Node) -> Seen {
        Seen {
            zone: zone(node),
            is_ready: ready(node).and_then(|condition| condition.status.to_lowercase().parse().ok()),
            silent_for: self.heard(node).elapsed(),
        }
    }

    fn eviction(&self, name: &str, seen: Seen) -> Eviction {
        let mut evictions = self.evictions.lock();
        if !seen.is_lost(self.grace) {
            evictions.forget(name);
            return Eviction::Hold(self.grace);
        }
        evictions.decide(name, &seen, &self.survey(), Instant::now())
    }

    /// What is known of all nodes, or was a moment ago.
    fn survey(&self) -> Survey {
        let mut kept = self.survey.lock();
        if let Some((_, survey)) = kept.as_ref().filter(|(made, _)| made.elapsed() < SURVEY_FOR) {
            return survey.clone();
        }
        let survey = Survey::of(self.nodes.all().iter().map(|node| self.look_at(node)), self.grace);
        *kept = Some((Instant::now(), survey.clone()));
        survey
    }

    /// Nobody knows whether the node's Pods still answer, so no Service sends anybody there.
    async fn mark_pods(&self, node: &str) -> kube::Result<()> {
        let ready = self.pods.all().into_iter().filter(|pod| node_name(pod) == Some(node) && is_ready(pod));
        for pod in ready.collect::<Vec<_>>() {
            let condition = json!({ "type": "Ready", "status": "False", "lastTransitionTime": Time(Timestamp::now()) });
            let patch = json!({ "metadata": { "uid": pod.uid() }, "status": { "conditions": [condition] } });
            let api: Api<Pod> = Api::namespaced(self.client.clone(), &pod.namespace().unwrap_or_default());
            match api.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Strategic(patch)).await {
                Ok(marked) => self.pods.observe(marked),
                Err(error) if write::is_gone(&error) || write::is_conflict(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// When the node was heard of last, or our first look.
    fn heard(&self, node: &Node) -> Instant {
        let name = node.name_any();
        let lease = self.leases.find(&ObjectKey::new(LEASES, &name));
        let renewed = lease.and_then(|lease| lease.spec.as_ref()?.renew_time.clone());
        let said = (renewed, ready(node).and_then(|condition| condition.last_heartbeat_time.clone()));
        let mut heard = self.heard.lock();
        let entry = heard.entry(name).or_insert_with(|| (said.clone(), Instant::now()));
        if entry.0 != said {
            *entry = (said, Instant::now());
        }
        entry.1
    }
}

fn ready(node: &Node) -> Option<&NodeCondition> {
    let mut conditions = node.status.as_ref()?.conditions.iter().flatten();
    conditions.find(|condition| condition.type_ == "Ready")
}

/// Where a node is, as far as its labels say.
fn zone(node: &Node) -> String {
    let label = |name: &str| node.labels().get(&format!("topology.kubernetes.io/{name}")).cloned().unwrap_or_default();
    format!("{}:{}", label("region"), label("zone"))
}
