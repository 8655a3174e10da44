//! NetworkPolicies.

mod validate;

use crate::json::{fill_text, is_empty, items_mut, section, set};
use crate::resource::{Resource, Scope};
use crate::table::{AGE, NAME, age_cell, name};
use crate::workload::selector_text;
use crate::{Cause, Column, Strategy};
use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) const NETWORK_POLICIES: Resource = Resource {
    group: "networking.k8s.io",
    version: "v1",
    kind: "NetworkPolicy",
    plural: "networkpolicies",
    singular: "networkpolicy",
    short_names: &["netpol"],
    categories: &[],
    scope: Scope::Namespaced,
    subresources: &[],
    storage: "networkpolicies",
    strategy: &NetworkPolicies,
};

const COLUMNS: &[Column] = &[
    NAME,
    Column::plain(
        "Pod-Selector",
        "string",
        "podSelector selects the pods to which this NetworkPolicy object applies. The array of rules is applied to any pods selected by this field. An empty selector matches all pods in the policy's namespace.",
    ),
    AGE,
];

struct NetworkPolicies;

impl Strategy for NetworkPolicies {
    /// Whoever does not say what a policy is about means what comes in, and what goes out if there are rules for it.
    fn default(&self, policy: &mut Value) {
        let Some(spec) = section(policy, "spec") else { return };
        for rules in ["/ingress", "/egress"] {
            items_mut(spec, rules).flat_map(|rule| items_mut(rule, "/ports")).for_each(|port| {
                fill_text(port, "protocol", "TCP");
            });
        }
        if is_empty(spec, "/policyTypes") {
            let types = if is_empty(spec, "/egress") { json!(["Ingress"]) } else { json!(["Ingress", "Egress"]) };
            set(spec, "policyTypes", types);
        }
    }

    fn validate(&self, policy: &Value) -> Vec<Cause> {
        validate::policy(policy)
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn cells(&self, policy: &Value, now: Timestamp) -> Vec<Value> {
        let selector = crate::json::at(policy, "/spec/podSelector");
        vec![name(policy), selector_text(selector).into(), age_cell(policy, now)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(spec: Value) -> Value {
        let mut policy = json!({ "metadata": { "name": "p", "namespace": "default" }, "spec": spec });
        NetworkPolicies.default(&mut policy);
        policy
    }

    #[test]
    fn what_is_left_out_is_what_comes_in_by_tcp() {
        let types = |spec: Value| policy(spec)["spec"]["policyTypes"].clone();
        assert_eq!(types(json!({ "podSelector": {} })), json!(["Ingress"]));
        assert_eq!(types(json!({ "egress": [] })), json!(["Ingress"]));
        assert_eq!(types(json!({ "egress": [{}] })), json!(["Ingress", "Egress"]));
        assert_eq!(types(json!({ "policyTypes": ["Egress"] })), json!(["Egress"]));
        let ports = json!([{ "port": 80 }, { "port": 53, "protocol": "UDP" }]);
        let policy = policy(json!({ "ingress": [{ "ports": ports }], "egress": [{ "ports": [{}] }] }));
        assert_eq!(policy["spec"]["ingress"][0]["ports"][0]["protocol"], "TCP");
        assert_eq!(policy["spec"]["ingress"][0]["ports"][1]["protocol"], "UDP");
        assert_eq!(policy["spec"]["egress"][0]["ports"][0]["protocol"], "TCP");
    }

    #[test]
    fn a_row_shows_whom_the_policy_is_for() {
        let cells = |selector: Value| {
            NetworkPolicies.cells(&policy(json!({ "podSelector": selector })), Timestamp::UNIX_EPOCH)[1].clone()
        };
        assert_eq!(cells(json!({})), "<none>");
        assert_eq!(cells(json!({ "matchLabels": { "app": "web" } })), "app=web");
    }

    #[test]
    fn mistakes_are_named_with_their_place_and_in_kubernetes_words() {
        let peer = |peer: Value| json!({ "ingress": [{ "from": [peer] }] });
        let block = |cidr: &str, except: &str| peer(json!({ "ipBlock": { "cidr": cidr, "except": [except] } }));
        let port = |port: Value| json!({ "egress": [{ "ports": [port] }] });
        let cases = [
            (peer(json!({})), "spec.ingress[0].from[0]: Required value: must specify a peer"),
            (
                peer(json!({ "podSelector": {}, "ipBlock": { "cidr": "10.0.0.0/8" } })),
                "spec.ingress[0].from[0]: Forbidden: may not specify both ipBlock and another peer",
            ),
            (peer(json!({ "ipBlock": {} })), "spec.ingress[0].from[0].ipBlock.cidr: Required value"),
            (
                peer(json!({ "ipBlock": { "cidr": "10.0.0.0" } })),
                "spec.ingress[0].from[0].ipBlock.cidr: Invalid value: \"10.0.0.0\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
            ),
            (
                block("10.0.0.0/8", "11.0.0.0/16"),
                "spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: \"11.0.0.0/16\": must be a strict subset of `cidr`",
            ),
            (
                block("10.0.0.0/8", "10.0.0.0/8"),
                "spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: \"10.0.0.0/8\": must be a strict subset of `cidr`",
            ),
            (
                peer(json!({ "podSelector": { "matchExpressions": [{ "key": "a", "operator": "In" }] } })),
                "spec.ingress[0].from[0].podSelector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
            ),
            (
                port(json!({ "protocol": "ICMP" })),
                "spec.egress[0].ports[0].protocol: Unsupported value: \"ICMP\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
            ),
            (
                port(json!({ "port": 0 })),
                "spec.egress[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
            ),
            (
                port(json!({ "port": 80, "endPort": 79 })),
                "spec.egress[0].ports[0].endPort: Invalid value: 80: must be greater than or equal to `port`",
            ),
            (
                port(json!({ "port": "http", "endPort": 90 })),
                "spec.egress[0].ports[0].endPort: Invalid value: 90: may not be specified when `port` is non-numeric",
            ),
            (
                port(json!({ "endPort": 90 })),
                "spec.egress[0].ports[0].endPort: Invalid value: 90: may not be specified when `port` is not specified",
            ),
            (
                json!({ "policyTypes": ["Other"] }),
                "spec.policyTypes[0]: Unsupported value: \"Other\": supported values: \"Egress\", \"Ingress\"",
            ),
            (
                json!({ "policyTypes": ["Ingress", "Egress", "Ingress"] }),
                "spec.policyTypes: Invalid value: [\"Ingress\",\"Egress\",\"Ingress\"]: may not specify more than two policyTypes",
            ),
        ];
        for (spec, expected) in cases {
            let found = NetworkPolicies.validate(&policy(spec.clone()));
            let found: Vec<_> = found.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
            assert_eq!(found, [expected], "{spec}");
        }
    }

    #[test]
    fn the_recipes_that_users_know_are_valid() {
        let specs = [
            json!({ "podSelector": {}, "policyTypes": ["Ingress", "Egress"] }),
            json!({ "podSelector": {}, "ingress": [{}], "egress": [{ "ports": [{ "port": 32000, "endPort": 32768 }] }] }),
            json!({ "ingress": [{ "from": [{ "podSelector": {}, "namespaceSelector": {} }], "ports": [{ "port": "http" }] }] }),
            json!({ "egress": [{ "to": [{ "ipBlock": { "cidr": "::/0", "except": ["fd00::/8"] } }] }] }),
        ];
        for spec in specs {
            assert_eq!(NetworkPolicies.validate(&policy(spec.clone())), [], "{spec}");
        }
    }
}
