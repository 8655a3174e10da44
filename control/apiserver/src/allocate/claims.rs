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
    if takes_node_ports(service) {
        for port in ports(service) {
            let number = port["nodePort"].as_u64().and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0);
            let claim = number.map(Claim::Port);
            claims.extend(claim.filter(|claim| !claims.contains(claim)));
        }
    }
    claims
}

pub(super) fn takes_cluster_ip(service: &Value) -> bool {
    type_of(service) != "ExternalName" && service["spec"]["clusterIP"] != "None"
}

pub(super) fn takes_node_ports(service: &Value) -> bool {
    match type_of(service) {
        "NodePort" => true,
        "LoadBalancer" => service["spec"]["allocateLoadBalancerNodePorts"] != false,
        _ => false,
    }
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
    fn what_each_type_claims() {
        let ip = "10.96.0.7";
        let ports = json!([{ "port": 80, "nodePort": 30080 }, { "port": 80, "protocol": "UDP", "nodePort": 30080 }]);
        let both = vec![Claim::Ip(ip.parse().unwrap()), Claim::Port(30080)];
        let cases = [
            (json!({ "clusterIP": ip, "ports": ports }), both[..1].to_vec()),
            (json!({ "type": "NodePort", "clusterIP": ip, "ports": ports }), both.clone()),
            (json!({ "type": "LoadBalancer", "clusterIP": ip, "ports": ports }), both),
            (json!({ "clusterIP": "None" }), vec![]),
            (json!({ "type": "ExternalName" }), vec![]),
        ];
        for (spec, expected) in cases {
            assert_eq!(claims(&service(spec.clone())), expected, "{spec}");
        }
    }
}
