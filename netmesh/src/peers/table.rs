//! Which node has which Pods, and where its mesh listens. Pure.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::NodeName;
use crate::mesh::Range;

/// What the mesh knows of one node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The ranges that its Pods' addresses are from.
    pub pods: Vec<Range>,
    /// Where its mesh listens, by UDP; none while the node has not said so.
    pub mesh: Option<SocketAddr>,
}

/// The way to every Pod of the cluster.
#[derive(Debug, Default)]
pub struct Routes {
    nodes: BTreeMap<NodeName, Place>,
    /// By first address; no two overlap.
    ranges: BTreeMap<IpAddr, (Range, NodeName)>,
}

/// A range that a node has, and that another had before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The node whose Pods cannot be reached there.
    pub node: NodeName,
    /// The range.
    pub range: Range,
    /// The node that has it.
    pub holder: NodeName,
}

impl Routes {
    /// The ways to all of these. A range that overlaps one of a node with a lesser name is left out, and told.
    pub fn new(nodes: BTreeMap<NodeName, Place>) -> (Routes, Vec<Conflict>) {
        let mut routes = Routes { nodes: BTreeMap::new(), ranges: BTreeMap::new() };
        let mut conflicts = Vec::new();
        for (node, place) in &nodes {
            for range in &place.pods {
                match routes.overlapping(*range) {
                    Some(holder) if holder != node => {
                        conflicts.push(Conflict { node: node.clone(), range: *range, holder: holder.clone() });
                    }
                    _ => drop(routes.ranges.insert(range.first(), (*range, node.clone()))),
                }
            }
        }
        routes.nodes = nodes;
        (routes, conflicts)
    }

    /// The node whose Pods have addresses like this one.
    pub fn node_of(&self, ip: IpAddr) -> Option<&NodeName> {
        let (_, (range, node)) = self.ranges.range(..=ip).next_back()?;
        range.contains(ip).then_some(node)
    }

    /// The address in a node's own range that stands for the node itself, as a bridge has it elsewhere: no Pod gets the first.
    pub(crate) fn host_of(&self, node: &str, like: IpAddr) -> Option<IpAddr> {
        let ranges = &self.nodes.get(node)?.pods;
        let first = ranges.iter().map(Range::first).find(|first| first.is_ipv4() == like.is_ipv4())?;
        Some(match first {
            IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits() + 1).into(),
            IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() + 1).into(),
        })
    }

    /// Every node that can be reached.
    pub fn reachable(&self) -> impl Iterator<Item = (&NodeName, SocketAddr)> {
        self.nodes.iter().filter_map(|(node, place)| Some((node, place.mesh?)))
    }

    fn overlapping(&self, range: Range) -> Option<&NodeName> {
        let before = self.ranges.range(..=range.first()).next_back();
        let within = self.ranges.range(range.first()..).next();
        let overlap = before.filter(|(_, (other, _))| other.contains(range.first()));
        overlap.or(within.filter(|(first, _)| range.contains(**first))).map(|(_, (_, node))| node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(nodes: &[(&str, &[&str], Option<&str>)]) -> (Routes, Vec<Conflict>) {
        let place = |pods: &[&str], mesh: Option<&str>| Place {
            pods: pods.iter().map(|range| Range::parse(range).unwrap()).collect(),
            mesh: mesh.map(|mesh| mesh.parse().unwrap()),
        };
        Routes::new(nodes.iter().map(|(name, pods, mesh)| ((*name).into(), place(pods, *mesh))).collect())
    }

    #[test]
    fn each_address_is_of_the_node_in_whose_range_it_lies() {
        let (routes, conflicts) = routes(&[
            ("a", &["10.244.0.0/24", "fd00:0:0:1::/64"], Some("192.0.2.1:6444")),
            ("b", &["10.244.2.0/23"], None),
        ]);
        assert_eq!(conflicts, []);
        for (ip, node) in [
            ("10.243.255.255", None),
            ("10.244.0.0", Some("a")),
            ("10.244.0.255", Some("a")),
            ("10.244.1.0", None),
            ("10.244.3.255", Some("b")),
            ("10.244.4.0", None),
            ("fd00:0:0:1::9", Some("a")),
            ("fd00:0:0:2::9", None),
        ] {
            assert_eq!(routes.node_of(ip.parse().unwrap()).map(|name| &**name), node, "{ip}");
        }
        for (node, like, host) in [
            ("a", "127.0.0.1", Some("10.244.0.1")),
            ("a", "::1", Some("fd00:0:0:1::1")),
            ("b", "::1", None),
            ("c", "::1", None),
        ] {
            let host: Option<IpAddr> = host.map(|host| host.parse().unwrap());
            assert_eq!(routes.host_of(node, like.parse().unwrap()), host, "{node}");
        }
        let reachable: Vec<_> = routes.reachable().map(|(node, at)| (&**node, at.to_string())).collect();
        assert_eq!(reachable, [("a", "192.0.2.1:6444".to_owned())]);
    }

    #[test]
    fn a_range_is_of_one_node_only() {
        let (routes, conflicts) = routes(&[
            ("a", &["10.244.1.0/24"], None),
            ("b", &["10.244.0.0/16"], None),
            ("c", &["10.244.1.128/25"], None),
            ("d", &["10.244.2.0/24", "10.244.2.0/24"], None),
        ]);
        let told: Vec<_> = conflicts.iter().map(|told| (&*told.node, &*told.holder)).collect();
        assert_eq!(told, [("b", "a"), ("c", "a")]);
        assert_eq!(routes.node_of("10.244.1.200".parse().unwrap()).map(|name| &**name), Some("a"));
        assert_eq!(routes.node_of("10.244.9.9".parse().unwrap()), None);
    }
}
