//! Where a Pod can run, and in Kubernetes' words why not.

use k8s_openapi::api::core::v1::Pod;

use crate::affinity::wanted;
use crate::demand::Demand;
use crate::node::NodeInfo;
use crate::storage::Storage;
use crate::taints::{tolerates, untolerated};

const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// Why the Pod cannot run on this node; empty when it can. The first filter that objects speaks.
pub(crate) fn objections(pod: &Pod, demand: &Demand, storage: &Storage, node: &NodeInfo) -> Vec<String> {
    if node.unschedulable && !tolerates_cordon(pod) {
        return vec!["node(s) were unschedulable".into()];
    }
    if let Some(taint) = untolerated(pod, &node.taints) {
        let value = taint.value.as_deref().unwrap_or_default();
        return vec![format!("node(s) had untolerated taint {{{}: {value}}}", taint.key)];
    }
    if !wanted(pod, node) {
        return vec!["node(s) didn't match Pod's node affinity/selector".into()];
    }
    if demand.host_ports.iter().any(|port| node.host_ports.iter().any(|taken| taken.conflicts(port))) {
        return vec!["node(s) didn't have free ports for the requested pod ports".into()];
    }
    let insufficient = insufficient(demand, node);
    if !insufficient.is_empty() {
        return insufficient;
    }
    storage.objection(node).map(str::to_owned).into_iter().collect()
}

fn tolerates_cordon(pod: &Pod) -> bool {
    let taint = k8s_openapi::api::core::v1::Taint {
        key: UNSCHEDULABLE.into(),
        effect: "NoSchedule".into(),
        ..Default::default()
    };
    tolerates(pod, &taint)
}

fn insufficient(demand: &Demand, node: &NodeInfo) -> Vec<String> {
    let mut reasons = Vec::new();
    if node.pods + 1 > node.most_pods {
        reasons.push("Too many pods".to_owned());
    }
    let (asked, offered, taken) = (&demand.requests, &node.allocatable, &node.requested);
    if asked.cpu > 0 && asked.cpu > offered.cpu - taken.cpu {
        reasons.push("Insufficient cpu".to_owned());
    }
    if asked.memory > 0 && asked.memory > offered.memory - taken.memory {
        reasons.push("Insufficient memory".to_owned());
    }
    for (name, amount) in asked.other.iter().filter(|(_, amount)| **amount > 0) {
        let left = offered.other.get(name).unwrap_or(&0) - taken.other.get(name).unwrap_or(&0);
        if *amount > left {
            reasons.push(format!("Insufficient {name}"));
        }
    }
    reasons
}
