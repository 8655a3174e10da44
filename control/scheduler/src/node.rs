use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use carob_volumes::node_selector::NodeView;
use k8s_openapi::api::core::v1::{Node, Taint};

use crate::demand::{Demand, HostPort};
use crate::resources::Resources;

const NOT_READY: &str = "node.kubernetes.io/not-ready";

/// A node as the scheduler sees it: what it offers, and what is taken.
#[derive(Debug, Default)]
pub(crate) struct NodeInfo {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) taints: Vec<Taint>,
    pub(crate) unschedulable: bool,
    pub(crate) allocatable: Resources,
    pub(crate) most_pods: i64,
    pub(crate) requested: Resources,
    pub(crate) requested_for_score: Resources,
    pub(crate) pods: i64,
    pub(crate) host_ports: Vec<HostPort>,
    pub(crate) siblings: HashMap<String, u32>,
}

impl NodeInfo {
    /// What selectors look at.
    pub(crate) fn view(&self) -> NodeView<'_> {
        NodeView { name: &self.name, labels: &self.labels }
    }

    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Takes in what the node offers. Says whether anything changed that a waiting Pod could have waited for.
    pub(crate) fn describe(&mut self, node: &Arc<Node>) -> bool {
        let allocatable = node.status.as_ref().and_then(|status| status.allocatable.as_ref());
        let mut offered = Resources::from_list(allocatable);
        let most_pods = offered.other.remove("pods").unwrap_or(0);
        let labels = node.metadata.labels.clone().unwrap_or_default();
        let taints = taints(node);
        let unschedulable = node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false);
        let changed = (&self.allocatable, self.most_pods, &self.labels, &self.taints, self.unschedulable)
            != (&offered, most_pods, &labels, &taints, unschedulable);
        self.allocatable = offered;
        self.most_pods = most_pods;
        self.labels = labels;
        self.taints = taints;
        self.unschedulable = unschedulable;
        changed
    }

    pub(crate) fn take(&mut self, demand: &Demand) {
        self.requested.add(&demand.requests);
        self.requested_for_score.add(&demand.requests_for_score);
        self.pods += 1;
        self.host_ports.extend(demand.host_ports.iter().cloned());
        if let Some(owner) = &demand.siblings {
            *self.siblings.entry(owner.clone()).or_default() += 1;
        }
    }

    pub(crate) fn give_back(&mut self, demand: &Demand) {
        self.requested.subtract(&demand.requests);
        self.requested_for_score.subtract(&demand.requests_for_score);
        self.pods -= 1;
        for port in &demand.host_ports {
            if let Some(index) = self.host_ports.iter().position(|taken| taken == port) {
                self.host_ports.swap_remove(index);
            }
        }
        if let Some(owner) = &demand.siblings
            && let Some(count) = self.siblings.get_mut(owner)
        {
            *count -= 1;
            if *count == 0 {
                self.siblings.remove(owner);
            }
        }
    }
}

/// The node's taints. A node that says itself that it is not ready counts as tainted, whether or not the controller
/// that writes the taint has come to it.
fn taints(node: &Node) -> Vec<Taint> {
    let mut taints = node.spec.as_ref().and_then(|spec| spec.taints.clone()).unwrap_or_default();
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    let ready = conditions.into_iter().flatten().find(|condition| condition.type_ == "Ready");
    let said = taints.iter().any(|taint| taint.key.starts_with("node.kubernetes.io/"));
    if ready.is_some_and(|ready| ready.status != "True") && !said {
        taints.push(Taint { key: NOT_READY.into(), effect: "NoSchedule".into(), ..Taint::default() });
    }
    taints
}
