//! What is known of the nodes and of the Pods on them, those included that the API server has not heard of yet.

use std::collections::HashMap;
use std::sync::Arc;

use carob_reconcile::ObjectKey;
use k8s_openapi::api::core::v1::{Node, Pod};

use crate::demand::Demand;
use crate::node::NodeInfo;

/// Nodes by position, so that a search can begin anywhere; Pods by name.
#[derive(Default)]
pub(crate) struct Cache {
    nodes: Vec<NodeInfo>,
    /// Nodes that Pods name and that do not exist (yet): what is taken there counts from the first moment.
    absent: HashMap<String, NodeInfo>,
    by_name: HashMap<String, usize>,
    pods: HashMap<ObjectKey, Placed>,
    /// Where the next search begins: every node gets its turn, and equal scores spread.
    pub(crate) start: usize,
}

struct Placed {
    demand: Demand,
    node: String,
    /// Decided here, and not yet told by the API server.
    assumed: bool,
}

impl Cache {
    pub(crate) fn nodes(&self) -> &[NodeInfo] {
        &self.nodes
    }

    /// The node is now this, or gone. Says whether waiting Pods should be tried again.
    pub(crate) fn set_node(&mut self, name: &str, node: Option<&Arc<Node>>) -> bool {
        match (node, self.by_name.get(name).copied()) {
            (Some(node), Some(index)) => self.nodes[index].describe(node),
            (Some(node), None) => {
                let mut info = self.absent.remove(name).unwrap_or_else(|| NodeInfo::new(name));
                info.describe(node);
                self.by_name.insert(name.to_owned(), self.nodes.len());
                self.nodes.push(info);
                true
            }
            (None, Some(index)) => {
                self.remove_node(name, index);
                false
            }
            (None, None) => false,
        }
    }

    /// The Pod is now this, or gone. Says whether room was made.
    pub(crate) fn set_pod(&mut self, key: &ObjectKey, pod: Option<&Pod>) -> bool {
        let Some((pod, node)) = pod.and_then(|pod| Some((pod, occupied_node(pod)?))) else {
            return self.vacate(key, pod);
        };
        let demand = Demand::of(pod);
        if let Some(known) = self.pods.get_mut(key)
            && known.node == node
            && known.demand == demand
        {
            known.assumed = false;
            return false;
        }
        let moved = self.remove_pod(key);
        self.place(demand, node.to_owned(), false);
        moved
    }

    /// Counts the Pod on the node from now on.
    pub(crate) fn assume(&mut self, demand: Demand, node: &str) {
        self.place(demand, node.to_owned(), true);
    }

    pub(crate) fn is_assumed(&self, key: &ObjectKey, uid: &str) -> bool {
        self.pods.get(key).is_some_and(|placed| placed.assumed && placed.demand.uid == uid)
    }

    /// The binding failed: the Pod is nowhere.
    pub(crate) fn withdraw(&mut self, key: &ObjectKey, uid: &str) {
        if self.is_assumed(key, uid) {
            self.remove_pod(key);
        }
    }

    /// The Pod takes nothing any more, unless it is only that the API server has not heard of our decision.
    fn vacate(&mut self, key: &ObjectKey, pod: Option<&Pod>) -> bool {
        let uid = pod.and_then(|pod| pod.metadata.uid.as_deref());
        if uid.is_some_and(|uid| self.is_assumed(key, uid)) && pod.is_some_and(is_unbound) {
            return false;
        }
        self.remove_pod(key)
    }

    fn place(&mut self, demand: Demand, node: String, assumed: bool) {
        self.info(&node).take(&demand);
        self.pods.insert(demand.key.clone(), Placed { demand, node, assumed });
    }

    fn remove_pod(&mut self, key: &ObjectKey) -> bool {
        let Some(placed) = self.pods.remove(key) else { return false };
        self.info(&placed.node).give_back(&placed.demand);
        if self.absent.get(&placed.node).is_some_and(|info| info.pods == 0) {
            self.absent.remove(&placed.node);
        }
        true
    }

    fn remove_node(&mut self, name: &str, index: usize) {
        self.by_name.remove(name);
        let info = self.nodes.swap_remove(index);
        if let Some(moved) = self.nodes.get(index) {
            self.by_name.insert(moved.name.clone(), index);
        }
        if info.pods > 0 {
            self.absent.insert(name.to_owned(), info);
        }
    }

    fn info(&mut self, name: &str) -> &mut NodeInfo {
        match self.by_name.get(name) {
            Some(index) => &mut self.nodes[*index],
            None => self.absent.entry(name.to_owned()).or_insert_with(|| NodeInfo::new(name)),
        }
    }
}

/// The node whose resources the Pod takes: bound, and not at its end.
fn occupied_node(pod: &Pod) -> Option<&str> {
    let over = matches!(pod.status.as_ref().and_then(|status| status.phase.as_deref()), Some("Succeeded" | "Failed"));
    pod.spec.as_ref()?.node_name.as_deref().filter(|node| !over && !node.is_empty())
}

fn is_unbound(pod: &Pod) -> bool {
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
    node.is_none_or(str::is_empty) && pod.metadata.deletion_timestamp.is_none()
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
