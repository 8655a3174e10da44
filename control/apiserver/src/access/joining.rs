//! What a machine may do that has nothing but a bootstrap token: ask for a certificate, and see what became of that
//! (Kubernetes' ClusterRole `system:node-bootstrapper`).

use super::{Attributes, Decision, is_open_to_all};

pub(super) fn decide(attributes: &Attributes<'_>) -> Decision {
    let asks = attributes.group == "certificates.k8s.io"
        && attributes.resource == "certificatesigningrequests"
        && attributes.subresource.is_empty()
        && matches!(attributes.verb, "create" | "get" | "list" | "watch");
    if asks || is_open_to_all(attributes) {
        return Decision::Allow;
    }
    Decision::Deny("a bootstrap token is good for asking for a certificate only".to_owned())
}
