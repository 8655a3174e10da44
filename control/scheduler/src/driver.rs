//! The thin shell around the plan: what changed wakes Pods, what was decided is written.

use std::sync::Arc;
use std::time::Duration;

use carob_reconcile::{Change, EventType, Informer, Informers, Next, ObjectKey, Queue, Reconcile, Recorder, recorder};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Binding, Node, ObjectReference, Pod, PodCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::Status;
use kube::{Api, Client};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::cache::Cache;
use crate::demand::Demand;
use crate::lookup::Lookup;
use crate::plan::{Decision, nowhere, plan};
use crate::reserved::Reserved;
use crate::settle;
use crate::storage::{Choice, Storage, is_said};
use crate::waiting::Waiting;

const NAME: &str = "default-scheduler";
/// Bindings that are written at the same time.
const CONCURRENT: usize = 64;
/// A Pod that waits is tried again after this time even if nothing seems to have changed.
const AT_LAST: Duration = Duration::from_secs(300);
/// A Pod whose volumes could not be had where it was to be is decided about anew after this time.
const RETHINK: Duration = Duration::from_secs(1);

pub(crate) async fn run(client: Client, informers: &Informers) {
    let (recorder, writer) = recorder(client.clone(), NAME);
    let queue = Arc::new(Queue::new());
    let lookup = Lookup::new(informers);
    let scheduler = Arc::new(Scheduler { client, recorder, lookup, state: Mutex::default(), queue: queue.clone() });
    let nodes: Informer<Node> = informers.of();
    nodes.synced().await;
    scheduler.lookup.synced().await;
    scheduler.clone().follow_nodes(nodes);
    scheduler.clone().follow_pods();
    scheduler.clone().follow_storage();
    tokio::join!(carob_reconcile::run(scheduler, queue, CONCURRENT), writer.run());
}

struct Scheduler {
    client: Client,
    recorder: Recorder,
    lookup: Lookup,
    state: Mutex<State>,
    queue: Arc<Queue<ObjectKey>>,
}

#[derive(Default)]
struct State {
    cache: Cache,
    waiting: Waiting,
    reserved: Reserved,
}

impl Scheduler {
    fn follow_nodes(self: Arc<Self>, nodes: Informer<Node>) {
        let source = nodes.clone();
        // Weak: the informers outlive the scheduler, and must not keep it.
        let scheduler = Arc::downgrade(&self);
        nodes.on_change(move |change| {
            let (Some(scheduler), Some(node)) = (scheduler.upgrade(), change.latest()) else { return };
            let key = ObjectKey::of(&node.metadata);
            let mut state = scheduler.state.lock();
            // What is true now, not what the notification says: two of them may overtake each other.
            if state.cache.set_node(&key.name, source.find(&key).as_ref()) {
                scheduler.wake(&state.waiting);
            }
        });
    }

    fn follow_pods(self: Arc<Self>) {
        let scheduler = Arc::downgrade(&self);
        self.lookup.pods.on_change(move |change| {
            let (Some(scheduler), Some(pod)) = (scheduler.upgrade(), change.latest()) else { return };
            let key = ObjectKey::of(&pod.metadata);
            let mut state = scheduler.state.lock();
            let pod = scheduler.lookup.pods.find(&key);
            if state.cache.set_pod(&key, pod.as_deref()) {
                scheduler.wake(&state.waiting);
            }
            match pod {
                // Our own condition on a Pod that waits is no reason to try it again.
                Some(pod) if is_ours(&pod) => {
                    if !state.waiting.contains(&key) || asks_for_something_else(change) {
                        scheduler.queue.add(key);
                    }
                }
                _ => {
                    state.waiting.remove(&key);
                    state.reserved.remove(&key);
                }
            }
        });
    }

    /// A claim wakes the Pods that name it; a volume or a class whoever waits.
    fn follow_storage(self: Arc<Self>) {
        let scheduler = Arc::downgrade(&self);
        self.lookup.claims.on_change(move |change| {
            let (Some(scheduler), Some(claim)) = (scheduler.upgrade(), change.latest()) else { return };
            let users = scheduler.lookup.users(&ObjectKey::of(&claim.metadata));
            let ours = users.iter().filter(|pod| is_ours(pod));
            ours.for_each(|pod| scheduler.queue.add(ObjectKey::of(&pod.metadata)));
        });
        let scheduler = Arc::downgrade(&self);
        self.lookup.volumes.on_change(move |_| {
            let Some(scheduler) = scheduler.upgrade() else { return };
            scheduler.wake(&scheduler.state.lock().waiting);
        });
        let scheduler = Arc::downgrade(&self);
        self.lookup.classes.on_change(move |_| {
            let Some(scheduler) = scheduler.upgrade() else { return };
            scheduler.wake(&scheduler.state.lock().waiting);
        });
    }

    fn wake(&self, waiting: &Waiting) {
        for (key, pause) in waiting.wake(Instant::now()) {
            self.queue.add_after(key, pause);
        }
    }

    /// Decides and counts the Pod where it will be, in one step.
    fn decide(&self, key: &ObjectKey, pod: &Pod) -> Option<Decision> {
        let mut state = self.state.lock();
        let demand = Demand::of(pod);
        if state.cache.is_assumed(key, &demand.uid) {
            return None;
        }
        let nodes = state.cache.nodes();
        let (decision, looked_at) = match Storage::of(pod, &self.lookup) {
            Ok(storage) => plan(pod, &demand, &storage, nodes, state.cache.start),
            Err(why) => (nowhere(nodes.len(), &why), 0),
        };
        state.cache.start = (state.cache.start + looked_at) % state.cache.nodes().len().max(1);
        match &decision {
            Decision::Bind(node) => {
                state.waiting.remove(key);
                state.cache.assume(demand, node);
            }
            Decision::Unschedulable(_) => state.waiting.failed(key, Instant::now()),
        }
        Some(decision)
    }

    /// Binds the Pod to the node where it has its place, once its volumes are there.
    async fn place(&self, key: &ObjectKey, pod: &Pod, node: String) -> kube::Result<Next> {
        let placed = self.try_to_place(key, pod, node).await;
        if placed.is_err() {
            self.withdraw(key, pod);
        }
        placed
    }

    async fn try_to_place(&self, key: &ObjectKey, pod: &Pod, node: String) -> kube::Result<Next> {
        let Some(choices) = self.choices(pod, &node) else { return Ok(self.give_up(key, pod)) };
        if choices.is_empty() {
            return self.bind(key, pod, node).await;
        }
        let (uid, now) = (pod.metadata.uid.clone().unwrap_or_default(), Instant::now());
        let place = self.state.lock().reserved.find(key, &uid).cloned();
        match place {
            // What was said is unsaid: whoever makes the volume could not, or nobody does.
            Some(place) if place.is_over(now) || !choices.iter().all(|choice| is_said(choice, &node)) => {
                Ok(self.give_up(key, pod))
            }
            Some(place) => Ok(Next::After(place.left(now))),
            None => {
                settle::say(&self.client, &self.lookup, &choices, &node).await?;
                self.state.lock().reserved.keep(key, &uid, &node, now);
                // The volumes may be there already: looked at again, now that whatever comes wakes the Pod.
                Ok(Next::After(Duration::ZERO))
            }
        }
    }

    /// What is still open about the Pod's claims; `None` if it cannot have them on this node after all.
    fn choices(&self, pod: &Pod, node: &str) -> Option<Vec<Choice>> {
        let storage = Storage::of(pod, &self.lookup).ok()?;
        if storage.is_settled() {
            return Some(Vec::new());
        }
        let state = self.state.lock();
        storage.choose(state.cache.nodes().iter().find(|known| known.name == node)?)
    }

    fn give_up(&self, key: &ObjectKey, pod: &Pod) -> Next {
        self.withdraw(key, pod);
        Next::After(RETHINK)
    }

    fn withdraw(&self, key: &ObjectKey, pod: &Pod) {
        let mut state = self.state.lock();
        state.reserved.remove(key);
        state.cache.withdraw(key, pod.metadata.uid.as_deref().unwrap_or_default());
    }

    async fn bind(&self, key: &ObjectKey, pod: &Pod, node: String) -> kube::Result<Next> {
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        self.write_binding(key, &uid, &node).await?;
        self.state.lock().reserved.remove(key);
        self.recorder.event(pod, EventType::Normal, "Scheduled", format!("Successfully assigned {key} to {node}"));
        Ok(Next::Done)
    }

    async fn write_binding(&self, key: &ObjectKey, uid: &str, node: &str) -> kube::Result<Status> {
        let binding = Binding {
            metadata: ObjectMeta {
                name: Some(key.name.clone()),
                namespace: Some(key.namespace.clone()),
                uid: Some(uid.to_owned()),
                ..ObjectMeta::default()
            },
            target: ObjectReference {
                api_version: Some("v1".into()),
                kind: Some("Node".into()),
                name: Some(node.to_owned()),
                ..ObjectReference::default()
            },
        };
        self.api(key).create_subresource("binding", &key.name, &PostParams::default(), &binding).await
    }

    async fn tell_unschedulable(&self, key: &ObjectKey, pod: &Pod, message: String) -> kube::Result<Next> {
        self.recorder.event(pod, EventType::Warning, "FailedScheduling", message.clone());
        if let Some(condition) = changed_condition(pod, "Unschedulable", message, Timestamp::now()) {
            let patch = serde_json::json!({ "status": { "conditions": [condition] } });
            self.api(key).patch_status(&key.name, &PatchParams::default(), &Patch::Strategic(patch)).await?;
        }
        Ok(Next::After(AT_LAST))
    }

    fn api(&self, key: &ObjectKey) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &key.namespace)
    }
}

impl Reconcile for Scheduler {
    type Key = ObjectKey;
    const NAME: &'static str = "scheduler";

    async fn reconcile(&self, key: ObjectKey) -> kube::Result<Next> {
        let Some(pod) = self.lookup.pods.find(&key).filter(|pod| is_ours(pod)) else { return Ok(Next::Done) };
        let place = self.state.lock().reserved.find(&key, pod.metadata.uid.as_deref().unwrap_or_default()).cloned();
        if let Some(place) = place {
            return self.place(&key, &pod, place.node).await;
        }
        match self.decide(&key, &pod) {
            Some(Decision::Bind(node)) => self.place(&key, &pod, node).await,
            Some(Decision::Unschedulable(message)) => self.tell_unschedulable(&key, &pod, message).await,
            None => Ok(Next::Done),
        }
    }
}

fn asks_for_something_else(change: &Change<Pod>) -> bool {
    match (&change.old, &change.new) {
        (Some(old), Some(new)) => old.spec != new.spec || old.metadata.uid != new.metadata.uid,
        _ => true,
    }
}

/// A Pod that this scheduler is to find a node for.
fn is_ours(pod: &Pod) -> bool {
    let Some(spec) = &pod.spec else { return false };
    let over = matches!(pod.status.as_ref().and_then(|status| status.phase.as_deref()), Some("Succeeded" | "Failed"));
    spec.node_name.as_deref().is_none_or(str::is_empty)
        && spec.scheduler_name.as_deref().is_none_or(|name| name == NAME)
        && spec.scheduling_gates.as_ref().is_none_or(Vec::is_empty)
        && pod.metadata.deletion_timestamp.is_none()
        && !over
}

/// The condition `PodScheduled`, if it says something else than the Pod's present one.
fn changed_condition(pod: &Pod, reason: &str, message: String, now: Timestamp) -> Option<PodCondition> {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let present = conditions.into_iter().flatten().find(|condition| condition.type_ == "PodScheduled");
    let same_status = present.filter(|present| present.status == "False");
    if same_status
        .is_some_and(|present| present.reason.as_deref() == Some(reason) && present.message.as_ref() == Some(&message))
    {
        return None;
    }
    Some(PodCondition {
        type_: "PodScheduled".into(),
        status: "False".into(),
        reason: Some(reason.to_owned()),
        message: Some(message),
        last_transition_time: same_status.and_then(|present| present.last_transition_time.clone()).or(Some(Time(now))),
        ..PodCondition::default()
    })
}
