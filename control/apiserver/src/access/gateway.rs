//! Which Secrets a node may read to serve Ingresses: the certificates that an Ingress of the cluster's own class names, and
//! only on a node that the administrator has labelled for it.

use carob_resources::{INGRESS_CONTROLLER, INGRESS_ROLE, ingress_class, ingress_uses_secret};
use serde_json::Value;

use super::Attributes;
use crate::ApiServer;

const GROUP: &str = "networking.k8s.io";

/// Why the Secret is none that the node's gateway shows. One name has to be asked for: a whole list never is.
pub(super) fn refusal(api: &ApiServer, node: &str, asked: &Attributes<'_>) -> Option<String> {
    if asked.name.is_empty() || !is_shown(api, asked) {
        return Some(format!("no relationship found between node {node:?} and this object"));
    }
    (!has_role(api, node))
        .then(|| format!("node {node:?} has not the label {INGRESS_ROLE}, by which gateways read certificates"))
}

fn has_role(api: &ApiServer, node: &str) -> bool {
    let node = api.registry().core("nodes").and_then(|nodes| nodes.cache.get(&nodes.key("", node)));
    node.is_some_and(|node| node.object()["metadata"]["labels"].get(INGRESS_ROLE).is_some())
}

fn is_shown(api: &ApiServer, asked: &Attributes<'_>) -> bool {
    let Some(ingresses) = api.registry().of(GROUP, "ingresses") else { return false };
    let mut all = ingresses.cache.snapshot(&format!("{}/", asked.namespace), None).entries.into_iter();
    all.any(|ingress| {
        let ingress = ingress.object();
        ingress_uses_secret(&ingress, asked.name) && is_ours(api, &ingress)
    })
}

fn is_ours(api: &ApiServer, ingress: &Value) -> bool {
    let classes = api.registry().of(GROUP, "ingressclasses");
    let class = classes.zip(ingress_class(ingress)).and_then(|(classes, name)| classes.cache.get(name));
    class.is_some_and(|class| class.object()["spec"]["controller"] == INGRESS_CONTROLLER)
}
