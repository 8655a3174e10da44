//! Ingresses, and the classes that say who serves them.

mod classes;
mod print;
mod validate;

pub(crate) use classes::INGRESS_CLASSES;
pub use classes::is_default_ingress_class;

use crate::json::{at, has, list, text};
use crate::resource::{Resource, Scope, Subresource};
use crate::{Cause, Column, Strategy};
use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) const INGRESSES: Resource = Resource {
    group: "networking.k8s.io",
    version: "v1",
    kind: "Ingress",
    plural: "ingresses",
    singular: "ingress",
    short_names: &["ing"],
    categories: &[],
    scope: Scope::Namespaced,
    subresources: &[Subresource::Status],
    storage: "ingresses",
    strategy: &Ingresses,
};

/// What an IngressClass names whose Ingresses this cluster's own gateway serves.
pub const INGRESS_CONTROLLER: &str = "carob.dev/ingress";

/// A label that the administrator gives to nodes whose gateways are the cluster's: these may read the certificates of
/// Ingresses, and their addresses stand in the Ingresses' status. No node can give it to itself.
pub const INGRESS_ROLE: &str = "node-role.kubernetes.io/ingress";

/// An annotation by which a node says where its gateway listens: `ADDRESS:PORT`, separated by commas.
pub const INGRESS_ADDRESSES: &str = "carob.dev/ingress-addresses";

/// Where the class stood before it had a field of its own.
const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";

struct Ingresses;

impl Strategy for Ingresses {
    fn prepare_create(&self, ingress: &mut Value, _now: Timestamp) {
        crate::json::set(ingress, "status", json!({ "loadBalancer": {} }));
    }

    fn validate(&self, ingress: &Value) -> Vec<Cause> {
        validate::ingress(ingress)
    }

    fn validate_create(&self, ingress: &Value) -> Vec<Cause> {
        validate::classes_agree(ingress)
    }

    fn validate_status(&self, new: &Value, _old: &Value) -> Vec<Cause> {
        validate::status(new)
    }

    fn warnings(&self, ingress: &Value) -> Vec<String> {
        let is_old = class_annotation(ingress).is_some() && !has(ingress, "/spec/ingressClassName");
        let told =
            || format!("annotation {CLASS_ANNOTATION:?} is deprecated, please use 'spec.ingressClassName' instead");
        is_old.then(told).into_iter().collect()
    }

    fn columns(&self) -> &'static [Column] {
        print::COLUMNS
    }

    fn cells(&self, ingress: &Value, now: Timestamp) -> Vec<Value> {
        print::cells(ingress, now)
    }
}

fn class_annotation(ingress: &Value) -> Option<&str> {
    at(ingress, "/metadata/annotations").get(CLASS_ANNOTATION)?.as_str()
}

/// The class that an Ingress says it is of, by the field or by the annotation that was there before.
pub fn ingress_class(ingress: &Value) -> Option<&str> {
    at(ingress, "/spec/ingressClassName").as_str().or_else(|| class_annotation(ingress))
}

/// Whether an Ingress shows the certificate in the Secret of this name.
pub fn ingress_uses_secret(ingress: &Value, name: &str) -> bool {
    !name.is_empty() && list(ingress, "/spec/tls").iter().any(|tls| text(tls, "/secretName") == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ingress(spec: Value) -> Value {
        json!({ "metadata": { "name": "web", "namespace": "default" }, "spec": spec })
    }

    fn path(path: &str, kind: &str, backend: Value) -> Value {
        ingress(json!({ "rules": [{ "http": { "paths": [{ "path": path, "pathType": kind, "backend": backend }] } }] }))
    }

    fn service(name: &str, port: Value) -> Value {
        json!({ "service": { "name": name, "port": port } })
    }

    fn found(causes: &[Cause]) -> Vec<String> {
        causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
    }

    #[test]
    fn what_the_documentation_shows_is_valid() {
        let web = service("web", json!({ "number": 80 }));
        let rule = |host: &str, path: &str, kind: &str| json!({ "host": host, "http": { "paths": [{ "path": path, "pathType": kind, "backend": web }] } });
        let specs = [
            json!({ "defaultBackend": web }),
            json!({ "defaultBackend": { "resource": { "apiGroup": "k8s.example.com", "kind": "StorageBucket", "name": "static" } } }),
            json!({ "ingressClassName": "carob", "rules": [rule("foo.bar.com", "/", "Prefix"), rule("*.foo.com", "/a", "Exact")] }),
            json!({ "rules": [{ "host": "a.example" }] }),
            json!({ "rules": [rule("", "", "ImplementationSpecific")] }),
            json!({
                "rules": [rule("https-example.foo.com", "/", "Prefix")],
                "tls": [{ "hosts": ["https-example.foo.com", "*.foo.com"], "secretName": "testsecret-tls" }, {}],
            }),
        ];
        for spec in specs {
            assert_eq!(Ingresses.validate(&ingress(spec.clone())), [], "{spec}");
        }
    }

    #[test]
    fn mistakes_are_named_with_their_place_and_in_kubernetes_words() {
        let web = || service("web", json!({ "number": 80 }));
        let at = "spec.rules[0].http.paths[0]";
        let host = |host: &str| ingress(json!({ "rules": [{ "host": host }] }));
        let cases = [
            (ingress(json!({})), "spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"),
            (path("a", "Prefix", web()), "{at}.path: Invalid value: \"a\": must be an absolute path"),
            (path("", "Exact", web()), "{at}.path: Invalid value: \"\": must be an absolute path"),
            (path("a", "ImplementationSpecific", web()), "{at}.path: Invalid value: \"a\": must be an absolute path"),
            (path("/a//b", "Prefix", web()), "{at}.path: Invalid value: \"/a//b\": must not contain '//'"),
            (path("/a%2fb", "Exact", web()), "{at}.path: Invalid value: \"/a%2fb\": must not contain '%2f'"),
            (path("/a/..", "Prefix", web()), "{at}.path: Invalid value: \"/a/..\": cannot end with '/..'"),
            (
                path("/", "Regex", web()),
                "{at}.pathType: Unsupported value: \"Regex\": supported values: \"Exact\", \"ImplementationSpecific\", \"Prefix\"",
            ),
            (
                path("/", "Prefix", json!({})),
                "{at}.backend: Invalid value: \"\": resource or service backend is required",
            ),
            (
                path("/", "Prefix", service("web", json!({}))),
                "{at}.backend: Required value: port name or number is required",
            ),
            (
                path("/", "Prefix", service("web", json!({ "name": "http", "number": 80 }))),
                "{at}.backend: Invalid value: \"\": cannot set both port name & port number",
            ),
            (
                path("/", "Prefix", service("web", json!({ "number": 70000 }))),
                "{at}.backend.service.port.number: Invalid value: 70000: must be between 1 and 65535, inclusive",
            ),
            (path("/", "Prefix", service("", json!({ "number": 80 }))), "{at}.backend.service.name: Required value"),
            (
                path("/", "Prefix", json!({ "service": {}, "resource": {} })),
                "{at}.backend: Invalid value: \"\": cannot set both resource and service backends",
            ),
            (
                path("/", "Prefix", json!({ "resource": { "kind": "a/b", "name": "x" } })),
                "{at}.backend.resource.kind: Invalid value: \"a/b\": may not contain '/'",
            ),
            (ingress(json!({ "rules": [{ "http": { "paths": [] } }] })), "spec.rules[0].http.paths: Required value"),
            (
                ingress(json!({ "rules": [{ "http": { "paths": [{ "path": "/", "backend": web() }] } }] })),
                "{at}.pathType: Required value: pathType must be specified",
            ),
            (
                host("10.0.0.1"),
                "spec.rules[0].host: Invalid value: \"10.0.0.1\": must be a DNS name, not an IP address",
            ),
            (
                host("a.*.com"),
                "spec.rules[0].host: Invalid value: \"a.*.com\": a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\\\*\\\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
            ),
        ];
        for (wrong, expected) in cases {
            let expected = expected.replace("{at}", at).replace("\\\\", "\\");
            assert_eq!(found(&Ingresses.validate(&wrong)), [expected], "{wrong}");
        }
    }

    #[test]
    fn a_status_holds_addresses_and_names() {
        let status = |one: Value| {
            let ingress = json!({ "status": { "loadBalancer": { "ingress": [one] } } });
            found(&Ingresses.validate_status(&ingress, &ingress))
        };
        assert_eq!(status(json!({ "ip": "127.0.0.1", "hostname": "a.example" })), [] as [&str; 0]);
        let at = "status.loadBalancer.ingress[0]";
        assert_eq!(
            status(json!({ "ip": "x" })),
            [format!("{at}.ip: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")]
        );
        assert_eq!(
            status(json!({ "hostname": "10.0.0.1" })),
            [format!("{at}.hostname: Invalid value: \"10.0.0.1\": must be a DNS name, not an IP address")]
        );
    }

    #[test]
    fn the_older_annotation_is_taken_with_a_warning_and_may_not_contradict() {
        let mut old = ingress(json!({ "defaultBackend": service("web", json!({ "number": 80 })) }));
        assert_eq!(ingress_class(&old), None);
        old["metadata"]["annotations"] = json!({ CLASS_ANNOTATION: "carob" });
        assert_eq!(ingress_class(&old), Some("carob"));
        assert_eq!(
            Ingresses.warnings(&old),
            ["annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead"]
        );
        old["spec"]["ingressClassName"] = json!("nginx");
        assert_eq!(Ingresses.warnings(&old), [] as [&str; 0]);
        assert_eq!(
            found(&Ingresses.validate_create(&old)),
            [
                "annotations.kubernetes.io/ingress.class: Invalid value: \"carob\": must match `ingressClassName` when both are specified"
            ]
        );
    }

    #[test]
    fn only_secrets_of_its_certificates_are_used() {
        let ingress = ingress(json!({ "tls": [{ "hosts": ["a"] }, { "secretName": "cert" }] }));
        assert!(ingress_uses_secret(&ingress, "cert"));
        assert!(!ingress_uses_secret(&ingress, "a") && !ingress_uses_secret(&ingress, ""));
    }
}
