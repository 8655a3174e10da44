//! Services.

mod balancer;
mod defaults;
mod families;
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
        balancer::keep(new, old);
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
    fn families_are_those_of_a_cluster_that_has_one() {
        let port = json!([{ "port": 80 }]);
        let cases = [
            (json!({ "ipFamilyPolicy": "PreferDualStack" }), json!(["IPv4"]), vec![]),
            (json!({ "ipFamilies": ["IPv4"] }), json!(["IPv4"]), vec![]),
            (json!({ "clusterIP": "10.96.0.7" }), json!(["IPv4"]), vec![]),
            (json!({ "clusterIP": "None", "selector": { "app": "web" } }), json!(["IPv4"]), vec![]),
            (json!({ "clusterIP": "None" }), json!(["IPv4", "IPv6"]), vec![]),
            (json!({ "clusterIP": "None", "ipFamilies": ["IPv6"] }), json!(["IPv6", "IPv4"]), vec![]),
            (json!({ "clusterIP": "None", "ipFamilyPolicy": "SingleStack" }), json!(["IPv4"]), vec![]),
            (
                json!({ "ipFamilyPolicy": "RequireDualStack" }),
                json!(["IPv4"]),
                vec![
                    "spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": this cluster is not configured for dual-stack services",
                ],
            ),
            (
                json!({ "ipFamilies": ["IPv6"] }),
                json!(["IPv6"]),
                vec!["spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster"],
            ),
            (
                json!({ "clusterIP": "fd00::1" }),
                Value::Null,
                vec!["spec.clusterIPs[0]: Invalid value: [\"fd00::1\"]: IPv6 is not configured on this cluster"],
            ),
            (
                json!({ "ipFamilies": ["IPv4", "IPv4"], "ipFamilyPolicy": "PreferDualStack" }),
                json!(["IPv4", "IPv4"]),
                vec!["spec.ipFamilies[1]: Duplicate value: \"IPv4\""],
            ),
            (
                json!({ "clusterIPs": ["10.96.0.7", "10.96.0.8"], "ipFamilies": ["IPv4"] }),
                json!(["IPv4", "IPv4"]),
                vec![
                    "spec.ipFamilies[1]: Duplicate value: \"IPv4\"",
                    "spec.clusterIPs: Invalid value: [\"10.96.0.7\",\"10.96.0.8\"]: may specify no more than one IP for each IP family",
                    "spec.ipFamilyPolicy: Invalid value: \"SingleStack\": must be 'RequireDualStack' or 'PreferDualStack' when multiple cluster IPs are specified",
                    "spec.ipFamilyPolicy: Invalid value: \"SingleStack\": must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified",
                ],
            ),
        ];
        for (mut spec, families, expected) in cases {
            spec["ports"] = port.clone();
            let service = service(spec.clone());
            let found = Services.validate(&service);
            let found: Vec<_> = found.iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
            assert_eq!(found, expected, "{spec}");
            assert_eq!(*crate::json::at(&service, "/spec/ipFamilies"), families, "{spec}");
        }
    }

    #[test]
    fn what_only_load_balancers_have_is_checked() {
        let local = json!({ "type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 30999 });
        let cases = [
            (local.clone(), vec![]),
            (json!({ "type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.0/8", " fd00::/8 "] }), vec![]),
            (
                json!({ "type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.0/33"] }),
                vec![
                    "spec.loadBalancerSourceRanges[0]: Invalid value: \"10.0.0.0/33\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
                ],
            ),
            (
                json!({ "loadBalancerClass": "example.com/x", "loadBalancerSourceRanges": ["10.0.0.0/8"] }),
                vec![
                    "spec.loadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'",
                    "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'",
                ],
            ),
            (
                json!({ "type": "LoadBalancer", "healthCheckNodePort": 30999 }),
                vec![
                    "spec.healthCheckNodePort: Invalid value: 30999: may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
                ],
            ),
        ];
        for (mut spec, expected) in cases {
            spec["ports"] = json!([{ "port": 80 }]);
            let found = Services.validate(&service(spec.clone()));
            let found: Vec<_> = found.iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
            assert_eq!(found, expected, "{spec}");
        }
    }

    #[test]
    fn a_load_balancers_health_check_keeps_its_port_for_as_long_as_it_is_needed() {
        let balancer = |more: Value| {
            let mut spec = json!({ "type": "LoadBalancer", "clusterIP": "10.96.0.7", "ports": [{ "port": 80 }] });
            spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            service(spec)
        };
        let mut old = balancer(json!({ "externalTrafficPolicy": "Local", "healthCheckNodePort": 30999 }));
        old["status"] = json!({ "loadBalancer": { "ingress": [{ "ip": "192.0.2.1" }] } });
        let mut same = balancer(json!({ "externalTrafficPolicy": "Local" }));
        Services.prepare_update(&mut same, &old);
        assert_eq!(same["spec"]["healthCheckNodePort"], 30999);
        assert_eq!(same["status"], old["status"]);
        let other = balancer(json!({ "externalTrafficPolicy": "Local", "healthCheckNodePort": 30998 }));
        assert_eq!(Services.validate_update(&other, &old)[0].message, "Forbidden: field is immutable");
        let classed = balancer(
            json!({ "externalTrafficPolicy": "Local", "healthCheckNodePort": 30999, "loadBalancerClass": "a/b" }),
        );
        assert_eq!(Services.validate_update(&classed, &old)[0].field, "spec.loadBalancerClass");
        let mut wide = old.clone();
        wide["spec"]["externalTrafficPolicy"] = json!("Cluster");
        Services.prepare_update(&mut wide, &old);
        assert_eq!((wide["spec"].get("healthCheckNodePort"), Services.validate(&wide)), (None, vec![]));
        let mut plain = old.clone();
        plain["spec"]["type"] = json!("ClusterIP");
        Services.prepare_update(&mut plain, &old);
        assert_eq!((plain["status"].clone(), Services.validate(&plain)), (json!({ "loadBalancer": {} }), vec![]));
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
