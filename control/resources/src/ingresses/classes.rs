//! IngressClasses.

use super::validate::check_reference;
use crate::cause::Causes;
use crate::json::{at, fill, has, text};
use crate::resource::{Resource, Scope};
use crate::table::{AGE, NAME, age_cell, name};
use crate::{Cause, Column, Path, Strategy, names};
use jiff::Timestamp;
use serde_json::Value;

pub(crate) const INGRESS_CLASSES: Resource = Resource {
    group: "networking.k8s.io",
    version: "v1",
    kind: "IngressClass",
    plural: "ingressclasses",
    singular: "ingressclass",
    short_names: &[],
    categories: &[],
    scope: Scope::Cluster,
    subresources: &[],
    storage: "ingressclasses",
    strategy: &IngressClasses,
};

const COLUMNS: &[Column] = &[
    NAME,
    Column::plain("Controller", "string", "Controller that is responsible for handling this class"),
    Column::plain("Parameters", "string", "A reference to a resource with additional parameters"),
    AGE,
];

/// A class with this annotation is that of Ingresses which name none.
const DEFAULT_ANNOTATION: &str = "ingressclass.kubernetes.io/is-default-class";
const LONGEST_CONTROLLER: usize = 250;
const SCOPES: &[&str] = &["Cluster", "Namespace"];

struct IngressClasses;

impl Strategy for IngressClasses {
    fn default(&self, class: &mut Value) {
        if let Some(parameters) = class.pointer_mut("/spec/parameters").filter(|one| one.is_object()) {
            fill(parameters, "scope", "Cluster");
        }
    }

    fn validate(&self, class: &Value) -> Vec<Cause> {
        let mut found = Causes::default();
        check_controller(text(class, "/spec/controller"), &mut found);
        if has(class, "/spec/parameters") {
            check_parameters(at(class, "/spec/parameters"), &Path::new("spec.parameters"), &mut found);
        }
        found.into_vec()
    }

    fn validate_update(&self, new: &Value, old: &Value) -> Vec<Cause> {
        let (new, old) = (at(new, "/spec/controller"), at(old, "/spec/controller"));
        let changed =
            (new != old).then(|| Cause::invalid(&Path::new("spec.controller"), new.clone(), "field is immutable"));
        changed.into_iter().collect()
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn cells(&self, class: &Value, now: Timestamp) -> Vec<Value> {
        vec![name(class), text(class, "/spec/controller").into(), parameters(class).into(), age_cell(class, now)]
    }
}

/// Whether Ingresses that name no class get this one.
pub fn is_default_ingress_class(class: &Value) -> bool {
    at(class, "/metadata/annotations").get(DEFAULT_ANNOTATION).is_some_and(|value| value == "true")
}

fn parameters(class: &Value) -> String {
    if !has(class, "/spec/parameters") {
        return "<none>".to_owned();
    }
    let (kind, name) = (text(class, "/spec/parameters/kind"), text(class, "/spec/parameters/name"));
    match at(class, "/spec/parameters/apiGroup").as_str() {
        Some(group) => format!("{kind}.{group}/{name}"),
        None => format!("{kind}/{name}"),
    }
}

fn check_controller(controller: &str, found: &mut Causes) {
    let path = Path::new("spec.controller");
    if controller.is_empty() {
        found.push(Cause::required(&path, ""));
        return;
    }
    if controller.len() > LONGEST_CONTROLLER {
        found.push(Cause::too_long(&path, LONGEST_CONTROLLER));
    }
    match controller.split_once('/').filter(|(domain, rest)| !domain.is_empty() && !rest.is_empty()) {
        None => {
            found.push(Cause::invalid(&path, controller, "must be a domain-prefixed path (such as \"acme.io/foo\")"))
        }
        Some((domain, rest)) => {
            found.invalid_each(&path, domain, names::dns1123_subdomain(domain));
            found.invalid_each(&path, rest, names::url_path(rest));
        }
    }
}

fn check_parameters(parameters: &Value, path: &Path, found: &mut Causes) {
    check_reference(parameters, path, found);
    let (scope, namespace, here) =
        (text(parameters, "/scope"), at(parameters, "/namespace").as_str(), path.child("namespace"));
    match (scope, namespace) {
        ("Namespace", None) => found.push(Cause::required(&here, "`parameters.scope` is set to 'Namespace'")),
        ("Namespace", Some(name)) => found.invalid_each(&here, name, names::dns1123_label(name)),
        ("Cluster", Some(_)) => found.push(Cause::forbidden(&here, "`parameters.scope` is set to 'Cluster'")),
        _ => found.one_of(&path.child("scope"), scope, SCOPES),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn class(spec: Value) -> Value {
        let mut class = json!({ "metadata": { "name": "carob" }, "spec": spec });
        IngressClasses.default(&mut class);
        class
    }

    #[test]
    fn a_row_says_who_serves_it_and_with_what() {
        let parameters = json!({ "apiGroup": "k8s.example.com", "kind": "Settings", "name": "fast" });
        let class = class(json!({ "controller": "carob.dev/ingress", "parameters": parameters }));
        assert_eq!(IngressClasses.validate(&class), []);
        assert_eq!(class["spec"]["parameters"]["scope"], "Cluster");
        let row = IngressClasses.cells(&class, Timestamp::UNIX_EPOCH);
        assert_eq!(row[..3], ["carob", "carob.dev/ingress", "Settings.k8s.example.com/fast"].map(Value::from));
    }

    #[test]
    fn the_annotation_makes_a_class_the_default() {
        let mut class = class(json!({ "controller": "carob.dev/ingress" }));
        assert!(!is_default_ingress_class(&class));
        class["metadata"]["annotations"] = json!({ DEFAULT_ANNOTATION: "true" });
        assert!(is_default_ingress_class(&class));
    }

    #[test]
    fn mistakes_are_named_with_their_place_and_in_kubernetes_words() {
        let parameters = |more: Value| {
            let mut parameters = json!({ "kind": "K", "name": "n" });
            parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({ "controller": "a.io/b", "parameters": parameters })
        };
        let cases = [
            (json!({}), "spec.controller: Required value"),
            (
                json!({ "controller": "carob" }),
                "spec.controller: Invalid value: \"carob\": must be a domain-prefixed path (such as \"acme.io/foo\")",
            ),
            (
                json!({ "controller": "a.io/b c" }),
                "spec.controller: Invalid value: \"b c\": Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')",
            ),
            (
                parameters(json!({ "scope": "Namespace" })),
                "spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'",
            ),
            (
                parameters(json!({ "namespace": "a" })),
                "spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'",
            ),
            (
                parameters(json!({ "scope": "World" })),
                "spec.parameters.scope: Unsupported value: \"World\": supported values: \"Cluster\", \"Namespace\"",
            ),
        ];
        for (spec, expected) in cases {
            let found = IngressClasses.validate(&class(spec.clone()));
            let found: Vec<_> = found.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
            assert_eq!(found, [expected], "{spec}");
        }
        let found = IngressClasses
            .validate_update(&class(json!({ "controller": "a.io/b" })), &class(json!({ "controller": "a.io/c" })));
        assert_eq!(found[0].message, "Invalid value: \"a.io/b\": field is immutable");
    }
}
