//! Deletes Pods that do not tolerate, or no longer tolerate, a NoExecute taint of their node.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use carob_reconcile::{EventType, Informer, Next, ObjectKey, Queue, Reconcile, Recorder};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod, Taint, Toleration};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use parking_lot::Mutex;
use serde_json::json;

use crate::context::Context;
use crate::pods::node_name;
use crate::write;

const NAME: &str = "taint-eviction-controller";
const WORKERS: usize = 8;

pub(crate) fn start(context: &mut Context<'_>) {
    let recorder = context.recorder(NAME);
    let controller = TaintEviction {
        client: context.client(NAME),
        nodes: context.informers.of(),
        pods: context.informers.of(),
        recorder,
        seen: Mutex::default(),
    };
    let queue = Arc::new(Queue::new());
    let wake = queue.clone();
    controller.pods.on_change(move |change| {
        let bound = |pod: &Arc<Pod>| node_name(pod).map(str::to_owned);
        let tolerations = |pod: &Arc<Pod>| pod.spec.as_ref().and_then(|spec| spec.tolerations.clone());
        if let Some(pod) = &change.new {
            let before = change.old.as_ref().map(|old| (bound(old), tolerations(old)));
            if before != Some((bound(pod), tolerations(pod))) {
                wake.add(ObjectKey::of(&pod.metadata));
            }
        }
    });
    let (wake, pods) = (queue.clone(), controller.pods.clone());
    controller.nodes.on_change(move |change| {
        let Some(node) = change.new.as_ref() else { return };
        if change.old.as_ref().map(|old| executing(old)) != Some(executing(node)) {
            let name = node.name_any();
            let there = pods.all().into_iter().filter(|pod| node_name(pod) == Some(&name));
            there.for_each(|pod| wake.add(ObjectKey::of(&pod.metadata)));
        }
    });
    context.spawn(Arc::new(controller), queue, WORKERS);
}

fn executing(node: &Node) -> Vec<Taint> {
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
    taints.iter().filter(|taint| taint.effect == "NoExecute").cloned().collect()
}

/// How long the Pod may stay, from now; `None`: for ever. `since` is when a taint came. Pure.
fn may_stay(pod: &Pod, taints: &[Taint], since: impl Fn(&Taint) -> Timestamp, now: Timestamp) -> Option<Duration> {
    let tolerations = pod.spec.as_ref().and_then(|spec| spec.tolerations.as_deref()).unwrap_or_default();
    let stay = |taint: &Taint| {
        let fitting: Vec<&Toleration> = tolerations.iter().filter(|one| tolerates(one, taint)).collect();
        if fitting.is_empty() {
            return Some(Duration::ZERO);
        }
        let seconds = fitting.iter().filter_map(|one| one.toleration_seconds).min()?;
        let over = Duration::try_from(now.duration_since(since(taint))).unwrap_or_default();
        Some(Duration::from_secs(seconds.try_into().unwrap_or(0)).saturating_sub(over))
    };
    taints.iter().filter_map(stay).min()
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let (key, effect) = (text(&toleration.key), text(&toleration.effect));
    if !effect.is_empty() && effect != taint.effect || !key.is_empty() && key != taint.key {
        return false;
    }
    match text(&toleration.operator).as_str() {
        "Exists" => true,
        _ => !key.is_empty() && text(&toleration.value) == text(&taint.value),
    }
}

struct TaintEviction {
    client: Client,
    nodes: Informer<Node>,
    pods: Informer<Pod>,
    recorder: Recorder,
    /// Since when taints are there that do not say it themselves, by node and key.
    seen: Mutex<HashMap<(String, String), Timestamp>>,
}

impl Reconcile for TaintEviction {
    type Key = ObjectKey;
    const NAME: &'static str = NAME;

    async fn reconcile(&self, key: ObjectKey) -> kube::Result<Next> {
        self.nodes.synced().await;
        let Some(pod) = self.pods.find(&key).filter(|pod| pod.metadata.deletion_timestamp.is_none()) else {
            return Ok(Next::Done);
        };
        let Some(node) = node_name(&pod).and_then(|name| self.nodes.find(&ObjectKey::new("", name))) else {
            return Ok(Next::Done);
        };
        let (taints, now) = (executing(&node), Timestamp::now());
        self.note(&node, &taints, now);
        match may_stay(&pod, &taints, |taint| self.since(&node, taint, now), now) {
            None => Ok(Next::Done),
            Some(left) if left.is_zero() => self.evict(&pod).await.map(|()| Next::Done),
            Some(left) => Ok(Next::After(left)),
        }
    }
}

impl TaintEviction {
    fn note(&self, node: &Node, taints: &[Taint], now: Timestamp) {
        let name = node.name_any();
        let mut seen = self.seen.lock();
        seen.retain(|(of, key), _| *of != name || taints.iter().any(|taint| taint.key == *key));
        for taint in taints.iter().filter(|taint| taint.time_added.is_none()) {
            seen.entry((name.clone(), taint.key.clone())).or_insert(now);
        }
    }

    fn since(&self, node: &Node, taint: &Taint, now: Timestamp) -> Timestamp {
        let said = taint.time_added.as_ref().map(|time| time.0);
        said.or_else(|| self.seen.lock().get(&(node.name_any(), taint.key.clone())).copied()).unwrap_or(now)
    }

    async fn evict(&self, pod: &Pod) -> kube::Result<()> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &pod.namespace().unwrap_or_default());
        let condition = json!({
            "type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager",
            "message": "Taint manager: deleting due to NoExecute taint",
        });
        let patch = json!({ "metadata": { "uid": pod.uid() }, "status": { "conditions": [condition] } });
        match api.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Strategic(patch)).await {
            Err(error) if write::is_gone(&error) || write::is_conflict(&error) => return Ok(()),
            patched => drop(patched?),
        }
        let told = format!("Marking for deletion Pod {}/{}", pod.namespace().unwrap_or_default(), pod.name_any());
        self.recorder.event(pod, EventType::Normal, "TaintManagerEviction", told);
        write::delete(&api, &self.pods, pod).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_pod_stays_as_long_as_it_tolerates_every_taint() {
        let now = Timestamp::from_second(1000).unwrap();
        let taint = |key: &str| Taint { key: key.into(), effect: "NoExecute".into(), ..Taint::default() };
        let all = |seconds: Value| json!([{ "operator": "Exists", "tolerationSeconds": seconds }]);
        let cases = [
            (json!([]), vec![], None),
            (json!([]), vec![taint("a")], Some(0)),
            (all(Value::Null), vec![taint("a")], None),
            (all(json!(30)), vec![taint("a")], Some(20)),
            (all(json!(5)), vec![taint("a")], Some(0)),
            (json!([{ "key": "a", "operator": "Exists" }]), vec![taint("a"), taint("b")], Some(0)),
            (json!([{ "key": "a", "operator": "Exists", "effect": "NoSchedule" }]), vec![taint("a")], Some(0)),
        ];
        for (tolerations, taints, expected) in cases {
            let pod = json!({ "spec": { "containers": [], "tolerations": tolerations } });
            let pod: Pod = serde_json::from_value(pod).unwrap();
            let since = Timestamp::from_second(990).unwrap();
            let left = may_stay(&pod, &taints, |_| since, now).map(|left| left.as_secs());
            assert_eq!(left, expected, "{tolerations}");
        }
    }
}
