//! Where a Pod should run, of all nodes where it can. Weights and formulas are those of Kubernetes' default profile.

use k8s_openapi::api::core::v1::Pod;

use crate::affinity::preference;
use crate::demand::Demand;
use crate::node::NodeInfo;
use crate::taints::unwelcome;

const BEST: i64 = 100;
const WEIGHT_TAINTS: i64 = 3;
const WEIGHT_AFFINITY: i64 = 2;
const WEIGHT_SPREAD: i64 = 2;

/// The best of these nodes; of equals the first. `None` when there are none.
pub(crate) fn best<'a>(pod: &Pod, demand: &Demand, nodes: &[&'a NodeInfo]) -> Option<&'a NodeInfo> {
    let taints = fewer_is_better(nodes.iter().map(|node| unwelcome(pod, &node.taints)).collect());
    let affinity = more_is_better(nodes.iter().map(|node| preference(pod, node)).collect());
    let spread = fewer_is_better(nodes.iter().map(|node| siblings(demand, node)).collect());
    let score = |index: usize| {
        least_allocated(demand, nodes[index])
            + balanced(demand, nodes[index])
            + WEIGHT_TAINTS * taints[index]
            + WEIGHT_AFFINITY * affinity[index]
            + WEIGHT_SPREAD * spread[index]
    };
    // `max_by_key` would take the last of equals; the first keeps the rotation of the search's start.
    let mut chosen: Option<(usize, i64)> = None;
    for index in 0..nodes.len() {
        let score = score(index);
        if chosen.is_none_or(|(_, best)| score > best) {
            chosen = Some((index, score));
        }
    }
    chosen.map(|(index, _)| nodes[index])
}

fn siblings(demand: &Demand, node: &NodeInfo) -> i64 {
    demand.siblings.as_ref().and_then(|owner| node.siblings.get(owner)).map_or(0, |count| i64::from(*count))
}

/// The mean of the free shares of CPU and memory after the Pod is there.
fn least_allocated(demand: &Demand, node: &NodeInfo) -> i64 {
    let free = |used: f64| ((1.0 - used.min(1.0)) * BEST as f64) as i64;
    let (cpu, memory) = used(demand, node);
    i64::midpoint(free(cpu), free(memory))
}

/// The closer the used shares of CPU and memory, the better: nothing is left that nobody can use.
fn balanced(demand: &Demand, node: &NodeInfo) -> i64 {
    let (cpu, memory) = used(demand, node);
    ((1.0 - (cpu.min(1.0) - memory.min(1.0)).abs() / 2.0) * BEST as f64) as i64
}

fn used(demand: &Demand, node: &NodeInfo) -> (f64, f64) {
    let share = |taken: i64, asked: i64, offered: i64| {
        if offered == 0 { 1.0 } else { (taken + asked) as f64 / offered as f64 }
    };
    let (taken, asked) = (&node.requested_for_score, &demand.requests_for_score);
    (share(taken.cpu, asked.cpu, node.allocatable.cpu), share(taken.memory, asked.memory, node.allocatable.memory))
}

fn more_is_better(mut raw: Vec<i64>) -> Vec<i64> {
    let most = raw.iter().copied().max().unwrap_or(0);
    raw.iter_mut().for_each(|value| *value = if most == 0 { 0 } else { *value * BEST / most });
    raw
}

fn fewer_is_better(raw: Vec<i64>) -> Vec<i64> {
    let mut scores = more_is_better(raw);
    scores.iter_mut().for_each(|score| *score = BEST - *score);
    scores
}
