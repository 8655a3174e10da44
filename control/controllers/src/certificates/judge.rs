//! Pure: what Kubernetes' own signers demand
//! (<https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#kubernetes-signers>).

use carob_pki::{CertificateRequest, NODE_USER_PREFIX, NODES_GROUP, Usage};
use k8s_openapi::api::certificates::v1::CertificateSigningRequestSpec;
use k8s_openapi::api::core::v1::Node;

const BOOTSTRAPPERS: &str = "system:bootstrappers";

/// The signers that sign here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signer {
    /// Clients of the API, such as people.
    Client,
    /// Nodes as clients.
    NodeClient,
    /// Nodes as servers.
    NodeServing,
}

impl Signer {
    pub(super) fn of(name: &str) -> Option<Self> {
        match name {
            "kubernetes.io/kube-apiserver-client" => Some(Self::Client),
            "kubernetes.io/kube-apiserver-client-kubelet" => Some(Self::NodeClient),
            "kubernetes.io/kubelet-serving" => Some(Self::NodeServing),
            _ => None,
        }
    }
}

/// The usages that are signed for, or what is wrong with the request.
pub(super) fn signable(
    signer: Signer,
    spec: &CertificateSigningRequestSpec,
    asked: &CertificateRequest,
) -> Result<Vec<Usage>, String> {
    let purpose = if signer == Signer::NodeServing { Usage::ServerAuth } else { Usage::ClientAuth };
    let usages = usages(spec.usages.as_deref().unwrap_or_default())?;
    let fits = |usage: &Usage| matches!(usage, Usage::DigitalSignature | Usage::KeyEncipherment) || *usage == purpose;
    if !usages.contains(&purpose) || !usages.iter().all(fits) {
        return Err(format!("usages did not match the ones of the signer: {:?}", spec.usages));
    }
    match signer {
        Signer::Client => {}
        Signer::NodeClient | Signer::NodeServing => is_node(asked)?,
    }
    match signer {
        Signer::NodeClient if !asked.names.dns.is_empty() || !asked.names.ips.is_empty() || asked.other_names => {
            Err("subjectAltNames are not allowed".to_owned())
        }
        Signer::NodeServing if asked.other_names => Err("only DNS and IP subjectAltNames are allowed".to_owned()),
        Signer::NodeServing if asked.names.dns.is_empty() && asked.names.ips.is_empty() => {
            Err("DNS or IP subjectAltName is required".to_owned())
        }
        _ => Ok(usages),
    }
}

fn usages(asked: &[String]) -> Result<Vec<Usage>, String> {
    let usage = |name: &String| match name.as_str() {
        "digital signature" | "signing" => Ok(Usage::DigitalSignature),
        "key encipherment" => Ok(Usage::KeyEncipherment),
        "client auth" => Ok(Usage::ClientAuth),
        "server auth" => Ok(Usage::ServerAuth),
        other => Err(format!("the usage {other:?} is not signed")),
    };
    asked.iter().map(usage).collect()
}

fn is_node(asked: &CertificateRequest) -> Result<(), String> {
    if asked.organizations != [NODES_GROUP] {
        return Err(format!("subject organization is not {NODES_GROUP}"));
    }
    match asked.common_name.strip_prefix(NODE_USER_PREFIX) {
        Some(name) if !name.is_empty() => Ok(()),
        _ => Err(format!("subject common name does not begin with {NODE_USER_PREFIX}")),
    }
}

/// Why a request that can be signed is approved by itself; `None`: a person has to. Group membership stands for the roles
/// that Kubernetes binds to these groups by default.
pub(super) fn approval(
    signer: Signer,
    spec: &CertificateSigningRequestSpec,
    asked: &CertificateRequest,
    node: Option<&Node>,
) -> Option<&'static str> {
    let asker = spec.username.as_deref().unwrap_or_default();
    let is_in = |group: &str| spec.groups.iter().flatten().any(|one| one == group);
    let is_itself = asker == asked.common_name && is_in(NODES_GROUP);
    match signer {
        Signer::NodeClient if is_itself => Some("Auto approving self kubelet client certificate"),
        Signer::NodeClient if is_in(BOOTSTRAPPERS) => Some("Auto approving kubelet client certificate"),
        Signer::NodeServing if is_itself && node.is_some_and(|node| vouches_for(node, asked)) => {
            Some("Auto approving kubelet serving certificate for the addresses of its Node")
        }
        _ => None,
    }
}

/// Whether the Node has every name and address that the certificate is to vouch for.
fn vouches_for(node: &Node, asked: &CertificateRequest) -> bool {
    let addresses = node.status.iter().flat_map(|status| status.addresses.iter().flatten());
    let held: Vec<&str> = addresses.map(|address| address.address.as_str()).collect();
    let own = node.metadata.name.as_deref();
    asked.names.dns.iter().all(|dns| Some(dns.as_str()) == own)
        && asked.names.ips.iter().all(|ip| held.contains(&ip.to_string().as_str()))
}

#[cfg(test)]
mod tests {
    use carob_pki::Names;
    use serde_json::json;

    use super::*;

    const NODE: &str = "system:node:n1";

    fn asked(user: &str, group: &str, dns: &[&str], ips: &[&str]) -> CertificateRequest {
        let names = Names {
            dns: dns.iter().map(|dns| (*dns).to_owned()).collect(),
            ips: ips.iter().map(|ip| ip.parse().unwrap()).collect(),
        };
        CertificateRequest::parse(&CertificateRequest::create(user, group, &names).unwrap().request).unwrap()
    }

    fn spec(user: &str, group: &str, usages: &[&str]) -> CertificateSigningRequestSpec {
        let spec = json!({ "request": "", "signerName": "", "username": user, "groups": [group], "usages": usages });
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn each_signer_signs_for_its_purpose_only() {
        use Signer::{Client, NodeClient, NodeServing};
        let (client, serving) = (["digital signature", "client auth"], ["key encipherment", "server auth"]);
        let cases = [
            (NodeClient, asked(NODE, NODES_GROUP, &[], &[]), &client[..], true),
            (NodeClient, asked(NODE, NODES_GROUP, &["n1"], &[]), &client, false),
            (NodeClient, asked(NODE, NODES_GROUP, &[], &[]), &serving, false),
            (NodeClient, asked(NODE, NODES_GROUP, &[], &[]), &["digital signature"], false),
            (NodeClient, asked(NODE, NODES_GROUP, &[], &[]), &["client auth", "server auth"], false),
            (NodeClient, asked(NODE, NODES_GROUP, &[], &[]), &["client auth", "cert sign"], false),
            (NodeClient, asked(NODE, "system:masters", &[], &[]), &client, false),
            (NodeClient, asked("jane", NODES_GROUP, &[], &[]), &client, false),
            (NodeClient, asked("system:node:", NODES_GROUP, &[], &[]), &client, false),
            (NodeServing, asked(NODE, NODES_GROUP, &["n1"], &["10.0.0.1"]), &serving, true),
            (NodeServing, asked(NODE, NODES_GROUP, &[], &[]), &serving, false),
            (NodeServing, asked(NODE, NODES_GROUP, &["n1"], &[]), &client, false),
            (Client, asked("jane", "people", &[], &[]), &client, true),
            (Client, asked("jane", "people", &[], &[]), &serving, false),
        ];
        for (signer, asked, usages, expected) in cases {
            let signed = signable(signer, &spec("", "", usages), &asked);
            assert_eq!(signed.is_ok(), expected, "{signer:?} {} {usages:?}: {signed:?}", asked.common_name);
        }
    }

    #[test]
    fn a_node_is_approved_by_itself_and_for_what_it_is() {
        use Signer::{Client, NodeClient, NodeServing};
        let node: Node = serde_json::from_value(json!({
            "metadata": { "name": "n1" },
            "status": { "addresses": [{ "type": "InternalIP", "address": "10.0.0.1" }] },
        }))
        .unwrap();
        let serving = |dns: &[&str], ips: &[&str]| asked(NODE, NODES_GROUP, dns, ips);
        let cases = [
            (NodeClient, NODE, NODES_GROUP, serving(&[], &[]), true),
            (NodeClient, "system:bootstrap:abcdef", BOOTSTRAPPERS, serving(&[], &[]), true),
            (NodeClient, "system:node:n2", NODES_GROUP, serving(&[], &[]), false),
            (NodeClient, NODE, "people", serving(&[], &[]), false),
            (NodeServing, NODE, NODES_GROUP, serving(&["n1"], &["10.0.0.1"]), true),
            (NodeServing, NODE, NODES_GROUP, serving(&["kubernetes"], &[]), false),
            (NodeServing, NODE, NODES_GROUP, serving(&["n1"], &["10.0.0.2"]), false),
            (NodeServing, "system:bootstrap:abcdef", BOOTSTRAPPERS, serving(&["n1"], &[]), false),
            (Client, NODE, NODES_GROUP, serving(&[], &[]), false),
        ];
        for (signer, user, group, asked, expected) in cases {
            let approved = approval(signer, &spec(user, group, &[]), &asked, Some(&node));
            assert_eq!(approved.is_some(), expected, "{signer:?} {user} {group} {:?}", asked.names);
        }
        assert_eq!(approval(NodeServing, &spec(NODE, NODES_GROUP, &[]), &serving(&["n1"], &[]), None), None);
    }
}
