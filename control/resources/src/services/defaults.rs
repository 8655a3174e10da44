use super::HEADLESS;
use crate::json::{at, fill, fill_text, int, is_empty, items_mut, section, set, text};
use serde_json::{Value, json};

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

fn default_families(spec: &mut Value) {
    let family = match text(spec, "/clusterIP") {
        HEADLESS => "IPv4",
        ip if ip.contains(':') => "IPv6",
        _ => "IPv4",
    };
    if is_empty(spec, "/ipFamilies") {
        set(spec, "ipFamilies", json!([family]));
    }
    fill_text(spec, "ipFamilyPolicy", "SingleStack");
}
