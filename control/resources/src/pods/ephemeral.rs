//! `/ephemeralcontainers` of a Pod: containers are added to it, and neither changed nor taken away.

use crate::cause::Causes;
use crate::json::{at, list, remove, section, set, text};
use crate::{Cause, Path};
use serde_json::Value;

/// Makes `pod` wish for the ephemeral containers of `wanted`, and for nothing else of it.
pub(super) fn take_over(pod: &mut Value, wanted: &Value) {
    let Some(spec) = section(pod, "spec") else { return };
    match at(wanted, "/spec/ephemeralContainers") {
        Value::Null => drop(remove(spec, "ephemeralContainers")),
        containers => set(spec, "ephemeralContainers", containers.clone()),
    }
}

pub(super) fn validate_update(new: &Value, old: &Value) -> Vec<Cause> {
    let path = Path::new("spec.ephemeralContainers");
    let wanted = list(new, "/spec/ephemeralContainers");
    let mut found = Causes::default();
    for held in list(old, "/spec/ephemeralContainers") {
        let name = text(held, "/name");
        match wanted.iter().find(|container| text(container, "/name") == name) {
            None => {
                found.push(Cause::forbidden(
                    &path,
                    &format!("existing ephemeral containers {name:?} may not be removed\n"),
                ));
            }
            Some(container) if container != held => {
                let detail = format!("existing ephemeral containers {name:?} may not be changed\n");
                found.push(Cause::forbidden(&path, &detail));
            }
            Some(_) => {}
        }
    }
    found.into_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pods::tests::pod;
    use crate::{Strategy, Subresource};
    use serde_json::json;

    fn with(containers: Value) -> Value {
        let mut pod = pod();
        pod["spec"]["ephemeralContainers"] = containers;
        crate::pods::Pods.default(&mut pod);
        pod
    }

    #[test]
    fn only_the_ephemeral_containers_are_taken_over() {
        let old = pod();
        let mut new = with(json!([{ "name": "debug", "image": "tools" }]));
        new["spec"]["containers"][0]["image"] = json!("other");
        new["metadata"]["labels"] = json!({ "a": "b" });
        crate::pods::Pods.prepare_part(Subresource::EphemeralContainers, &mut new, &old);
        assert_eq!(new, with(json!([{ "name": "debug", "image": "tools" }])));
    }

    #[test]
    fn they_are_added_and_neither_changed_nor_removed() {
        let old = with(json!([{ "name": "x", "image": "tools:1" }]));
        let one = json!({ "name": "x", "image": "tools:1" });
        for (containers, expected) in [
            (json!([{ "name": "y", "image": "tools:1" }, one]), None),
            (json!([]), Some("Forbidden: existing ephemeral containers \"x\" may not be removed\n")),
            (
                json!([{ "name": "x", "image": "tools:2" }]),
                Some("Forbidden: existing ephemeral containers \"x\" may not be changed\n"),
            ),
        ] {
            let found = validate_update(&with(containers.clone()), &old);
            let message = found.first().map(|cause| cause.message.as_str());
            assert_eq!((message, found.len()), (expected, expected.iter().count()), "{containers}");
            assert!(found.iter().all(|cause| cause.field == "spec.ephemeralContainers"));
        }
    }

    #[test]
    fn what_a_container_for_a_look_may_not_have_is_refused() {
        for (field, value, path, message) in [
            (
                "ports",
                json!([{ "containerPort": 1, "protocol": "TCP" }]),
                ".ports",
                "Forbidden: cannot be set for an Ephemeral Container",
            ),
            (
                "livenessProbe",
                json!({ "exec": { "command": ["x"] } }),
                ".livenessProbe",
                "Forbidden: cannot be set for an Ephemeral Container",
            ),
            (
                "lifecycle",
                json!({ "preStop": { "exec": { "command": ["x"] } } }),
                ".lifecycle",
                "Forbidden: cannot be set for an Ephemeral Container",
            ),
            (
                "resources",
                json!({ "limits": { "cpu": "1" } }),
                ".resources",
                "Forbidden: cannot be set for an Ephemeral Container",
            ),
            ("restartPolicy", json!("Always"), ".restartPolicy", "Forbidden: cannot be set for an Ephemeral Container"),
            ("name", json!("a"), ".name", "Duplicate value: \"a\""),
            ("targetContainerName", json!("b"), ".targetContainerName", "Not found: \"b\""),
            ("image", json!(""), ".image", "Required value"),
        ] {
            let mut container = json!({ "name": "debug", "image": "tools", "targetContainerName": "a" });
            container[field] = value;
            let found = crate::pods::Pods.validate(&with(json!([container])));
            assert_eq!(found.len(), 1, "{field}: {found:?}");
            let place = format!("spec.ephemeralContainers[0]{path}");
            assert_eq!((found[0].field.as_str(), found[0].message.as_str()), (place.as_str(), message));
        }
    }
}
