//! Services.

mod defaults;
mod print;
mod update;
mod validate;

pub(crate) use print::load_balancer;

use crate::json::{set, text};
use crate::resource::{Resource, Scope, Subresource};
use crate::{Cause, Column, NameGrammar, Strategy};
use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) const SERVICES: Resource = Resource {
    group: "",
    version: "v1",
    kind: "Service",
    plural: "services",
    singular: "service",
    short_names: &["svc"],
    categories: &["all"],
    scope: Scope::Namespaced,
    subresources: &[Subresource::Status, Subresource::Proxy],
    storage: "services",
    strategy: &Services,
};

/// What stands for the cluster IP of a headless Service.
const HEADLESS: &str = "None";

struct Services;

impl Strategy for Services {
    fn name_grammar(&self) -> NameGrammar {
        NameGrammar::Label1035
    }

    fn default(&self, service: &mut Value) {
        defaults::default(service);
    }

    fn prepare_create(&self, service: &mut Value, _now: Timestamp) {
        set(service, "status", json!({ "loadBalancer": {} }));
    }

    fn prepare_update(&self, new: &mut Value, old: &Value) {
        crate::strategy::carry_over(new, old, "status");
        update::keep_allocated(new, old);
        update::drop_unused(new, old);
    }

    fn has_generation(&self) -> bool {
        false
    }

    fn validate(&self, service: &Value) -> Vec<Cause> {
        validate::service(service)
    }

    fn validate_update(&self, new: &Value, old: &Value) -> Vec<Cause> {
        update::validate(new, old)
    }

    fn columns(&self) -> &'static [Column] {
        print::COLUMNS
    }

    fn cells(&self, service: &Value, now: Timestamp) -> Vec<Value> {
        print::cells(service, now)
    }

    fn selectable_fields(&self, service: &Value) -> Vec<(&'static str, String)> {
        vec![
            ("spec.clusterIP", text(service, "/spec/clusterIP").to_owned()),
            ("spec.type", text(service, "/spec/type").to_owned()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(spec: Value) -> Value {
        let mut service = json!({ "metadata": { "name": "web", "namespace": "default" }, "spec": spec });
        Services.default(&mut service);
        service
    }

    #[test]
    fn defaults_are_those_of_kubernetes() {
        let mut service =
            service(json!({ "type": "NodePort", "ports": [{ "port": 80 }], "selector": { "app": "web" } }));
        Services.prepare_create(&mut service, Timestamp::UNIX_EPOCH);
        assert_eq!(
            service["spec"],
            json!({
                "type": "NodePort", "selector": { "app": "web" }, "sessionAffinity": "None",
                "ports": [{ "port": 80, "protocol": "TCP", "targetPort": 80 }],
                "internalTrafficPolicy": "Cluster", "externalTrafficPolicy": "Cluster",
                "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
            })
        );
        assert_eq!(service["status"], json!({ "loadBalancer": {} }));
        assert_eq!(Services.validate(&service), []);
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let port = json!([{ "port": 80 }]);
        let cases = [
            (json!({}), "spec.ports: Required value"),
            (
                json!({ "type": "Ingress", "ports": port }),
                "spec.type: Unsupported value: \"Ingress\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\"",
            ),
            (
                json!({ "ports": [{ "port": 0 }] }),
                "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
            ),
            (json!({ "ports": [{ "port": 80, "name": "a" }, { "port": 81 }] }), "spec.ports[1].name: Required value"),
            (
                json!({ "ports": [{ "port": 80, "nodePort": 30000 }] }),
                "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
            ),
            (json!({ "type": "ExternalName" }), "spec.externalName: Required value"),
            (
                json!({ "clusterIP": "x", "ports": port }),
                "spec.clusterIPs[0]: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
            ),
            (
                json!({ "type": "NodePort", "clusterIP": "None", "ports": port }),
                "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services",
            ),
            (
                json!({ "sessionAffinity": "x", "ports": port }),
                "spec.sessionAffinity: Unsupported value: \"x\": supported values: \"ClientIP\", \"None\"",
            ),
            (
                json!({ "externalTrafficPolicy": "Local", "ports": port }),
                "spec.externalTrafficPolicy: Invalid value: \"Local\": may only be set for externally-accessible services",
            ),
        ];
        for (spec, expected) in cases {
            let found = Services.validate(&service(spec.clone()));
            let found: Vec<_> = found.iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
            assert_eq!(found, [expected], "{spec}");
        }
    }

    #[test]
    fn a_headless_service_needs_no_ports() {
        assert_eq!(Services.validate(&service(json!({ "clusterIP": "None" }))), []);
    }

    #[test]
    fn what_was_allocated_is_kept_and_may_not_change() {
        let ports = json!([{ "port": 80, "nodePort": 30080 }]);
        let old = service(json!({ "type": "NodePort", "clusterIP": "10.96.0.7", "ports": ports }));
        let mut new = service(json!({ "type": "NodePort", "ports": [{ "port": 80, "targetPort": 8080 }] }));
        Services.prepare_update(&mut new, &old);
        assert_eq!(new["spec"]["clusterIP"], "10.96.0.7");
        assert_eq!(new["spec"]["clusterIPs"], json!(["10.96.0.7"]));
        assert_eq!(new["spec"]["ports"][0]["nodePort"], 30080);
        assert_eq!(Services.validate_update(&new, &old), []);
        let other = service(json!({ "type": "NodePort", "clusterIP": "10.96.0.8", "ports": ports }));
        assert_eq!(
            Services.validate_update(&other, &old)[0].message,
            "Invalid value: [\"10.96.0.8\"]: may not change once set"
        );
    }

    #[test]
    fn a_change_of_the_first_address_alone_is_one_of_all() {
        let old = service(json!({ "clusterIP": "10.96.0.7", "ports": [{ "port": 80 }] }));
        let mut new = old.clone();
        new["spec"]["clusterIP"] = json!("10.96.0.8");
        Services.prepare_update(&mut new, &old);
        assert_eq!(Services.validate(&new), []);
        let found = Services.validate_update(&new, &old);
        assert_eq!(found[0].field, "spec.clusterIPs[0]");
        assert_eq!(found[0].message, "Invalid value: [\"10.96.0.8\"]: may not change once set");
    }

    #[test]
    fn a_change_of_type_drops_what_the_new_one_has_not() {
        let old = service(
            json!({ "type": "NodePort", "clusterIP": "10.96.0.7", "ports": [{ "port": 80, "nodePort": 30080 }] }),
        );
        let mut inner = old.clone();
        inner["spec"]["type"] = json!("ClusterIP");
        Services.default(&mut inner);
        Services.prepare_update(&mut inner, &old);
        assert_eq!(inner["spec"]["ports"][0].get("nodePort"), None);
        assert_eq!(inner["spec"].get("externalTrafficPolicy"), None);
        assert_eq!(Services.validate(&inner), []);
        let mut outer = old.clone();
        outer["spec"]["type"] = json!("ExternalName");
        outer["spec"]["externalName"] = json!("example.com");
        Services.prepare_update(&mut outer, &old);
        assert_eq!(outer["spec"].get("clusterIP"), None);
        assert_eq!(Services.validate(&outer), []);
    }
}
