use super::HEADLESS;
use crate::json::{at, fill, fill_text, int, is_empty, items_mut, list, section, set, text};
use serde_json::{Value, json};
use std::net::Ipv4Addr;

const AFFINITY_SECONDS: i64 = 10_800;

/// Fills in what a Service leaves out. Addresses and node ports are for the allocator.
pub(super) fn default(service: &mut Value) {
    let Some(spec) = section(service, "spec") else { return };
    fill_text(spec, "sessionAffinity", "None");
    fill_text(spec, "type", "ClusterIP");
    default_affinity(spec);
    items_mut(spec, "/ports").for_each(default_port);
    default_policies(spec);
    mirror_cluster_ip(spec);
    if text(spec, "/type") != "ExternalName" {
        default_families(spec);
    }
}

fn default_affinity(spec: &mut Value) {
    if text(spec, "/sessionAffinity") != "ClientIP" {
        spec.as_object_mut().map(|spec| spec.remove("sessionAffinityConfig"));
        return;
    }
    let client = section(spec, "sessionAffinityConfig").and_then(|config| section(config, "clientIP"));
    if let Some(client) = client {
        fill(client, "timeoutSeconds", AFFINITY_SECONDS);
    }
}

fn default_port(port: &mut Value) {
    fill_text(port, "protocol", "TCP");
    let target = at(port, "/targetPort");
    if target.is_null() || target == 0 || target == "" {
        let number = int(port, "/port").unwrap_or(0);
        set(port, "targetPort", number);
    }
}

fn default_policies(spec: &mut Value) {
    let kind = text(spec, "/type").to_owned();
    if kind != "ExternalName" {
        fill_text(spec, "internalTrafficPolicy", "Cluster");
    }
    let reached_from_outside = ["NodePort", "LoadBalancer"].contains(&kind.as_str());
    if reached_from_outside || (kind == "ClusterIP" && !is_empty(spec, "/externalIPs")) {
        fill_text(spec, "externalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        fill(spec, "allocateLoadBalancerNodePorts", true);
    }
}

/// `clusterIP` is the first of `clusterIPs`.
fn mirror_cluster_ip(spec: &mut Value) {
    let (one, first) = (text(spec, "/clusterIP"), text(spec, "/clusterIPs/0"));
    if !one.is_empty() && is_empty(spec, "/clusterIPs") {
        let all = json!([one]);
        set(spec, "clusterIPs", all);
    } else if one.is_empty() && !first.is_empty() {
        let first = first.to_owned();
        set(spec, "clusterIP", first);
    }
}

/// The network has IPv4 only. A family that there is not is left out, for validation to say so; only a headless Service whose
/// endpoints somebody else keeps may have any.
fn default_families(spec: &mut Value) {
    let is_free = is_free(spec);
    fill_text(spec, "ipFamilyPolicy", if is_free { "RequireDualStack" } else { "SingleStack" });
    let given = list(spec, "/ipFamilies").to_vec();
    let of_ips = list(spec, "/clusterIPs").iter().skip(given.len());
    let known = of_ips.map_while(|ip| ip.as_str()?.parse::<Ipv4Addr>().ok()).map(|_| json!("IPv4"));
    let mut families: Vec<Value> = given.iter().cloned().chain(known).collect();
    if families.is_empty() && !text(spec, "/clusterIP").contains(':') {
        families.push(json!("IPv4"));
    }
    if is_free && families.len() == 1 && text(spec, "/ipFamilyPolicy") != "SingleStack" {
        families.push(if families[0] == "IPv4" { json!("IPv6") } else { json!("IPv4") });
    }
    if !families.is_empty() {
        set(spec, "ipFamilies", families);
    }
}

/// Whether its families are not bound to those of this cluster.
pub(super) fn is_free(spec: &Value) -> bool {
    text(spec, "/clusterIP") == HEADLESS && is_empty(spec, "/selector")
}
