//! What a Service has of the pools. Pure.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

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

/// A client that updates a Service need not repeat what was allocated; and need not take away what a new type cannot have.
pub(super) fn carry_over(new: &mut Value, old: &Value) {
    if takes_cluster_ip(new) {
        if takes_cluster_ip(old) && empty(&new["spec"]["clusterIP"]) {
            copy(new, old, "clusterIP");
            copy(new, old, "clusterIPs");
        }
    } else if type_of(new) == "ExternalName" && new["spec"]["clusterIP"] == old["spec"]["clusterIP"] {
        for field in ["clusterIP", "clusterIPs"] {
            if let Some(spec) = new["spec"].as_object_mut() {
                spec.remove(field);
            }
        }
    }
    carry_over_ports(new, old);
}

fn carry_over_ports(new: &mut Value, old: &Value) {
    let had = takes_node_ports(old);
    let keeps = takes_node_ports(new);
    let before: Vec<(Value, i64, i64)> = ports(old).iter().map(identity).collect();
    for port in new["spec"]["ports"].as_array_mut().into_iter().flatten() {
        let (protocol, number, node_port) = identity(port);
        let known = before.iter().find(|one| one.0 == protocol && one.1 == number && one.2 != 0);
        match known {
            Some((.., held)) if had && keeps && node_port == 0 => port["nodePort"] = json!(held),
            Some((.., held)) if had && !keeps && node_port == *held => {
                if let Some(port) = port.as_object_mut() {
                    port.remove("nodePort");
                }
            }
            _ => {}
        }
    }
}

/// Protocol, port and node port.
fn identity(port: &Value) -> (Value, i64, i64) {
    let protocol = match &port["protocol"] {
        Value::Null => json!("TCP"),
        said => said.clone(),
    };
    (protocol, port["port"].as_i64().unwrap_or(0), port["nodePort"].as_i64().unwrap_or(0))
}

fn ports(service: &Value) -> &[Value] {
    service["spec"]["ports"].as_array().map_or(&[], Vec::as_slice)
}

fn type_of(service: &Value) -> &str {
    service["spec"]["type"].as_str().unwrap_or("ClusterIP")
}

fn empty(value: &Value) -> bool {
    value.as_str().is_none_or(str::is_empty)
}

fn copy(new: &mut Value, old: &Value, field: &str) {
    if !old["spec"][field].is_null() {
        new["spec"][field] = old["spec"][field].clone();
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn an_update_keeps_what_it_does_not_speak_of() {
        let old = service(json!({
            "type": "NodePort", "clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7"],
            "ports": [{ "port": 80, "protocol": "TCP", "nodePort": 30080 }],
        }));
        let mut same = service(json!({ "type": "NodePort", "ports": [{ "port": 80 }, { "port": 81 }] }));
        carry_over(&mut same, &old);
        assert_eq!(same["spec"]["clusterIP"], "10.96.0.7");
        assert_eq!(same["spec"]["ports"], json!([{ "port": 80, "nodePort": 30080 }, { "port": 81 }]));

        let mut inner = old.clone();
        inner["spec"]["type"] = json!("ClusterIP");
        carry_over(&mut inner, &old);
        assert_eq!(inner["spec"]["ports"], json!([{ "port": 80, "protocol": "TCP" }]));

        let mut outside = old.clone();
        outside["spec"]["type"] = json!("ExternalName");
        carry_over(&mut outside, &old);
        assert_eq!(outside["spec"].get("clusterIP"), None);
    }
}
