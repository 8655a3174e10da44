//! The row that kubectl shows for a Service.

use crate::Column;
use crate::json::{at, int, list, text};
use crate::table::{AGE, NAME, age_cell, name};
use crate::workload::selector_text;
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeSet;

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    Column::plain("Type", "string", "type determines how the Service is exposed."),
    Column::plain(
        "Cluster-IP",
        "string",
        "clusterIP is the IP address of the service and is usually assigned randomly.",
    ),
    Column::plain(
        "External-IP",
        "string",
        "externalIPs is a list of IP addresses for which nodes in the cluster will also accept traffic for this service.",
    ),
    Column::plain("Port(s)", "string", "The list of ports that are exposed by this service."),
    AGE,
    Column::wide("Selector", "Route service traffic to pods with label keys and values matching this selector."),
];

/// Load balancers have long names; this many characters are shown.
const LOAD_BALANCER_WIDTH: usize = 16;

pub(super) fn cells(service: &Value, now: Timestamp) -> Vec<Value> {
    let cluster_ip = match text(service, "/spec/clusterIPs/0") {
        "" => text(service, "/spec/clusterIP"),
        first => first,
    };
    vec![
        name(service),
        text(service, "/spec/type").into(),
        if cluster_ip.is_empty() { "<none>" } else { cluster_ip }.into(),
        external_ip(service).into(),
        ports(list(service, "/spec/ports")).into(),
        age_cell(service, now),
        selector_text(at(service, "/spec/selector")).into(),
    ]
}

fn external_ip(service: &Value) -> String {
    let external = || list(service, "/spec/externalIPs").iter().filter_map(Value::as_str).map(str::to_owned);
    match text(service, "/spec/type") {
        "ClusterIP" | "NodePort" => join_or(external().collect(), "<none>"),
        "LoadBalancer" => {
            let balancer = Some(load_balancer(service)).filter(|all| !all.is_empty());
            join_or(balancer.into_iter().chain(external()).collect(), "<pending>")
        }
        "ExternalName" => text(service, "/spec/externalName").to_owned(),
        _ => "<unknown>".to_owned(),
    }
}

/// Where a load balancer, of a Service or an Ingress, takes connections.
pub(crate) fn load_balancer(object: &Value) -> String {
    let ingress = list(object, "/status/loadBalancer/ingress").iter();
    let all: BTreeSet<&str> = ingress
        .map(|one| if text(one, "/ip").is_empty() { text(one, "/hostname") } else { text(one, "/ip") })
        .filter(|one| !one.is_empty())
        .collect();
    let joined = Vec::from_iter(all).join(",");
    if joined.chars().count() <= LOAD_BALANCER_WIDTH {
        return joined;
    }
    joined.chars().take(LOAD_BALANCER_WIDTH - 3).collect::<String>() + "..."
}

fn join_or(all: Vec<String>, empty: &str) -> String {
    if all.is_empty() { empty.to_owned() } else { all.join(",") }
}

fn ports(ports: &[Value]) -> String {
    let one = |port: &Value| {
        let (number, protocol) = (int(port, "/port").unwrap_or(0), text(port, "/protocol"));
        match int(port, "/nodePort").unwrap_or(0) {
            0 => format!("{number}/{protocol}"),
            node_port => format!("{number}:{node_port}/{protocol}"),
        }
    };
    join_or(ports.iter().map(one).collect(), "<none>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn addresses_and_ports_read_as_kubectl_shows_them() {
        let service = json!({
            "metadata": { "name": "web" },
            "spec": { "type": "LoadBalancer", "clusterIP": "10.96.0.7", "selector": { "app": "web" },
                "ports": [{ "port": 80, "nodePort": 30080, "protocol": "TCP" }, { "port": 53, "protocol": "UDP" }] },
        });
        let row = cells(&service, Timestamp::UNIX_EPOCH);
        let expected = ["web", "LoadBalancer", "10.96.0.7", "<pending>", "80:30080/TCP,53/UDP", "<unknown>", "app=web"];
        assert_eq!(row, expected);
    }

    #[test]
    fn a_long_load_balancer_is_cut() {
        let service = json!({ "spec": { "type": "LoadBalancer" },
            "status": { "loadBalancer": { "ingress": [{ "hostname": "a-very-long-name.example.com" }] } } });
        assert_eq!(external_ip(&service), "a-very-long-n...");
    }
}
