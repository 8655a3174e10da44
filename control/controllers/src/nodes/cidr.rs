//! Gives each node the range of addresses that its Pods get theirs from.
//!
//! What is taken is what the Nodes say: nothing else has to survive a restart.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use carob_reconcile::{EventType, Informer, Next, ObjectKey, Queue, Reconcile, Recorder};
use k8s_openapi::api::core::v1::Node;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use parking_lot::Mutex;
use serde_json::json;

use crate::context::Context;

const NAME: &str = "node-ipam-controller";
/// One at a time, so that no two nodes get the same.
const WORKERS: usize = 1;
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// The network of all Pods, and how it is cut into ranges for nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodNetwork {
    first: u32,
    prefix: u8,
    node_prefix: u8,
}

/// Why a network cannot be cut so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodNetworkError;

impl std::fmt::Display for PodNetworkError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(
            "a node's part of the Pods' network is at least as small as the network, and has 4 addresses or more",
        )
    }
}

impl std::error::Error for PodNetworkError {}

impl PodNetwork {
    /// The network of `prefix` bits that `address` is in, of which each node gets a part of `node_prefix` bits.
    pub fn new(address: Ipv4Addr, prefix: u8, node_prefix: u8) -> Result<Self, PodNetworkError> {
        if prefix == 0 || node_prefix < prefix || node_prefix > 30 {
            return Err(PodNetworkError);
        }
        let mask = u32::MAX << (32 - prefix);
        Ok(Self { first: address.to_bits() & mask, prefix, node_prefix })
    }

    /// A part that nobody has: the wanted one if it is free, else the first.
    fn choose(&self, taken: &[RangeInclusive<u32>], wanted: Option<&str>) -> Option<String> {
        let is_free = |range: &RangeInclusive<u32>| {
            taken.iter().all(|other| range.end() < other.start() || other.end() < range.start())
        };
        let wanted = wanted.filter(|cidr| addresses(cidr).is_some_and(|range| is_free(&range)));
        if let Some(wanted) = wanted {
            return Some(wanted.to_owned());
        }
        let size = 1_u32 << (32 - self.node_prefix);
        let count = 1_u32 << (self.node_prefix - self.prefix);
        let mut all = (0..count).map(|number| self.first + number * size);
        let first = all.find(|first| is_free(&(*first..=first + (size - 1))))?;
        Some(format!("{}/{}", Ipv4Addr::from_bits(first), self.node_prefix))
    }
}

impl Default for PodNetwork {
    /// `10.244.0.0/16`, of which each node gets a `/18`: 16,381 Pods.
    fn default() -> Self {
        Self { first: Ipv4Addr::new(10, 244, 0, 0).to_bits(), prefix: 16, node_prefix: 18 }
    }
}

/// From the first to the last address of a range.
fn addresses(cidr: &str) -> Option<RangeInclusive<u32>> {
    let (address, prefix) = cidr.split_once('/')?;
    let (address, prefix): (Ipv4Addr, u32) = (address.parse().ok()?, prefix.parse().ok()?);
    let host = u32::MAX.checked_shr(prefix).unwrap_or(0);
    let first = address.to_bits() & !host;
    Some(first..=first | host)
}

pub(crate) fn start(context: &mut Context<'_>, network: PodNetwork) {
    let recorder = context.recorder("cidrAllocator");
    let controller = Ranges {
        client: context.client(NAME),
        nodes: context.informers.of(),
        recorder,
        network,
        last: Mutex::default(),
    };
    let queue = Arc::new(Queue::new());
    let wake = queue.clone();
    controller.nodes.on_change(move |change| {
        change.new.iter().for_each(|node| wake.add(node.name_any()));
    });
    context.spawn(Arc::new(controller), queue, WORKERS);
}

struct Ranges {
    client: Client,
    nodes: Informer<Node>,
    recorder: Recorder,
    network: PodNetwork,
    /// What each node had last, so that one that is deleted and comes back finds its Pods' addresses its own.
    last: Mutex<HashMap<String, String>>,
}

impl Reconcile for Ranges {
    type Key = String;
    const NAME: &'static str = NAME;

    async fn reconcile(&self, name: String) -> kube::Result<Next> {
        self.nodes.synced().await;
        let Some(node) = self.nodes.find(&ObjectKey::new("", &name)) else { return Ok(Next::Done) };
        if let Some(held) = cidr(&node) {
            self.last.lock().insert(name, held.to_owned());
            return Ok(Next::Done);
        }
        let all = self.nodes.all();
        let taken: Vec<_> = all.iter().filter_map(|node| addresses(cidr(node)?)).collect();
        let wanted = self.last.lock().get(&name).cloned();
        let Some(chosen) = self.network.choose(&taken, wanted.as_deref()) else {
            let told = format!("Node {name} status is now: CIDRNotAvailable");
            self.recorder.event(&*node, EventType::Normal, "CIDRNotAvailable", told);
            return Ok(Next::After(LOOK_AGAIN));
        };
        let patch = json!({
            "metadata": { "resourceVersion": node.resource_version() },
            "spec": { "podCIDR": chosen, "podCIDRs": [chosen] },
        });
        let api: Api<Node> = Api::all(self.client.clone());
        self.nodes.observe(api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await?);
        Ok(Next::Done)
    }
}

fn cidr(node: &Node) -> Option<&str> {
    node.spec.as_ref()?.pod_cidr.as_deref().filter(|cidr| !cidr.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(taken: &[&str], wanted: Option<&str>) -> Option<String> {
        let network = PodNetwork::new(Ipv4Addr::new(10, 244, 7, 7), 16, 18).unwrap();
        let taken: Vec<_> = taken.iter().map(|cidr| addresses(cidr).unwrap()).collect();
        network.choose(&taken, wanted)
    }

    #[test]
    fn each_node_gets_a_part_that_overlaps_with_no_other() {
        let cases = [
            (&[][..], None, Some("10.244.0.0/18")),
            (&["10.244.0.0/18"], None, Some("10.244.64.0/18")),
            (&["10.244.64.0/18"], None, Some("10.244.0.0/18")),
            (&["10.244.0.0/24", "10.244.127.0/24"], None, Some("10.244.128.0/18")),
            (&["10.244.0.0/18"], Some("10.244.192.0/18"), Some("10.244.192.0/18")),
            (&["10.244.0.0/18"], Some("10.244.0.0/18"), Some("10.244.64.0/18")),
            (&["10.244.0.0/16"], None, None),
        ];
        for (taken, wanted, expected) in cases {
            assert_eq!(chosen(taken, wanted).as_deref(), expected, "{taken:?} {wanted:?}");
        }
    }

    #[test]
    fn a_network_is_cut_into_parts_that_are_smaller() {
        for (prefix, node_prefix) in [(16, 15), (0, 8), (16, 31)] {
            assert_eq!(PodNetwork::new(Ipv4Addr::LOCALHOST, prefix, node_prefix), Err(PodNetworkError));
        }
    }
}
