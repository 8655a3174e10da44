//! What a container asks for and may use, as numbers.

use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::quantity;
use crate::runtime::Limits;

/// The weight of a container that asks for no processor, in a Pod that asks for something.
const LEAST_WEIGHT: u32 = 2;

/// What a container of the Pod may use. Those of all BestEffort Pods share one weight, as in a kubelet's control groups.
pub(crate) fn limits(pod: &Pod, container: &Container) -> Limits {
    let narrow = |millis: u64| u32::try_from(millis).unwrap_or(u32::MAX);
    let is_best_effort = pod.status.as_ref().and_then(|status| status.qos_class.as_deref()) == Some("BestEffort");
    let weight = || request(container, "cpu").and_then(quantity::millis).map_or(0, narrow).max(LEAST_WEIGHT);
    Limits {
        memory: limit(container, "memory").and_then(quantity::units),
        // Nothing at all stands for no limit, as in Kubernetes.
        cpu_millis: limit(container, "cpu").and_then(quantity::millis).map(narrow).filter(|millis| *millis > 0),
        cpu_weight: if is_best_effort { 0 } else { weight() },
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
        let least = Limits { cpu_weight: LEAST_WEIGHT, ..Limits::default() };
        let cases = [
            (json!({}), least),
            (
                json!({ "limits": { "memory": "64Mi", "cpu": "250m" }, "requests": { "cpu": "100m" } }),
                Limits { memory: Some(64 << 20), cpu_millis: Some(250), cpu_weight: 100 },
            ),
            (json!({ "limits": { "cpu": "0" } }), least),
            (json!({ "requests": { "cpu": "2" } }), Limits { cpu_weight: 2000, ..Limits::default() }),
        ];
        for (resources, expected) in cases {
            let container: Value = json!({ "name": "a", "resources": resources });
            let container = serde_json::from_value(container).unwrap();
            let of = |class: &str| {
                let pod = json!({ "metadata": {}, "status": { "qosClass": class } });
                limits(&serde_json::from_value(pod).unwrap(), &container)
            };
            assert_eq!(of("Burstable"), expected, "{resources}");
            assert_eq!(of("BestEffort").cpu_weight, 0);
        }
    }
}
