//! Follows the cluster's nodes: which Pods each has, and where its mesh listens.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Node;
use kube::Client;
use kube::runtime::watcher::Event;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::NodeName;
use super::table::{Conflict, Place, Routes};
use crate::follow::watch as watch_all;
use crate::mesh::Range;

/// On a Node: the UDP address where its mesh listens, as `ADDRESS:PORT`.
pub const MESH_ADDRESS: &str = "carob.dev/mesh-address";

/// Keeps `routes` as the API's Nodes say, until `shutdown`.
pub async fn follow_nodes(client: Client, routes: watch::Sender<Arc<Routes>>, shutdown: CancellationToken) {
    let mut events = pin!(watch_all::<Node>(&client));
    let mut nodes = Nodes::default();
    while let Some(Some(event)) = shutdown.run_until_cancelled(events.next()).await {
        if let Some(places) = nodes.on(event) {
            let (next, conflicts) = Routes::new(places.clone());
            conflicts.iter().for_each(complain);
            routes.send_replace(Arc::new(next));
        }
    }
}

fn complain(conflict: &Conflict) {
    let Conflict { node, range, holder } = conflict;
    tracing::warn!(%node, %range, %holder, "two nodes have the same Pod addresses; those of the first are not reached");
}

/// The nodes that there are. A list that begins again replaces what there was when it is complete.
#[derive(Default)]
struct Nodes {
    known: BTreeMap<NodeName, Place>,
    listed: Option<BTreeMap<NodeName, Place>>,
}

impl Nodes {
    /// All nodes, if any of them changed in what matters here: a node says that it is alive far more often.
    fn on(&mut self, event: Event<Node>) -> Option<&BTreeMap<NodeName, Place>> {
        let has_changed = match event {
            Event::Init => {
                self.listed = Some(BTreeMap::new());
                false
            }
            Event::InitApply(node) => {
                self.listed.get_or_insert_default().extend([place(&node)]);
                false
            }
            Event::InitDone => {
                let listed = self.listed.take().unwrap_or_default();
                std::mem::replace(&mut self.known, listed) != self.known
            }
            Event::Apply(node) => {
                let (name, place) = place(&node);
                self.known.insert(name, place.clone()) != Some(place)
            }
            Event::Delete(node) => self.known.remove(&place(&node).0).is_some(),
        };
        has_changed.then_some(&self.known)
    }
}

fn place(node: &Node) -> (NodeName, Place) {
    let name = NodeName::from(node.metadata.name.as_deref().unwrap_or_default());
    let spec = node.spec.as_ref();
    let cidrs = spec.and_then(|spec| spec.pod_cidrs.as_deref()).unwrap_or_default();
    let single = spec.and_then(|spec| spec.pod_cidr.as_ref()).filter(|_| cidrs.is_empty());
    let pods = cidrs
        .iter()
        .chain(single)
        .filter_map(|range| understood(&name, "podCIDR", range, Range::parse(range)))
        .collect();
    let said = node.metadata.annotations.as_ref().and_then(|annotations| annotations.get(MESH_ADDRESS));
    let mesh = said.and_then(|address| understood(&name, MESH_ADDRESS, address, address.parse().ok()));
    (name, Place { pods, mesh })
}

fn understood<T>(node: &NodeName, field: &str, text: &str, read: Option<T>) -> Option<T> {
    if read.is_none() {
        tracing::warn!(%node, field, text, "a Node says something that the mesh cannot read");
    }
    read
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    fn node(name: &str, cidr: &str, address: Option<&str>) -> Node {
        let mut annotations = json!({});
        if let Some(address) = address {
            annotations[MESH_ADDRESS] = Value::from(address);
        }
        from_value(json!({
            "metadata": {"name": name, "annotations": annotations},
            "spec": {"podCIDR": cidr, "podCIDRs": [cidr]},
        }))
        .unwrap()
    }

    fn told(nodes: &mut Nodes, event: Event<Node>) -> Option<Vec<String>> {
        let places = nodes.on(event)?;
        let told = |(name, place): (&NodeName, &Place)| format!("{name} {:?} {}", place.mesh, place.pods[0]);
        Some(places.iter().map(told).collect())
    }

    #[test]
    fn only_what_matters_is_told() {
        let mut nodes = Nodes::default();
        let a = |address| node("a", "10.244.1.0/24", address);
        assert_eq!(told(&mut nodes, Event::Init), None);
        assert_eq!(told(&mut nodes, Event::InitApply(a(None))), None);
        assert_eq!(told(&mut nodes, Event::InitDone).unwrap(), ["a None 10.244.1.0/24"]);
        assert_eq!(told(&mut nodes, Event::Apply(a(None))), None, "a heartbeat");
        let moved = told(&mut nodes, Event::Apply(a(Some("192.0.2.1:6444")))).unwrap();
        assert_eq!(moved, ["a Some(192.0.2.1:6444) 10.244.1.0/24"]);
        assert_eq!(told(&mut nodes, Event::Apply(a(Some("nowhere")))).unwrap(), ["a None 10.244.1.0/24"]);
    }

    #[test]
    fn a_list_replaces_what_there_was_once_it_is_complete() {
        let mut nodes = Nodes::default();
        told(&mut nodes, Event::Apply(node("a", "10.244.1.0/24", None)));
        told(&mut nodes, Event::Init);
        told(&mut nodes, Event::InitApply(node("b", "10.244.2.0/24", None)));
        told(&mut nodes, Event::Init);
        told(&mut nodes, Event::InitApply(node("c", "10.244.3.0/24", None)));
        assert_eq!(told(&mut nodes, Event::InitDone).unwrap(), ["c None 10.244.3.0/24"]);
        assert_eq!(told(&mut nodes, Event::Delete(node("c", "10.244.3.0/24", None))).unwrap(), [] as [String; 0]);
    }
}
