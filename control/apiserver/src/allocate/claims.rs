//! What a Service has of the pools. Pure.

use std::net::Ipv4Addr;

use serde_json::Value;

/// One thing of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    Ip(Ipv4Addr),
    Port(u16),
}

impl Claim {
    /// The key that says that it is taken.
    pub(super) fn key(self) -> String {
        match self {
            Self::Ip(ip) => format!("/allocations/ips/{ip}"),
            Self::Port(port) => format!("/allocations/ports/{port}"),
        }
    }
}

/// All that a Service has. TCP and UDP may share a node port.
pub(super) fn claims(service: &Value) -> Vec<Claim> {
    let mut claims = Vec::new();
    if takes_cluster_ip(service) {
        let ip = service["spec"]["clusterIP"].as_str().and_then(|ip| ip.parse().ok());
        claims.extend(ip.map(Claim::Ip));
    }
    let node_ports = ports(service).iter().filter(|_| has_node_ports(service)).map(|port| &port["nodePort"]);
    let health = Some(&service["spec"]["healthCheckNodePort"]).filter(|_| takes_health_check(service));
    for number in node_ports.chain(health) {
        let number = number.as_u64().and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0);
        let claim = number.map(Claim::Port);
        claims.extend(claim.filter(|claim| !claims.contains(claim)));
    }
    claims
}

pub(super) fn takes_cluster_ip(service: &Value) -> bool {
    type_of(service) != "ExternalName" && service["spec"]["clusterIP"] != "None"
}

/// Whether ports may have node ports.
pub(super) fn has_node_ports(service: &Value) -> bool {
    matches!(type_of(service), "NodePort" | "LoadBalancer")
}

/// Whether each port has one.
pub(super) fn takes_node_ports(service: &Value) -> bool {
    match type_of(service) {
        "LoadBalancer" => service["spec"]["allocateLoadBalancerNodePorts"] != false,
        _ => has_node_ports(service),
    }
}

/// Whether nodes tell at a port whether endpoints are there.
pub(super) fn takes_health_check(service: &Value) -> bool {
    type_of(service) == "LoadBalancer" && service["spec"]["externalTrafficPolicy"] == "Local"
}

/// The node port of another port with the same number, whose protocol is another.
pub(super) fn shared_port(service: &Value, index: usize) -> Option<Value> {
    let (ports, own) = (ports(service), &ports(service)[index]);
    let same = ports.iter().filter(|other| other["port"] == own["port"] && other["protocol"] != own["protocol"]);
    let has_it =
        |number: &Value| ports.iter().any(|other| other["nodePort"] == *number && other["protocol"] == own["protocol"]);
    let number = same.map(|other| &other["nodePort"]).find(|number| number.as_u64().is_some_and(|number| number != 0));
    number.filter(|number| !has_it(number)).cloned()
}

fn ports(service: &Value) -> &[Value] {
    service["spec"]["ports"].as_array().map_or(&[], Vec::as_slice)
}

fn type_of(service: &Value) -> &str {
    service["spec"]["type"].as_str().unwrap_or("ClusterIP")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service(spec: Value) -> Value {
        json!({ "spec": spec })
    }

    #[test]
    fn ports_of_one_number_share_a_node_port_where_their_protocols_differ() {
        let dns = service(json!({ "ports": [
            { "port": 53, "protocol": "UDP", "nodePort": 30053 }, { "port": 53, "protocol": "TCP" },
            { "port": 54, "protocol": "TCP" },
        ] }));
        assert_eq!(shared_port(&dns, 1), Some(json!(30053)));
        assert_eq!(shared_port(&dns, 2), None);
        let taken = service(json!({ "ports": [
            { "port": 53, "protocol": "UDP", "nodePort": 30053 }, { "port": 53, "protocol": "TCP" },
            { "port": 54, "protocol": "TCP", "nodePort": 30053 },
        ] }));
        assert_eq!(shared_port(&taken, 1), None);
    }

    #[test]
    fn what_each_type_claims() {
        let ip = "10.96.0.7";
        let ports = json!([{ "port": 80, "nodePort": 30080 }, { "port": 80, "protocol": "UDP", "nodePort": 30080 }]);
        let both = vec![Claim::Ip(ip.parse().unwrap()), Claim::Port(30080)];
        let cases = [
            (json!({ "clusterIP": ip, "ports": ports }), both[..1].to_vec()),
            (json!({ "type": "NodePort", "clusterIP": ip, "ports": ports }), both.clone()),
            (json!({ "type": "LoadBalancer", "clusterIP": ip, "ports": ports }), both.clone()),
            (
                json!({ "type": "LoadBalancer", "clusterIP": ip, "ports": ports, "allocateLoadBalancerNodePorts": false }),
                both.clone(),
            ),
            (
                json!({ "type": "LoadBalancer", "clusterIP": ip, "ports": ports, "externalTrafficPolicy": "Local",
                    "healthCheckNodePort": 30999 }),
                [both, vec![Claim::Port(30999)]].concat(),
            ),
            (json!({ "clusterIP": "None" }), vec![]),
            (json!({ "type": "ExternalName" }), vec![]),
        ];
        for (spec, expected) in cases {
            assert_eq!(claims(&service(spec.clone())), expected, "{spec}");
        }
    }
}
