//! The decision: a Pod and the nodes go in, a node or the reasons come out.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;

use crate::demand::Demand;
use crate::filter::objections;
use crate::node::NodeInfo;
use crate::score::best;
use crate::storage::Storage;

/// Fewer nodes than this are all looked at.
const SMALL_CLUSTER: usize = 100;

/// Where the Pod goes, or why nowhere.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// To the node of this name.
    Bind(String),
    /// Nowhere; the message says why, in Kubernetes' words.
    Unschedulable(String),
}

/// Decides about one Pod. The search begins at node `start` and ends when enough nodes were found to choose from.
/// Returns how many nodes were looked at, too, so that the next search can begin after them.
pub(crate) fn plan(
    pod: &Pod,
    demand: &Demand,
    storage: &Storage,
    nodes: &[NodeInfo],
    start: usize,
) -> (Decision, usize) {
    let enough = enough(nodes.len());
    let mut feasible = Vec::new();
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let mut looked_at = 0;
    for offset in 0..nodes.len() {
        let node = &nodes[(start + offset) % nodes.len()];
        looked_at += 1;
        let objections = objections(pod, demand, storage, node);
        if objections.is_empty() {
            feasible.push(node);
        }
        for reason in objections {
            *reasons.entry(reason).or_default() += 1;
        }
        if feasible.len() >= enough {
            break;
        }
    }
    let decision = match best(pod, demand, &feasible) {
        Some(node) => Decision::Bind(node.name.clone()),
        None => Decision::Unschedulable(message(nodes.len(), &reasons)),
    };
    (decision, looked_at)
}

/// The decision about a Pod that no node could take, whatever it offers.
pub(crate) fn nowhere(nodes: usize, why: &str) -> Decision {
    Decision::Unschedulable(format!("0/{nodes} nodes are available: {why}."))
}

/// How many feasible nodes are enough to choose from: all in a small cluster, then a share that falls from 50 % to
/// 5 %, as kube-scheduler does it.
fn enough(nodes: usize) -> usize {
    if nodes < SMALL_CLUSTER {
        return nodes.max(1);
    }
    let percent = 50usize.saturating_sub(nodes / 125).max(5);
    (nodes * percent / 100).max(SMALL_CLUSTER)
}

fn message(nodes: usize, reasons: &BTreeMap<String, usize>) -> String {
    if nodes == 0 {
        return "no nodes available to schedule pods".into();
    }
    let mut parts: Vec<String> = reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    parts.sort();
    format!("0/{nodes} nodes are available: {}.", parts.join(", "))
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
