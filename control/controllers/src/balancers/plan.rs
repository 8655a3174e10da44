//! Which nodes balance which Services. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use carob_reconcile::ObjectKey;
use k8s_openapi::api::core::v1::{LoadBalancerIngress, Node, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::ResourceExt;

/// The class of load balancers that the nodes themselves are; that of a Service that names none.
const CLASS: &str = "carob.dev/host";
/// On nodes that are to balance nothing.
const EXCLUDED: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// What is to be done about a Service.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Somebody else's business.
    NotOurs,
    /// These addresses take its flows.
    At(Vec<IpAddr>),
    /// Another Service has one of its ports.
    Taken { port: i32, protocol: String, by: ObjectKey },
}

/// Decides about one of all Services.
///
/// A port belongs to the Service that has it already, or else to the oldest: what all nodes listen at has to be the same,
/// whatever they have heard of first.
pub(super) fn verdict(
    service: &Service,
    all: &[Arc<Service>],
    nodes: &[Arc<Node>],
    slices: &[Arc<EndpointSlice>],
) -> Verdict {
    if !is_ours(service) {
        return Verdict::NotOurs;
    }
    if let Some(taken) = taken(service, all) {
        return taken;
    }
    let here = places(service, slices);
    let mut ips: Vec<IpAddr> = nodes
        .iter()
        .filter(|node| is_willing(node) && here.as_ref().is_none_or(|here| here.contains(&node.name_any())))
        .filter_map(|node| address(node))
        .collect();
    ips.sort_unstable();
    ips.dedup();
    Verdict::At(ips)
}

pub(super) fn is_ours(service: &Service) -> bool {
    let Some(spec) = &service.spec else { return false };
    spec.type_.as_deref() == Some("LoadBalancer")
        && spec.load_balancer_class.as_deref().is_none_or(|class| class == CLASS)
        && service.metadata.deletion_timestamp.is_none()
}

/// The addresses that its status names.
pub(super) fn ingress(service: &Service) -> Vec<IpAddr> {
    let status = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let all = status.and_then(|status| status.ingress.as_deref()).unwrap_or_default();
    all.iter().filter_map(|one: &LoadBalancerIngress| one.ip.as_deref()?.parse().ok()).collect()
}

fn taken(service: &Service, all: &[Arc<Service>]) -> Option<Verdict> {
    let own = rank(service);
    let mut before: Vec<_> = all.iter().filter(|other| is_ours(other) && rank(other) < own).collect();
    before.sort_by_key(|other| rank(other));
    let mut held = BTreeMap::new();
    for other in before {
        // One that has been refused holds nothing.
        if ports(other).all(|port| !held.contains_key(&port)) {
            held.extend(ports(other).map(|port| (port, ObjectKey::of(&other.metadata))));
        }
    }
    ports(service).find_map(|(port, protocol)| {
        let by = held.get(&(port, protocol.clone()))?.clone();
        Some(Verdict::Taken { port, protocol, by })
    })
}

/// Whoever has its ports keeps them; then age counts, and for those of one second the name.
fn rank(service: &Service) -> (bool, Option<jiff::Timestamp>, ObjectKey) {
    let created = service.metadata.creation_timestamp.as_ref().map(|time| time.0);
    (ingress(service).is_empty(), created, ObjectKey::of(&service.metadata))
}

fn ports(service: &Service) -> impl Iterator<Item = (i32, String)> {
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    ports.map(|port| (port.port, port.protocol.clone().unwrap_or_else(|| "TCP".into())))
}

/// The nodes that have ready endpoints, if only those may take flows.
fn places(service: &Service, slices: &[Arc<EndpointSlice>]) -> Option<BTreeSet<String>> {
    let spec = service.spec.as_ref()?;
    if spec.external_traffic_policy.as_deref() != Some("Local") {
        return None;
    }
    let own = slices.iter().filter(|slice| slice.labels().get(SERVICE_NAME) == Some(&service.name_any()));
    let endpoints = own.flat_map(|slice| slice.endpoints.iter().flatten());
    let ready = endpoints.filter(|endpoint| endpoint.conditions.as_ref().and_then(|c| c.ready).unwrap_or(true));
    Some(ready.filter_map(|endpoint| endpoint.node_name.clone()).collect())
}

const SERVICE_NAME: &str = "kubernetes.io/service-name";

fn is_willing(node: &Node) -> bool {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let is_ready = conditions.into_iter().any(|one| one.type_ == "Ready" && one.status == "True");
    is_ready && node.metadata.deletion_timestamp.is_none() && !node.labels().contains_key(EXCLUDED)
}

/// By which address clients outside know the node.
fn address(node: &Node) -> Option<IpAddr> {
    let addresses = node.status.as_ref()?.addresses.as_deref()?;
    let of = |kind: &str| addresses.iter().find(|one| one.type_ == kind)?.address.parse().ok();
    of("ExternalIP").or_else(|| of("InternalIP"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    fn service(name: &str, created: &str, spec: Value, ingress: &[&str]) -> Arc<Service> {
        let ingress: Vec<Value> = ingress.iter().map(|ip| json!({"ip": ip})).collect();
        let mut service = json!({
            "metadata": {"name": name, "namespace": "default", "creationTimestamp": format!("2026-01-01T00:00:{created}Z")},
            "spec": {"type": "LoadBalancer", "ports": [{"port": 80, "protocol": "TCP"}]},
            "status": {"loadBalancer": {"ingress": ingress}},
        });
        service["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        from_value(service).unwrap()
    }

    fn node(name: &str, addresses: Value, ready: bool, labels: Value) -> Arc<Node> {
        from_value(json!({
            "metadata": {"name": name, "labels": labels},
            "status": {
                "addresses": addresses,
                "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}],
            },
        }))
        .unwrap()
    }

    fn nodes() -> Vec<Arc<Node>> {
        let internal = |ip: &str| json!({"type": "InternalIP", "address": ip});
        vec![
            node("a", json!([internal("192.0.2.1")]), true, json!({})),
            node("b", json!([internal("10.0.0.2"), {"type": "ExternalIP", "address": "192.0.2.2"}]), true, json!({})),
            node("down", json!([internal("192.0.2.3")]), false, json!({})),
            node("left-out", json!([internal("192.0.2.4")]), true, json!({EXCLUDED: ""})),
        ]
    }

    fn at(ips: &[&str]) -> Verdict {
        Verdict::At(ips.iter().map(|ip| ip.parse().unwrap()).collect())
    }

    #[test]
    fn every_ready_node_balances_and_none_that_is_left_out() {
        let web = service("web", "00", json!({}), &[]);
        assert_eq!(verdict(&web, std::slice::from_ref(&web), &nodes(), &[]), at(&["192.0.2.1", "192.0.2.2"]));
        assert_eq!(verdict(&web, std::slice::from_ref(&web), &[], &[]), at(&[]));
        let ours = service("web", "00", json!({"loadBalancerClass": CLASS}), &[]);
        assert_eq!(verdict(&ours, &[], &nodes(), &[]), at(&["192.0.2.1", "192.0.2.2"]));
        for others in [json!({"loadBalancerClass": "example.com/other"}), json!({"type": "NodePort"})] {
            assert_eq!(verdict(&service("web", "00", others, &[]), &[], &nodes(), &[]), Verdict::NotOurs);
        }
    }

    #[test]
    fn where_flows_stay_on_their_node_only_nodes_with_ready_endpoints_balance() {
        let web = service("web", "00", json!({"externalTrafficPolicy": "Local"}), &[]);
        let slice = |name: &str, ready: bool, node: &str| -> Arc<EndpointSlice> {
            from_value(json!({
                "metadata": {"name": "s", "labels": {SERVICE_NAME: name}}, "addressType": "IPv4",
                "endpoints": [{"addresses": ["10.244.0.2"], "nodeName": node, "conditions": {"ready": ready}}],
            }))
            .unwrap()
        };
        let slices = [slice("web", true, "b"), slice("web", false, "a"), slice("other", true, "a")];
        assert_eq!(verdict(&web, &[], &nodes(), &slices), at(&["192.0.2.2"]));
    }

    #[test]
    fn a_port_belongs_to_whoever_has_it_and_else_to_the_oldest() {
        let (old, young) = (service("old", "01", json!({}), &[]), service("young", "02", json!({}), &[]));
        let all = [young.clone(), old.clone()];
        let by = |name: &str| Verdict::Taken { port: 80, protocol: "TCP".into(), by: ObjectKey::new("default", name) };
        assert_eq!(verdict(&young, &all, &nodes(), &[]), by("old"));
        assert!(matches!(verdict(&old, &all, &nodes(), &[]), Verdict::At(_)));
        let holder = service("young", "02", json!({}), &["192.0.2.1"]);
        assert_eq!(verdict(&old, &[holder.clone(), old.clone()], &nodes(), &[]), by("young"));
        let udp = service("udp", "03", json!({"ports": [{"port": 80, "protocol": "UDP"}]}), &[]);
        assert!(matches!(verdict(&udp, &all, &nodes(), &[]), Verdict::At(_)));
        let both = service("both", "02", json!({"ports": [{"port": 80}, {"port": 81}]}), &[]);
        let third = service("third", "03", json!({"ports": [{"port": 81}]}), &[]);
        let all = [old, both.clone(), third.clone()];
        assert_eq!(verdict(&both, &all, &nodes(), &[]), by("old"));
        assert!(matches!(verdict(&third, &all, &nodes(), &[]), Verdict::At(_)), "who was refused holds nothing");
    }
}
