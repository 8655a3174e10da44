//! Nodes.

use crate::cause::Causes;
use crate::json::{at, entries, fill, flag, is_empty, list, section, set, text};
use crate::names;
use crate::pod_spec::{canonical_quantities, check_taint_effect};
use crate::quantity::Quantity;
use crate::resource::{Resource, Scope, Subresource};
use crate::table::{AGE, NAME, age_cell, name};
use crate::workload::condition;
use crate::{Cause, Column, Path, Strategy};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::IpAddr;

pub(crate) const NODES: Resource = Resource {
    group: "",
    version: "v1",
    kind: "Node",
    plural: "nodes",
    singular: "node",
    short_names: &["no"],
    categories: &[],
    scope: Scope::Cluster,
    subresources: &[Subresource::Status, Subresource::Proxy],
    storage: "nodes",
    strategy: &Nodes,
};

const COLUMNS: &[Column] = &[
    NAME,
    Column::plain("Status", "string", "The status of the node"),
    Column::plain("Roles", "string", "The roles of the node"),
    AGE,
    Column::plain("Version", "string", "Kubelet Version reported by the node."),
    Column::wide("Internal-IP", "List of addresses reachable to the node."),
    Column::wide("External-IP", "List of addresses reachable to the node."),
    Column::wide("OS-Image", "OS Image reported by the node from /etc/os-release (e.g. Debian GNU/Linux 7 (wheezy))."),
    Column::wide("Kernel-Version", "Kernel Version reported by the node from 'uname -r' (e.g. 3.16.0-0.bpo.4-amd64)."),
    Column::wide(
        "Container-Runtime",
        "ContainerRuntime Version reported by the node through runtime remote API (e.g. containerd://1.4.2).",
    ),
];

const ROLE_PREFIX: &str = "node-role.kubernetes.io/";
const ROLE_LABEL: &str = "kubernetes.io/role";

struct Nodes;

impl Strategy for Nodes {
    fn default(&self, node: &mut Value) {
        if let Some(spec) = section(node, "spec") {
            mirror_cidr(spec);
        }
        if let Some(status) = node.get_mut("status").filter(|status| status.is_object()) {
            canonical_quantities(status, "capacity");
            canonical_quantities(status, "allocatable");
            let capacity = at(status, "/capacity").clone();
            if capacity.is_object() {
                fill(status, "allocatable", capacity);
            }
        }
    }

    /// A node may register with its status at once.
    fn prepare_create(&self, _node: &mut Value, _now: Timestamp) {}

    fn validate(&self, node: &Value) -> Vec<Cause> {
        let mut found = Causes::default();
        check_taints(list(node, "/spec/taints"), &Path::new("spec.taints"), &mut found);
        for (index, cidr) in list(node, "/spec/podCIDRs").iter().filter_map(Value::as_str).enumerate() {
            check_cidr(cidr, &Path::new("spec.podCIDRs").index(index), &mut found);
        }
        found.into_vec()
    }

    fn validate_update(&self, new: &Value, old: &Value) -> Vec<Cause> {
        let mut found = Causes::default();
        for (field, detail) in [
            ("podCIDRs", "node updates may not change podCIDR except from \"\" to valid"),
            ("providerID", "node updates may not change providerID except from \"\" to valid"),
        ] {
            let pointer = format!("/spec/{field}");
            if !is_empty(old, &pointer) && at(new, &pointer) != at(old, &pointer) {
                found.push(Cause::forbidden(&Path::new("spec").child(field), detail));
            }
        }
        found.into_vec()
    }

    fn validate_status(&self, new: &Value, _old: &Value) -> Vec<Cause> {
        let mut found = Causes::default();
        for field in ["capacity", "allocatable"] {
            for (name, amount) in entries(new, &format!("/status/{field}")) {
                check_amount(amount, &Path::new("status").child(field).key(name), &mut found);
            }
        }
        found.into_vec()
    }

    fn has_generation(&self) -> bool {
        false
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn cells(&self, node: &Value, now: Timestamp) -> Vec<Value> {
        vec![
            name(node),
            status(node).into(),
            roles(node).into(),
            age_cell(node, now),
            text(node, "/status/nodeInfo/kubeletVersion").into(),
            address(node, "InternalIP").into(),
            address(node, "ExternalIP").into(),
            or_unknown(text(node, "/status/nodeInfo/osImage")).into(),
            or_unknown(text(node, "/status/nodeInfo/kernelVersion")).into(),
            or_unknown(text(node, "/status/nodeInfo/containerRuntimeVersion")).into(),
        ]
    }

    fn selectable_fields(&self, node: &Value) -> Vec<(&'static str, String)> {
        vec![("spec.unschedulable", flag(node, "/spec/unschedulable").to_string())]
    }
}

fn status(node: &Value) -> String {
    let ready = match condition(node, "Ready").map(|condition| text(condition, "/status")) {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    };
    if flag(node, "/spec/unschedulable") { format!("{ready},SchedulingDisabled") } else { ready.to_owned() }
}

fn roles(node: &Value) -> String {
    let roles: BTreeSet<&str> = entries(node, "/metadata/labels")
        .filter_map(|(key, value)| match key.strip_prefix(ROLE_PREFIX) {
            Some(role) => Some(role),
            None if key == ROLE_LABEL => value.as_str(),
            None => None,
        })
        .filter(|role| !role.is_empty())
        .collect();
    if roles.is_empty() { "<none>".to_owned() } else { roles.into_iter().collect::<Vec<_>>().join(",") }
}

fn address<'a>(node: &'a Value, kind: &str) -> &'a str {
    let found = list(node, "/status/addresses").iter().find(|address| text(address, "/type") == kind);
    found.map_or("<none>", |address| text(address, "/address"))
}

fn or_unknown(value: &str) -> &str {
    if value.is_empty() { "<unknown>" } else { value }
}

/// `podCIDR` is the first of `podCIDRs`.
fn mirror_cidr(spec: &mut Value) {
    let (one, first) = (text(spec, "/podCIDR"), text(spec, "/podCIDRs/0"));
    if !one.is_empty() && is_empty(spec, "/podCIDRs") {
        let all = json!([one]);
        set(spec, "podCIDRs", all);
    } else if one.is_empty() && !first.is_empty() {
        let first = first.to_owned();
        set(spec, "podCIDR", first);
    }
}

fn check_taints(taints: &[Value], path: &Path, found: &mut Causes) {
    let mut seen = BTreeSet::new();
    for (index, taint) in taints.iter().enumerate() {
        let path = path.index(index);
        let (key, value, effect) = (text(taint, "/key"), text(taint, "/value"), text(taint, "/effect"));
        found.invalid_each(&path.child("key"), key, names::qualified_name(key));
        found.invalid_each(&path.child("value"), value, names::label_value(value));
        if effect.is_empty() {
            found.push(Cause::required(&path.child("effect"), ""));
        } else {
            check_taint_effect(effect, &path.child("effect"), found);
        }
        if !seen.insert((key, effect)) {
            found.push(Cause::duplicate(&path, taint.clone()));
        }
    }
}

fn check_cidr(cidr: &str, path: &Path, found: &mut Causes) {
    let fits = cidr.split_once('/').is_some_and(|(ip, bits)| match (ip.parse(), bits.parse::<u8>()) {
        (Ok(IpAddr::V4(_)), Ok(bits)) => bits <= 32,
        (Ok(IpAddr::V6(_)), Ok(bits)) => bits <= 128,
        _ => false,
    });
    if !fits {
        let detail = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
        found.push(Cause::invalid(path, cidr, detail));
    }
}

fn check_amount(amount: &Value, path: &Path, found: &mut Causes) {
    match Quantity::from_json(amount) {
        Err(error) => found.push(Cause::invalid(path, amount.clone(), &error.to_string())),
        Ok(quantity) if quantity.is_negative() => {
            found.push(Cause::invalid(path, quantity.to_string(), "must be greater than or equal to 0"));
        }
        Ok(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_tells_status_roles_and_addresses() {
        let node = json!({
            "metadata": { "name": "one", "labels": { "node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/control-plane": "" } },
            "spec": { "unschedulable": true },
            "status": {
                "conditions": [{ "type": "Ready", "status": "True" }],
                "addresses": [{ "type": "InternalIP", "address": "10.0.0.1" }],
                "nodeInfo": { "kubeletVersion": "v1.36.0" },
            },
        });
        let row = Nodes.cells(&node, Timestamp::UNIX_EPOCH);
        let expected = [
            "one",
            "Ready,SchedulingDisabled",
            "control-plane,worker",
            "<unknown>",
            "v1.36.0",
            "10.0.0.1",
            "<none>",
            "<unknown>",
            "<unknown>",
            "<unknown>",
        ];
        assert_eq!(row, expected);
    }

    #[test]
    fn taints_and_ranges_are_checked() {
        let node = json!({ "spec": { "podCIDR": "10.0.0.0/33", "taints": [{ "key": "a", "effect": "Never" }, { "key": "b" }] } });
        let mut filled = node.clone();
        Nodes.default(&mut filled);
        let fields: Vec<_> = Nodes.validate(&filled).into_iter().map(|cause| cause.field).collect();
        assert_eq!(fields, ["spec.taints[0].effect", "spec.taints[1].effect", "spec.podCIDRs[0]"]);
    }

    #[test]
    fn quantities_become_canonical_and_allocatable_follows_capacity() {
        let mut node = json!({ "status": { "capacity": { "cpu": "2000m", "memory": "2048Mi" } } });
        Nodes.default(&mut node);
        assert_eq!(node["status"]["allocatable"], json!({ "cpu": "2", "memory": "2Gi" }));
    }
}
