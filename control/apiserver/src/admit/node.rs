//! What a node may write: Kubernetes' admission plugin NodeRestriction
//! (<https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction>). Which objects it may
//! touch at all was decided before, by its authorizer.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{certificates, pod_addresses};
use crate::{access, status::Status, verbs::Call};

/// Labels in Kubernetes' name spaces that a node may give to itself, beside those below the two prefixes.
const LABELS: &[&str] = &[
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "kubernetes.io/arch",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/instance-type",
    "node.kubernetes.io/instance-type",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
];
const LABEL_DOMAINS: &[&str] = &["kubelet.kubernetes.io", "node.kubernetes.io"];
/// Signers that sign for nodes.
const NODE_SIGNERS: &[&str] = &["kubernetes.io/kube-apiserver-client-kubelet", "kubernetes.io/kubelet-serving"];
/// What says that a node made a volume, and the label by which it says where.
const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
const LOCAL_PATH: &str = "carob.dev/local-path";
const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
const HOSTNAME: &str = "kubernetes.io/hostname";

/// A new object.
pub(super) fn create(call: &Call, new: &Value) -> Result<(), Status> {
    let Some(node) = access::node_name(&call.identity) else { return Ok(()) };
    match call.served.resource.kind {
        "Node" => own_node(call, node, new, &Value::Null),
        "Lease" if new["metadata"]["name"] != node => refuse(
            call,
            new,
            format!("node {node:?} can only access node lease with the same name as the requesting node"),
        ),
        "CertificateSigningRequest" => own_request(call, node, new),
        "PersistentVolume" => own_volume(call, node, new),
        _ => Ok(()),
    }
}

/// A change of an object, or of its status.
pub(super) fn update(call: &Call, new: &Value, old: &Value) -> Result<(), Status> {
    let Some(node) = access::node_name(&call.identity) else { return Ok(()) };
    match call.served.resource.kind {
        "Node" => own_node(call, node, new, old),
        "Pod" => pod_status(call, node, new, old),
        "PersistentVolume" => own_volume(call, node, old).and_then(|()| own_volume(call, node, new)),
        "PersistentVolumeClaim" => claim(call, node, new, old),
        _ => Ok(()),
    }
}

/// What is to be deleted.
pub(super) fn delete(call: &Call, old: &Value) -> Result<(), Status> {
    match access::node_name(&call.identity) {
        Some(node) if call.served.resource.kind == "PersistentVolume" => own_volume(call, node, old),
        _ => Ok(()),
    }
}

/// A token is for a Pod of the node.
pub(crate) fn token(call: &Call, request: &Value) -> Result<(), Status> {
    let Some(node) = access::node_name(&call.identity) else { return Ok(()) };
    let bound = &request["spec"]["boundObjectRef"];
    let text = |field: &str| bound[field].as_str().unwrap_or_default();
    let refuse = |why: String| Err(Status::forbidden(call.served.resource, &call.address.name, why));
    if (text("apiVersion"), text("kind")) != ("v1", "Pod") || text("name").is_empty() {
        return refuse("node requested token not bound to a pod".to_owned());
    }
    if text("uid").is_empty() {
        return refuse("node requested token with a pod binding without a uid".to_owned());
    }
    let pods = call.api.registry().core("pods");
    let pod = pods.and_then(|pods| pods.cache.get(&pods.key(&call.address.namespace, text("name"))));
    if pod.is_none_or(|pod| pod.field("spec.nodeName") != Some(node)) {
        return refuse("node requested token bound to a pod scheduled on a different node".to_owned());
    }
    Ok(())
}

fn refuse<T>(call: &Call, object: &Value, why: String) -> Result<T, Status> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    Err(Status::forbidden(call.served.resource, name, why))
}

/// Its own Node, and of that neither the taints nor labels by which others keep Pods off or on.
fn own_node(call: &Call, node: &str, new: &Value, old: &Value) -> Result<(), Status> {
    let name = new["metadata"]["name"].as_str().unwrap_or_default();
    if name != node {
        return refuse(call, new, format!("node {node:?} is not allowed to modify node {name:?}"));
    }
    if !old.is_null() && new["spec"]["taints"] != old["spec"]["taints"] {
        return refuse(call, new, format!("node {node:?} is not allowed to modify taints"));
    }
    // Which addresses are whose is the control plane's to say, or a node could take those of another.
    if ["podCIDR", "podCIDRs"].iter().any(|range| new["spec"][range] != old["spec"][range]) {
        return refuse(call, new, format!("node {node:?} is not allowed to modify its podCIDR"));
    }
    let forbidden: Vec<&str> = changed(labels(new), labels(old)).into_iter().filter(|key| !is_own_label(key)).collect();
    if !forbidden.is_empty() {
        let act = if old.is_null() { "set" } else { "modify" };
        let told = forbidden.join(", ");
        return refuse(call, new, format!("node {node:?} is not allowed to {act} the following labels: {told}"));
    }
    if new["metadata"]["ownerReferences"] != old["metadata"]["ownerReferences"] {
        return refuse(call, new, format!("node {node:?} is not allowed to modify ownerReferences"));
    }
    Ok(())
}

fn labels(object: &Value) -> Option<&Map<String, Value>> {
    object["metadata"]["labels"].as_object()
}

/// The keys whose values differ.
fn changed<'a>(new: Option<&'a Map<String, Value>>, old: Option<&'a Map<String, Value>>) -> BTreeSet<&'a str> {
    let keys = new.into_iter().chain(old).flat_map(Map::keys);
    keys.filter(|key| new.and_then(|new| new.get(*key)) != old.and_then(|old| old.get(*key)))
        .map(String::as_str)
        .collect()
}

/// Labels outside of Kubernetes' name spaces are anybody's, but for those that are there to restrict nodes.
fn is_own_label(key: &str) -> bool {
    let domain = key.split_once('/').map_or("", |(domain, _)| domain);
    let is_in = |parent: &str| domain == parent || domain.ends_with(&format!(".{parent}"));
    if is_in("node-restriction.kubernetes.io") {
        return false;
    }
    let reserved = is_in("kubernetes.io") || is_in("k8s.io");
    !reserved || LABELS.contains(&key) || LABEL_DOMAINS.iter().any(|domain| is_in(domain))
}

/// The status of a Pod and nothing else. That the Pod is the node's was decided before.
fn pod_status(call: &Call, node: &str, new: &Value, old: &Value) -> Result<(), Status> {
    if new["metadata"]["labels"] != old["metadata"]["labels"] {
        return refuse(call, old, format!("node {node:?} cannot update labels through pod status"));
    }
    let found = call.api.registry().core("nodes").and_then(|nodes| nodes.cache.get(&nodes.key("", node)));
    // Most writes change no address, and then nobody looks at the node.
    let owner = || found.map(|node| node.object()).unwrap_or_default();
    match pod_addresses::claimed(new, old, owner) {
        None => Ok(()),
        Some(address) => {
            let (namespace, pod) = (&call.address.namespace, &call.address.name);
            tracing::warn!(node, namespace, pod, address, "a node claims an address for its Pod that is not its own");
            refuse(
                call,
                old,
                format!("node {node:?} can only give addresses of its podCIDR to its Pods, and {address} is none"),
            )
        }
    }
}

/// A node asks for certificates of its own.
fn own_request(call: &Call, node: &str, new: &Value) -> Result<(), Status> {
    let signer = new["spec"]["signerName"].as_str().unwrap_or_default();
    let asked = certificates::read(call, new)?;
    if NODE_SIGNERS.contains(&signer) && asked.common_name == call.identity.user {
        return Ok(());
    }
    refuse(call, new, format!("node {node:?} can only request certificates of a node, with CN={}", call.identity.user))
}

/// A volume that the node made of a folder of its own.
fn own_volume(call: &Call, node: &str, volume: &Value) -> Result<(), Status> {
    let terms = &volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"];
    let here = json!([{ "matchExpressions": [{ "key": HOSTNAME, "operator": "In", "values": [node] }] }]);
    let is_made_here = volume["metadata"]["annotations"][PROVISIONED_BY] == LOCAL_PATH;
    if is_made_here && *terms == here {
        return Ok(());
    }
    refuse(call, volume, format!("node {node:?} can only write volumes of {LOCAL_PATH} that are its own"))
}

/// A claim that no node has taken yet may be taken; nothing else of it is a node's.
fn claim(call: &Call, node: &str, new: &Value, old: &Value) -> Result<(), Status> {
    let mut allowed = old.clone();
    if old["metadata"]["annotations"][SELECTED_NODE].is_null() {
        if !allowed["metadata"]["annotations"].is_object() {
            allowed["metadata"]["annotations"] = json!({});
        }
        allowed["metadata"]["annotations"][SELECTED_NODE] = json!(node);
    }
    // What is about to be written has none yet.
    if let Some(metadata) = allowed["metadata"].as_object_mut() {
        metadata.remove("resourceVersion");
    }
    if *new == allowed {
        return Ok(());
    }
    refuse(call, old, format!("node {node:?} can only select itself for a claim that no node has taken"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_labels_are_a_nodes_own() {
        let cases = [
            ("zone", true),
            ("example.com/rack", true),
            ("topology.kubernetes.io/zone", true),
            ("node.kubernetes.io/anything", true),
            ("node-role.kubernetes.io/control-plane", false),
            ("node-restriction.kubernetes.io/pci", false),
            ("x.node-restriction.kubernetes.io/pci", false),
            ("kubernetes.io/other", false),
            ("notkubernetes.io/x", true),
            ("team.k8s.io/x", false),
        ];
        for (key, expected) in cases {
            assert_eq!(is_own_label(key), expected, "{key}");
        }
    }

    #[test]
    fn labels_that_come_go_or_change_are_found() {
        let (old, new) = (json!({ "a": "1", "b": "1", "c": "1" }), json!({ "a": "1", "b": "2", "d": "1" }));
        let found = changed(new.as_object(), old.as_object());
        assert_eq!(Vec::from_iter(found), ["b", "c", "d"]);
    }
}
