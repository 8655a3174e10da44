//! Which Pods go first when there are too many.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use crate::claim::created;
use crate::pods::{is_active, is_ready, node_name, phase, ready_since};

const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// The `count` Pods that are missed least, in Kubernetes' order: not assigned, pending, not ready, cheap to delete,
/// on a node with many of their kind, ready for the shortest time, often restarted, young.
pub(crate) fn first_to_go(pods: &[Arc<Pod>], related: &[Arc<Pod>], count: usize) -> Vec<Arc<Pod>> {
    let crowd = crowd(related);
    let mut ranked = pods.to_vec();
    ranked.sort_by_cached_key(|pod| rank(pod, &crowd));
    ranked.truncate(count);
    ranked
}

type Rank = (bool, u8, bool, i32, Reverse<usize>, Reverse<Timestamp>, Reverse<i32>, Reverse<Timestamp>);

fn rank(pod: &Arc<Pod>, crowd: &HashMap<String, usize>) -> Rank {
    let node = node_name(pod);
    (
        node.is_some(),
        match phase(pod) {
            "Pending" => 0,
            "Unknown" => 1,
            _ => 2,
        },
        is_ready(pod),
        deletion_cost(pod),
        Reverse(node.and_then(|node| crowd.get(node)).copied().unwrap_or(0)),
        Reverse(ready_since(pod).unwrap_or(Timestamp::MIN)),
        Reverse(restarts(pod)),
        Reverse(created(&pod.metadata)),
    )
}

/// How many of these Pods each node runs.
fn crowd(pods: &[Arc<Pod>]) -> HashMap<String, usize> {
    let mut crowd: HashMap<String, usize> = HashMap::new();
    for node in pods.iter().filter(|pod| is_active(pod)).filter_map(|pod| node_name(pod)) {
        *crowd.entry(node.to_owned()).or_default() += 1;
    }
    crowd
}

fn deletion_cost(pod: &Pod) -> i32 {
    let annotations = pod.metadata.annotations.as_ref();
    annotations.and_then(|annotations| annotations.get(DELETION_COST)?.parse().ok()).unwrap_or(0)
}

fn restarts(pod: &Pod) -> i32 {
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
    statuses.into_iter().flatten().map(|status| status.restart_count).max().unwrap_or(0)
}
