//! What an update of a Service keeps, drops and may not change.

use crate::json::{at, int, is_empty, items_mut, list, remove, section, set, text};
use crate::{Cause, Path};
use serde_json::{Value, json};

/// A client that replaces a Service without the addresses and ports that were allocated for it keeps them.
pub(super) fn keep_allocated(new: &mut Value, old: &Value) {
    let (kind, held) = (text(new, "/spec/type").to_owned(), text(old, "/spec/type"));
    let Some(spec) = section(new, "spec") else { return };
    if kind != "ExternalName" && held != "ExternalName" && is_empty(spec, "/clusterIP") && is_empty(spec, "/clusterIPs")
    {
        for field in ["clusterIP", "clusterIPs"] {
            crate::strategy::carry_over(spec, at(old, "/spec"), field);
        }
    }
    follow_cluster_ip(spec, at(old, "/spec"));
    if has_node_ports(&kind) && has_node_ports(held) {
        keep_node_ports(spec, list(old, "/spec/ports"));
    }
}

/// A client that changes `clusterIP` alone, as those do that know of one address only, means the first of `clusterIPs` too.
fn follow_cluster_ip(spec: &mut Value, held: &Value) {
    let ip = text(spec, "/clusterIP");
    if !ip.is_empty() && ip != text(held, "/clusterIP") && spec.get("clusterIPs") == held.get("clusterIPs") {
        let ips = json!([ip]);
        set(spec, "clusterIPs", ips);
    }
}

fn keep_node_ports(spec: &mut Value, old: &[Value]) {
    let mut taken: Vec<i64> = list(spec, "/ports").iter().filter_map(|port| int(port, "/nodePort")).collect();
    for port in items_mut(spec, "/ports") {
        if int(port, "/nodePort").unwrap_or(0) != 0 {
            continue;
        }
        let same = |other: &&Value| {
            int(other, "/port") == int(port, "/port") && text(other, "/protocol") == text(port, "/protocol")
        };
        let held = old.iter().find(same).and_then(|other| int(other, "/nodePort"));
        if let Some(held) = held.filter(|held| !taken.contains(held)) {
            taken.push(held);
            set(port, "nodePort", held);
        }
    }
}

/// Drops what the type of a Service has no use for, where the user did not ask for it just now.
pub(super) fn drop_unused(service: &mut Value, old: &Value) {
    let kind = text(service, "/spec/type").to_owned();
    let same_external = is_empty(service, "/spec/externalIPs");
    let Some(spec) = section(service, "spec") else { return };
    let held = at(old, "/spec");
    if kind == "ExternalName" && text(held, "/type") != "ExternalName" {
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"] {
            drop_if_same(spec, held, field);
        }
    }
    if !has_node_ports(&kind) {
        drop_node_ports(spec, list(held, "/ports"));
        if same_external {
            drop_if_same(spec, held, "externalTrafficPolicy");
        }
    }
    if kind != "LoadBalancer" {
        drop_if_same(spec, held, "allocateLoadBalancerNodePorts");
        drop_if_same(spec, held, "healthCheckNodePort");
        drop_if_same(spec, held, "loadBalancerClass");
        drop_if_same(spec, held, "loadBalancerSourceRanges");
    }
}

fn drop_if_same(spec: &mut Value, held: &Value, field: &str) {
    if spec.get(field) == held.get(field) {
        remove(spec, field);
    }
}

fn drop_node_ports(spec: &mut Value, old: &[Value]) {
    for port in items_mut(spec, "/ports") {
        let node_port = int(port, "/nodePort");
        if old.iter().any(|other| int(other, "/nodePort") == node_port) {
            remove(port, "nodePort");
        }
    }
}

fn has_node_ports(kind: &str) -> bool {
    kind == "NodePort" || kind == "LoadBalancer"
}

/// What is wrong with replacing `old` by `new`.
pub(super) fn validate(new: &Value, old: &Value) -> Vec<Cause> {
    let mut found = Vec::new();
    super::balancer::check_update(new, old, &mut found);
    found.extend(changed_address(new, old));
    found
}

fn changed_address(new: &Value, old: &Value) -> Vec<Cause> {
    let external = |service: &Value| text(service, "/spec/type") == "ExternalName";
    let (wanted, held) = (at(new, "/spec/clusterIPs"), at(old, "/spec/clusterIPs"));
    if external(new) || external(old) || is_empty(old, "/spec/clusterIPs") || wanted == held {
        return Vec::new();
    }
    let path = Path::new("spec.clusterIPs");
    if wanted.as_array().is_none_or(Vec::is_empty) {
        return vec![Cause::invalid(&path.index(0), wanted.clone(), "primary clusterIP can not be unset")];
    }
    if list(new, "/spec/clusterIPs").first() == list(old, "/spec/clusterIPs").first() {
        return Vec::new();
    }
    vec![Cause::invalid(&path.index(0), wanted.clone(), "may not change once set")]
}
