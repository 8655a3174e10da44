//! What one NetworkPolicy says, read once so that a flow is decided by comparing.

use std::net::IpAddr;
use std::sync::Arc;

use carob_net::{Direction, Protocol, Range};
use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::selector::Selector;
use crate::table::ObjectName;

/// One NetworkPolicy.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) name: ObjectName,
    /// The Pods of its namespace that it is for.
    pub(crate) pods: Selector,
    /// What it lets in and out; a direction that it does not speak of is `None`.
    ingress: Option<Vec<Rule>>,
    egress: Option<Vec<Rule>>,
}

/// Lets pass what has one of the ports and one of the peers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// `None` is every port. Of no protocol that is carried here, there may be none at all.
    pub(crate) ports: Option<Vec<Port>>,
    /// `None` is everybody.
    pub(crate) peers: Option<Vec<Peer>>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) protocol: Protocol,
    pub(crate) number: Number,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Number {
    Any,
    Between(u16, u16),
    /// The port that the Pod which is reached has under this name.
    Named(Arc<str>),
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// Pods of the policy's own namespace, if no other is selected.
    Pods {
        namespaces: Option<Selector>,
        pods: Option<Selector>,
    },
    Block(Block),
}

/// A range of addresses with holes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    range: Range,
    except: Vec<Range>,
}

impl Policy {
    pub(crate) fn new(name: ObjectName, object: &NetworkPolicy) -> Policy {
        let default = NetworkPolicySpec::default();
        let spec = object.spec.as_ref().unwrap_or(&default);
        let speaks_of = |direction: &str| spec.policy_types.iter().flatten().any(|kind| kind == direction);
        let ingress = spec.ingress.iter().flatten().map(|rule| Rule::new(&rule.ports, &rule.from)).collect();
        let egress = spec.egress.iter().flatten().map(|rule| Rule::new(&rule.ports, &rule.to)).collect();
        Policy {
            name,
            pods: Selector::new(spec.pod_selector.as_ref().unwrap_or(&LabelSelector::default())),
            ingress: speaks_of("Ingress").then_some(ingress),
            egress: speaks_of("Egress").then_some(egress),
        }
    }

    /// What it lets pass in this direction, if it speaks of that.
    pub(crate) fn rules(&self, direction: Direction) -> Option<&[Rule]> {
        match direction {
            Direction::Ingress => self.ingress.as_deref(),
            Direction::Egress => self.egress.as_deref(),
        }
    }
}

impl Rule {
    fn new(ports: &Option<Vec<NetworkPolicyPort>>, peers: &Option<Vec<NetworkPolicyPeer>>) -> Rule {
        let ports = ports.as_ref().filter(|ports| !ports.is_empty());
        let peers = peers.as_ref().filter(|peers| !peers.is_empty());
        Rule {
            ports: ports.map(|ports| ports.iter().filter_map(port).collect()),
            peers: peers.map(|peers| peers.iter().filter_map(peer).collect()),
        }
    }
}

/// SCTP is not carried, so that nothing passes by its ports.
fn port(port: &NetworkPolicyPort) -> Option<Port> {
    let protocol = match port.protocol.as_deref() {
        None | Some("TCP") => Protocol::Tcp,
        Some("UDP") => Protocol::Udp,
        _ => return None,
    };
    let number = match (&port.port, port.end_port) {
        (None, _) => Number::Any,
        (Some(IntOrString::String(name)), _) => Number::Named(name.as_str().into()),
        (Some(IntOrString::Int(first)), last) => {
            Number::Between((*first).try_into().ok()?, last.unwrap_or(*first).try_into().ok()?)
        }
    };
    Some(Port { protocol, number })
}

/// A block that cannot be read lets nobody pass.
fn peer(peer: &NetworkPolicyPeer) -> Option<Peer> {
    match &peer.ip_block {
        Some(block) => Block::new(block).map(Peer::Block),
        None => Some(Peer::Pods {
            namespaces: peer.namespace_selector.as_ref().map(Selector::new),
            pods: peer.pod_selector.as_ref().map(Selector::new),
        }),
    }
}

impl Block {
    fn new(block: &IPBlock) -> Option<Block> {
        let except = block.except.iter().flatten().map(|range| Range::parse(range)).collect::<Option<_>>()?;
        Some(Block { range: Range::parse(&block.cidr)?, except })
    }

    pub(crate) fn contains(&self, ip: IpAddr) -> bool {
        self.range.contains(ip) && !self.except.iter().any(|hole| hole.contains(ip))
    }
}
