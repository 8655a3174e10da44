//! `/resize` of a Pod: what its containers ask for and may use, changed while they run.

use crate::cause::Causes;
use crate::json::{at, entries, fill, has, items_mut, list, section, text};
use crate::pod_spec::qos_class;
use crate::strategy::carry_over;
use crate::{Cause, Path};
use serde_json::{Value, json};

/// The resources of which an amount can be changed while a container runs.
const RESIZABLE: [&str; 2] = ["cpu", "memory"];
const LISTS: [&str; 2] = ["/spec/containers", "/spec/initContainers"];

/// A container that says nothing goes on running while its resources change.
pub(super) fn default_policies(spec: &mut Value) {
    for pointer in ["/containers", "/initContainers"] {
        items_mut(spec, pointer).for_each(default_policy);
    }
}

fn default_policy(container: &mut Value) {
    let named =
        |name: &str| ["requests", "limits"].iter().any(|field| has(container, &format!("/resources/{field}/{name}")));
    let wanted: Vec<&str> = RESIZABLE.into_iter().filter(|name| named(name)).collect();
    let said: Vec<String> =
        list(container, "/resizePolicy").iter().map(|policy| text(policy, "/resourceName").to_owned()).collect();
    let missing: Vec<&str> = wanted.into_iter().filter(|name| !said.iter().any(|said| said == name)).collect();
    if missing.is_empty() {
        return;
    }
    fill(container, "resizePolicy", json!([]));
    if let Some(policies) = container.get_mut("resizePolicy").and_then(Value::as_array_mut) {
        policies.extend(missing.iter().map(|name| json!({ "resourceName": name, "restartPolicy": "NotRequired" })));
    }
}

/// Keeps of `new` the resources of its containers, and takes all else from `old`. Containers that are not those of `old`
/// are left for validation to find.
pub(super) fn prepare(new: &mut Value, old: &Value) {
    let mut pod = old.clone();
    if let (Some(metadata), Some(wished)) = (section(&mut pod, "metadata"), new.get("metadata")) {
        carry_over(metadata, wished, "resourceVersion");
    }
    for pointer in LISTS {
        let wished = list(new, pointer);
        let names = |containers: &[Value]| -> Vec<String> {
            containers.iter().map(|container| text(container, "/name").to_owned()).collect()
        };
        if names(wished) != names(list(old, pointer)) {
            return;
        }
        for (container, wished) in items_mut(&mut pod, pointer).zip(wished) {
            carry_over(container, wished, "resources");
            carry_over(container, wished, "resizePolicy");
        }
    }
    *new = pod;
}

/// What of the change is not allowed, beyond what is wrong with the Pod as it would be.
pub(super) fn validate(new: &Value, old: &Value) -> Vec<Cause> {
    let mut found = Causes::default();
    let spec = Path::new("spec");
    let class = qos_class(at(new, "/spec"));
    if class != held_class(old) {
        let detail = "Pod QOS Class may not change as a result of resizing";
        found.push(Cause::invalid(&spec, class, detail));
    }
    for field in ["containers", "initContainers"] {
        let pointer = format!("/spec/{field}");
        for (index, (new, old)) in list(new, &pointer).iter().zip(list(old, &pointer)).enumerate() {
            check_removed(new, old, &spec.child(field).index(index).child("resources"), &mut found);
        }
    }
    if without_amounts(new) != without_amounts(old) {
        found.push(Cause::forbidden(&spec, "only cpu and memory resources are mutable"));
    }
    found.into_vec()
}

fn held_class(old: &Value) -> &str {
    match text(old, "/status/qosClass") {
        "" => qos_class(at(old, "/spec")),
        class => class,
    }
}

fn check_removed(new: &Value, old: &Value, path: &Path, found: &mut Causes) {
    for field in ["limits", "requests"] {
        let pointer = format!("/resources/{field}");
        if entries(old, &pointer).any(|(name, _)| at(new, &pointer).get(name).is_none()) {
            let detail = format!("resource {field} cannot be removed");
            found.push(Cause::forbidden(&path.child(field), &detail));
        }
    }
}

/// The spec but for the amounts that a resize may change.
fn without_amounts(pod: &Value) -> Value {
    let mut spec = at(pod, "/spec").clone();
    drop_amounts(&mut spec, "/containers", |_| true);
    drop_amounts(&mut spec, "/initContainers", |container| text(container, "/restartPolicy") == "Always");
    spec
}

fn drop_amounts(spec: &mut Value, pointer: &str, which: impl Fn(&Value) -> bool) {
    for container in items_mut(spec, pointer).filter(|container| which(container)) {
        if let Some(container) = container.as_object_mut() {
            container.remove("resizePolicy");
        }
        let Some(resources) = section(container, "resources") else { continue };
        for field in ["limits", "requests"] {
            if let Some(amounts) = section(resources, field).and_then(Value::as_object_mut) {
                RESIZABLE.iter().for_each(|name| drop(amounts.remove(*name)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::set;

    fn pod(requests: Value, limits: Value) -> Value {
        json!({
            "metadata": { "name": "web", "resourceVersion": "7", "labels": { "a": "b" } },
            "spec": { "nodeName": "n1", "containers": [
                { "name": "a", "image": "hello:1", "resources": { "requests": requests, "limits": limits } },
            ] },
            "status": { "phase": "Running" },
        })
    }

    #[test]
    fn only_the_resources_are_taken_over() {
        let old = pod(json!({ "cpu": "1" }), json!({}));
        let mut new = pod(json!({ "cpu": "2" }), json!({}));
        set(&mut new["spec"]["containers"][0], "image", "other:1");
        set(&mut new["metadata"], "labels", json!({}));
        new["metadata"].as_object_mut().unwrap().remove("resourceVersion");
        prepare(&mut new, &old);
        let mut expected = pod(json!({ "cpu": "2" }), json!({}));
        expected["metadata"].as_object_mut().unwrap().remove("resourceVersion");
        assert_eq!(new, expected);
        assert_eq!(validate(&new, &old), []);
    }

    #[test]
    fn a_policy_is_filled_in_for_what_is_named() {
        let mut spec = json!({ "containers": [
            { "resources": { "limits": { "memory": "1Gi" }, "requests": { "cpu": "1" } },
              "resizePolicy": [{ "resourceName": "memory", "restartPolicy": "RestartContainer" }] },
            { "resources": {} },
        ] });
        default_policies(&mut spec);
        let once = spec.clone();
        default_policies(&mut spec);
        assert_eq!(spec, once, "it is idempotent");
        let policies = &spec["containers"][0]["resizePolicy"];
        assert_eq!(policies[1], json!({ "resourceName": "cpu", "restartPolicy": "NotRequired" }));
        assert_eq!(policies.as_array().unwrap().len(), 2);
        assert!(spec["containers"][1].get("resizePolicy").is_none());
    }

    #[test]
    fn what_may_not_change_is_named() {
        let burstable = || pod(json!({ "cpu": "1", "example.com/gpu": "1" }), json!({ "example.com/gpu": "1" }));
        let class = ("spec", "Invalid value: \"Guaranteed\": Pod QOS Class may not change as a result of resizing");
        let cases = [
            (
                json!({ "requests": { "cpu": "1", "memory": "1Gi", "example.com/gpu": "1" },
                "limits": { "cpu": "1", "memory": "1Gi", "example.com/gpu": "1" } }),
                vec![class],
            ),
            (
                json!({ "requests": { "example.com/gpu": "1", "memory": "1" }, "limits": { "example.com/gpu": "1" } }),
                vec![("spec.containers[0].resources.requests", "Forbidden: resource requests cannot be removed")],
            ),
            (
                json!({ "requests": { "cpu": "1", "example.com/gpu": "2" }, "limits": { "example.com/gpu": "2" } }),
                vec![("spec", "Forbidden: only cpu and memory resources are mutable")],
            ),
        ];
        for (resources, expected) in cases {
            let mut new = burstable();
            set(&mut new["spec"]["containers"][0], "resources", resources);
            prepare(&mut new, &burstable());
            let found = validate(&new, &burstable());
            let found: Vec<_> = found.iter().map(|cause| (cause.field.as_str(), cause.message.as_str())).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn other_containers_are_refused() {
        let old = pod(json!({}), json!({}));
        let mut new = old.clone();
        set(&mut new["spec"]["containers"][0], "name", "b");
        prepare(&mut new, &old);
        assert_eq!(validate(&new, &old)[0].message, "Forbidden: only cpu and memory resources are mutable");
    }
}
