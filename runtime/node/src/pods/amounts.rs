//! What a container asks for and may use, as numbers.

use k8s_openapi::api::core::v1::Container;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::quantity;
use crate::runtime::Limits;

/// What the container may use.
pub(crate) fn limits(container: &Container) -> Limits {
    let narrow = |millis: u64| u32::try_from(millis).unwrap_or(u32::MAX);
    Limits {
        memory: limit(container, "memory").and_then(quantity::units),
        // Nothing at all stands for no limit, as in Kubernetes.
        cpu_millis: limit(container, "cpu").and_then(quantity::millis).map(narrow).filter(|millis| *millis > 0),
        cpu_weight: request(container, "cpu").and_then(quantity::millis).map_or(0, narrow),
    }
}

pub(crate) fn limit<'a>(container: &'a Container, name: &str) -> Option<&'a Quantity> {
    container.resources.as_ref()?.limits.as_ref()?.get(name)
}

pub(crate) fn request<'a>(container: &'a Container, name: &str) -> Option<&'a Quantity> {
    container.resources.as_ref()?.requests.as_ref()?.get(name)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn limits_and_weights_come_from_limits_and_requests() {
        let cases = [
            (json!({}), Limits::default()),
            (
                json!({ "limits": { "memory": "64Mi", "cpu": "250m" }, "requests": { "cpu": "100m" } }),
                Limits { memory: Some(64 << 20), cpu_millis: Some(250), cpu_weight: 100 },
            ),
            (json!({ "limits": { "cpu": "0" } }), Limits::default()),
            (json!({ "requests": { "cpu": "2" } }), Limits { cpu_weight: 2000, ..Limits::default() }),
        ];
        for (resources, expected) in cases {
            let container: Value = json!({ "name": "a", "resources": resources });
            assert_eq!(limits(&serde_json::from_value(container).unwrap()), expected, "{resources}");
        }
    }
}
