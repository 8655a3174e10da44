//! What a container asks for and may use at most.

use crate::cause::Causes;
use crate::json::{at, entries, fill, items_mut, list, section};
use crate::names;
use crate::quantity::Quantity;
use crate::{Cause, Path};
use serde_json::{Map, Value};

const NATIVE: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
const HUGE_PAGES: &str = "hugepages-";

/// Writes the quantities of a map in their canonical form; what is none is left for validation.
pub(crate) fn canonical_quantities(object: &mut Value, field: &str) {
    let Some(map) = object.get_mut(field).and_then(Value::as_object_mut) else { return };
    for value in map.values_mut() {
        if let Ok(quantity) = Quantity::from_json(value) {
            *value = quantity.to_string().into();
        }
    }
}

/// What has a limit but no request asks for its limit. This holds for Pods, not for templates.
pub(crate) fn default_requests(spec: &mut Value) {
    for pointer in ["/initContainers", "/containers"] {
        items_mut(spec, pointer).filter_map(|container| section(container, "resources")).for_each(requests_from_limits);
    }
}

fn requests_from_limits(resources: &mut Value) {
    let limits: Map<String, Value> = entries(resources, "/limits").map(|(k, v)| (k.clone(), v.clone())).collect();
    if limits.is_empty() {
        return;
    }
    let Some(requests) = section(resources, "requests") else { return };
    for (name, limit) in limits {
        fill(requests, &name, limit);
    }
}

/// What is wrong with a container's `resources`.
pub(super) fn check_resources(resources: &Value, path: &Path, found: &mut Causes) {
    for field in ["limits", "requests"] {
        for (name, value) in entries(resources, &format!("/{field}")) {
            check_amount(name, value, &path.child(field).key(name), &path.child(field), found);
        }
    }
    for (name, request) in entries(resources, "/requests") {
        let limit = at(resources, "/limits").get(name);
        check_pair(name, request, limit, &path.child("requests"), found);
    }
}

fn check_amount(name: &str, value: &Value, path: &Path, list: &Path, found: &mut Causes) {
    found.invalid_each(list, name, names::qualified_name(name));
    if !name.contains('/') && !is_native(name) {
        found.push(Cause::invalid(path, name, "must be a standard resource for containers"));
    }
    match Quantity::from_json(value) {
        Err(error) => found.push(Cause::invalid(path, value.clone(), &error.to_string())),
        Ok(quantity) if quantity.is_negative() => {
            found.push(Cause::invalid(path, quantity.to_string(), "must be greater than or equal to 0"));
        }
        Ok(quantity) if name.contains('/') && !quantity.is_whole() => {
            found.push(Cause::invalid(path, quantity.to_string(), "must be an integer"));
        }
        Ok(_) => {}
    }
}

fn check_pair(name: &str, request: &Value, limit: Option<&Value>, path: &Path, found: &mut Causes) {
    let overcommit = NATIVE.contains(&name);
    let Ok(request) = Quantity::from_json(request) else { return };
    let Some(limit) = limit else {
        if !overcommit {
            found.push(Cause::required(path, "Limit must be set for non overcommitable resources"));
        }
        return;
    };
    let Ok(limit) = Quantity::from_json(limit) else { return };
    if overcommit && request > limit {
        let detail = format!("must be less than or equal to {name} limit of {limit}");
        found.push(Cause::invalid(path, request.to_string(), &detail));
    } else if !overcommit && request != limit {
        let detail = format!("must be equal to {name} limit of {limit}");
        found.push(Cause::invalid(path, request.to_string(), &detail));
    }
}

fn is_native(name: &str) -> bool {
    NATIVE.contains(&name) || name.starts_with(HUGE_PAGES)
}

/// `Guaranteed`, `Burstable` or `BestEffort`, by what the containers ask of processor and memory.
pub(crate) fn qos_class(spec: &Value) -> &'static str {
    let containers = || list(spec, "/initContainers").iter().chain(list(spec, "/containers"));
    let amount = |container: &Value, field: &str, name: &str| {
        let value = at(container, &format!("/resources/{field}/{name}"));
        Quantity::from_json(value).ok().filter(|quantity| !quantity.is_zero())
    };
    let mut any = false;
    let mut guaranteed = true;
    for container in containers() {
        for name in ["cpu", "memory"] {
            let (request, limit) = (amount(container, "requests", name), amount(container, "limits", name));
            any |= request.is_some() || limit.is_some();
            guaranteed &= limit.is_some() && request.is_none_or(|request| Some(request) == limit);
        }
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_class_follows_requests_and_limits() {
        let cases = [
            (json!({}), "BestEffort"),
            (json!({ "requests": { "cpu": "0" } }), "BestEffort"),
            (json!({ "requests": { "cpu": "1" } }), "Burstable"),
            (json!({ "limits": { "cpu": "1" } }), "Burstable"),
            (json!({ "limits": { "cpu": "1", "memory": "1Gi" } }), "Guaranteed"),
            (json!({ "limits": { "cpu": "1", "memory": "1Gi" }, "requests": { "cpu": "1000m" } }), "Guaranteed"),
            (json!({ "limits": { "cpu": "1", "memory": "1Gi" }, "requests": { "cpu": "500m" } }), "Burstable"),
        ];
        for (resources, class) in cases {
            let spec = json!({ "containers": [{ "resources": resources }] });
            assert_eq!(qos_class(&spec), class, "{resources}");
        }
    }

    #[test]
    fn amounts_are_checked() {
        let cases = [
            (
                json!({ "limits": { "cpu": "1" }, "requests": { "cpu": "2" } }),
                "requests",
                "Invalid value: \"2\": must be less than or equal to cpu limit of 1",
            ),
            (
                json!({ "limits": { "memory": "-1" } }),
                "limits[memory]",
                "Invalid value: \"-1\": must be greater than or equal to 0",
            ),
            (
                json!({ "limits": { "disk": "1" } }),
                "limits[disk]",
                "Invalid value: \"disk\": must be a standard resource for containers",
            ),
            (
                json!({ "requests": { "example.com/gpu": "1" } }),
                "requests",
                "Required value: Limit must be set for non overcommitable resources",
            ),
        ];
        for (resources, field, message) in cases {
            let mut found = Causes::default();
            check_resources(&resources, &Path::default(), &mut found);
            let found = found.into_vec();
            assert_eq!((found[0].field.as_str(), found[0].message.as_str()), (field, message), "{found:?}");
            assert_eq!(found.len(), 1);
        }
    }
}
