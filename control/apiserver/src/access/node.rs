//! What a node may do: Kubernetes' node authorizer
//! (<https://kubernetes.io/docs/reference/access-authn-authz/node/>). What of it depends on the content of a write is
//! NodeRestriction's (`admit/node.rs`).
//!
//! A node here is also what kube-proxy, the network's agent and the provisioner of local volumes are elsewhere: it reads
//! where Pods and Services are, and what claims are to be given a volume. What a gateway may read on top of that is in
//! `gateway.rs`.

use carob_resources::node_uses;

use super::{Attributes, Decision, gateway, is_open_to_all};
use crate::ApiServer;

/// Where the Leases of nodes are.
const LEASES: &str = "kube-node-lease";

/// Which of the objects of a rule a node may touch.
#[derive(Clone, Copy)]
enum Which {
    /// All; or those that admission lets pass.
    Any,
    /// The one that is called as the node. Creating names none: admission looks.
    Own,
    /// As `Own`, among the Leases of nodes.
    OwnLease,
    /// Pods that are bound to the node, or something of such a Pod.
    BoundPod,
    /// What a Pod that is bound to the node refers to.
    UsedByPod,
    /// The certificates that a gateway shows.
    ShownByGateway,
}

/// A line of what a node may do.
struct Rule {
    group: &'static str,
    /// With a subresource behind a slash.
    resources: &'static [&'static str],
    verbs: &'static [&'static str],
    which: Which,
}

const READ: &[&str] = &["get", "list", "watch"];
const CHANGE: &[&str] = &["get", "update", "patch"];

const RULES: &[Rule] = &[
    rule("", &["nodes", "pods", "services", "endpoints", "namespaces"], READ, Which::Any),
    rule("discovery.k8s.io", &["endpointslices"], READ, Which::Any),
    rule("networking.k8s.io", &["networkpolicies", "ingresses", "ingressclasses"], READ, Which::Any),
    rule("storage.k8s.io", &["storageclasses"], READ, Which::Any),
    rule("", &["nodes"], &["create"], Which::Any),
    rule("", &["nodes", "nodes/status"], CHANGE, Which::Own),
    rule("coordination.k8s.io", &["leases"], &["create", "get", "update", "patch", "delete"], Which::OwnLease),
    rule("", &["pods"], &["delete"], Which::BoundPod),
    rule("", &["pods/status"], CHANGE, Which::BoundPod),
    rule("", &["pods/eviction"], &["create"], Which::BoundPod),
    rule("", &["secrets", "configmaps", "serviceaccounts"], READ, Which::UsedByPod),
    rule("", &["secrets"], READ, Which::ShownByGateway),
    rule("", &["serviceaccounts/token"], &["create"], Which::Any),
    rule("", &["persistentvolumeclaims"], &["get", "list", "watch", "update", "patch"], Which::Any),
    rule("", &["persistentvolumes"], &["get", "list", "watch", "create", "update", "patch", "delete"], Which::Any),
    rule("", &["events"], &["create", "update", "patch"], Which::Any),
    rule("events.k8s.io", &["events"], &["create", "update", "patch"], Which::Any),
    rule("certificates.k8s.io", &["certificatesigningrequests"], &["create", "get", "list", "watch"], Which::Any),
];

const fn rule(
    group: &'static str,
    resources: &'static [&'static str],
    verbs: &'static [&'static str],
    which: Which,
) -> Rule {
    Rule { group, resources, verbs, which }
}

pub(super) fn decide(api: &ApiServer, node: &str, attributes: &Attributes<'_>) -> Decision {
    if is_open_to_all(attributes) {
        return Decision::Allow;
    }
    let resource = match attributes.subresource {
        "" => attributes.resource.to_owned(),
        subresource => format!("{}/{subresource}", attributes.resource),
    };
    let fits = |rule: &&Rule| {
        rule.group == attributes.group
            && rule.resources.contains(&resource.as_str())
            && rule.verbs.contains(&attributes.verb)
    };
    let mut why = String::new();
    for rule in RULES.iter().filter(fits) {
        match refusal(api, node, attributes, rule.which) {
            None => return Decision::Allow,
            Some(told) => why = told,
        }
    }
    Decision::Deny(why)
}

/// Why this object is none of the node's.
fn refusal(api: &ApiServer, node: &str, asked: &Attributes<'_>, which: Which) -> Option<String> {
    let creates = asked.verb == "create";
    let (fits, why) = match which {
        Which::Any => return None,
        Which::Own => (asked.name == node || creates, format!("node {node:?} may touch its own only")),
        Which::OwnLease => (
            asked.namespace == LEASES && (asked.name == node || creates),
            format!("node {node:?} may touch its own Lease in {LEASES} only"),
        ),
        Which::BoundPod => (is_bound(api, node, asked), format!("the Pod is not bound to node {node:?}")),
        Which::UsedByPod => {
            (is_used(api, node, asked), format!("no relationship found between node {node:?} and this object"))
        }
        Which::ShownByGateway => return gateway::refusal(api, node, asked),
    };
    (!fits).then_some(why)
}

fn is_bound(api: &ApiServer, node: &str, asked: &Attributes<'_>) -> bool {
    let Some(pods) = api.registry().core("pods") else { return false };
    let pod = pods.cache.get(&pods.key(asked.namespace, asked.name));
    pod.is_some_and(|pod| pod.field("spec.nodeName") == Some(node))
}

/// Whether a Pod of the node speaks of the object. One name has to be asked for: a whole list never is a Pod's.
fn is_used(api: &ApiServer, node: &str, asked: &Attributes<'_>) -> bool {
    let Some(pods) = api.registry().core("pods").filter(|_| !asked.name.is_empty()) else { return false };
    let name = asked.name.as_bytes();
    let mut all = pods.cache.snapshot(&format!("{}/", asked.namespace), None).entries.into_iter();
    all.any(|pod| {
        pod.field("spec.nodeName") == Some(node)
            // Most Pods are not parsed: they do not even have the name somewhere in them.
            && pod.bytes.windows(name.len()).any(|piece| piece == name)
            && node_uses(&pod.object(), asked.resource, asked.name)
    })
}
