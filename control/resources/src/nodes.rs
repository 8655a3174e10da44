//! Nodes.

use crate::json::{entries, flag, list, text};
use crate::resource::{Resource, Scope, Subresource};
use crate::table::{AGE, NAME, age_cell, name};
use crate::workload::condition;
use crate::{Column, Strategy};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeSet;

pub(crate) const NODES: Resource = Resource {
    group: "",
    version: "v1",
    kind: "Node",
    plural: "nodes",
    singular: "node",
    short_names: &["no"],
    categories: &[],
    scope: Scope::Cluster,
    subresources: &[Subresource::Status],
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
    fn prepare_create(&self, _node: &mut Value, _now: Timestamp) {}

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
