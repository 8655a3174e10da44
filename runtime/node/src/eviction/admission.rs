//! Which Pods a node under pressure takes. Pure.

use k8s_openapi::api::core::v1::{Pod, Toleration};

use super::pressure::Pressure;
use super::{CRITICAL, words};

const MEMORY_TAINT: &str = "node.kubernetes.io/memory-pressure";

/// Why the node does not take the Pod, if it does not: short of memory it takes those that asked for some, short of
/// anything else only what the cluster itself needs.
pub(crate) fn refusal(pod: &Pod, pressure: Pressure) -> Option<String> {
    let spec = pod.spec.as_ref();
    let critical = spec.and_then(|spec| spec.priority).is_some_and(|priority| priority >= CRITICAL);
    if critical || pressure == Pressure::default() {
        return None;
    }
    let memory_only = Pressure { memory: true, ..Pressure::default() };
    let tolerates = || spec.and_then(|spec| spec.tolerations.as_ref()).into_iter().flatten().any(tolerates_memory);
    if pressure == memory_only && (!is_best_effort(pod) || tolerates()) {
        return None;
    }
    Some(words::refused(pressure))
}

fn is_best_effort(pod: &Pod) -> bool {
    pod.status.as_ref().and_then(|status| status.qos_class.as_deref()) == Some("BestEffort")
}

fn tolerates_memory(toleration: &Toleration) -> bool {
    let any_key = toleration.key.as_deref().is_none_or(str::is_empty);
    let exists = toleration.operator.as_deref() == Some("Exists");
    let key = if any_key { exists } else { toleration.key.as_deref() == Some(MEMORY_TAINT) };
    let value = exists || toleration.value.as_deref().is_none_or(str::is_empty);
    let effect = toleration.effect.as_deref().is_none_or(|effect| effect.is_empty() || effect == "NoSchedule");
    key && value && effect
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_node_under_pressure_is_choosy() {
        let (memory, disk) =
            (Pressure { memory: true, ..Pressure::default() }, Pressure { disk: true, ..Pressure::default() });
        let both = Pressure { memory: true, disk: true, pid: false };
        let toleration = json!([{ "key": MEMORY_TAINT, "operator": "Exists", "effect": "NoSchedule" }]);
        let cases: [(&str, Value, Pressure, bool); 9] = [
            ("BestEffort", json!({}), Pressure::default(), true),
            ("BestEffort", json!({}), memory, false),
            ("BestEffort", json!({ "tolerations": toleration }), memory, true),
            ("BestEffort", json!({ "tolerations": [{ "operator": "Exists" }] }), memory, true),
            ("Burstable", json!({}), memory, true),
            ("Guaranteed", json!({}), memory, true),
            ("Guaranteed", json!({}), disk, false),
            ("Burstable", json!({}), both, false),
            ("BestEffort", json!({ "priority": CRITICAL }), both, true),
        ];
        for (class, mut spec, pressure, taken) in cases {
            spec["containers"] = json!([]);
            let pod = json!({ "metadata": {}, "spec": spec, "status": { "qosClass": class } });
            let refusal = refusal(&serde_json::from_value(pod.clone()).unwrap(), pressure);
            assert_eq!(refusal.is_none(), taken, "{pod} {pressure:?}: {refusal:?}");
        }
    }
}
