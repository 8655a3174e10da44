//! Which addresses belong into the status of an Ingress.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use carob_resources::{INGRESS_ADDRESSES, INGRESS_CONTROLLER, INGRESS_ROLE};
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass, IngressLoadBalancerIngress, IngressPortStatus};
use kube::ResourceExt;

/// Where the annotation says the class that the field does not.
const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";

/// What the status of the Ingress should list, if that is ours to say and it does not.
pub(super) fn plan(
    ingress: &Ingress,
    class: Option<&IngressClass>,
    points: &[IngressLoadBalancerIngress],
) -> Option<Vec<IngressLoadBalancerIngress>> {
    let controller = class.and_then(|class| class.spec.as_ref()?.controller.as_deref());
    if controller != Some(INGRESS_CONTROLLER) || ingress.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let balancer = ingress.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let listed = balancer.and_then(|balancer| balancer.ingress.as_deref()).unwrap_or_default();
    (listed != points).then(|| points.to_vec())
}

/// The class that an Ingress says it is of.
pub(super) fn class_name(ingress: &Ingress) -> Option<&str> {
    let field = ingress.spec.as_ref().and_then(|spec| spec.ingress_class_name.as_deref());
    field.or_else(|| ingress.annotations().get(CLASS_ANNOTATION).map(String::as_str))
}

/// Where the gateways of nodes listen that are well and have the role; in order, so that equal ones are equal.
pub(super) fn points<'a>(nodes: impl IntoIterator<Item = &'a Node>) -> Vec<IngressLoadBalancerIngress> {
    let mut all = BTreeMap::<IpAddr, BTreeSet<u16>>::new();
    for node in nodes.into_iter().filter(|node| node.labels().contains_key(INGRESS_ROLE) && is_ready(node)) {
        addresses(node).for_each(|address| {
            all.entry(address.ip()).or_default().insert(address.port());
        });
    }
    all.into_iter().map(point).collect()
}

fn point((ip, ports): (IpAddr, BTreeSet<u16>)) -> IngressLoadBalancerIngress {
    let port = |port: u16| IngressPortStatus { port: port.into(), protocol: "TCP".into(), error: None };
    let ports = Some(ports.into_iter().map(port).collect());
    IngressLoadBalancerIngress { ip: Some(ip.to_string()), hostname: None, ports }
}

/// What a node says that nobody can read is left out.
fn addresses(node: &Node) -> impl Iterator<Item = SocketAddr> {
    let said = node.annotations().get(INGRESS_ADDRESSES).map(String::as_str).unwrap_or_default();
    said.split(',').filter_map(|address| address.trim().parse().ok())
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    fn node(labels: serde_json::Value, said: &str, ready: &str) -> Node {
        from_value(json!({
            "metadata": { "name": "n", "labels": labels, "annotations": { INGRESS_ADDRESSES: said } },
            "status": { "conditions": [{ "type": "Ready", "status": ready }] },
        }))
        .unwrap()
    }

    fn told(points: &[IngressLoadBalancerIngress]) -> Vec<String> {
        let ports = |point: &IngressLoadBalancerIngress| {
            let ports = point.ports.iter().flatten().map(|port| port.port.to_string()).collect::<Vec<_>>();
            format!("{} {}", point.ip.as_deref().unwrap_or_default(), ports.join(" "))
        };
        points.iter().map(ports).collect()
    }

    #[test]
    fn only_nodes_with_the_role_that_are_well_are_listed() {
        let role = || json!({ INGRESS_ROLE: "" });
        let nodes = [
            node(role(), "192.0.2.2:80,192.0.2.2:443", "True"),
            node(role(), "192.0.2.1:8443, 192.0.2.1:8080,nonsense", "True"),
            node(json!({}), "192.0.2.3:80", "True"),
            node(role(), "192.0.2.4:80", "Unknown"),
            node(role(), "", "True"),
        ];
        assert_eq!(told(&points(&nodes)), ["192.0.2.1 8080 8443", "192.0.2.2 80 443"]);
    }

    #[test]
    fn the_status_is_written_when_it_differs_and_is_ours() {
        let class = |controller: &str| -> IngressClass {
            from_value(json!({ "metadata": { "name": "c" }, "spec": { "controller": controller } })).unwrap()
        };
        let ingress = |status: serde_json::Value| -> Ingress {
            from_value(json!({ "metadata": { "name": "i" }, "status": { "loadBalancer": { "ingress": status } } }))
                .unwrap()
        };
        let points = points(&[node(json!({ INGRESS_ROLE: "" }), "192.0.2.1:80", "True")]);
        let same = json!([{ "ip": "192.0.2.1", "ports": [{ "port": 80, "protocol": "TCP" }] }]);
        let cases = [
            (ingress(json!([])), Some("carob.dev/ingress"), true),
            (ingress(json!([{ "ip": "192.0.2.9" }])), Some("carob.dev/ingress"), true),
            (ingress(same), Some("carob.dev/ingress"), false),
            (ingress(json!([])), Some("example.com/other"), false),
            (ingress(json!([])), None, false),
        ];
        for (ingress, controller, writes) in cases {
            let class = controller.map(class);
            assert_eq!(
                plan(&ingress, class.as_ref(), &points).is_some(),
                writes,
                "{controller:?} {:?}",
                ingress.status
            );
        }
    }
}
