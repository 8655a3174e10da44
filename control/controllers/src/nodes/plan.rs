//! Pure: a Node and when it was heard of last go in; its conditions and taints come out.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, NodeCondition, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::evictions::Eviction;

/// A node that was not heard of for so long is not ready, unless another time is configured.
pub(crate) const SILENCE: Duration = Duration::from_secs(40);
const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const NO_SCHEDULE: &str = "NoSchedule";
const NO_EXECUTE: &str = "NoExecute";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";
/// The conditions that only the node can know, with the taint of each when it is true.
const PRESSURES: [(&str, &str); 3] = [
    ("MemoryPressure", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "node.kubernetes.io/disk-pressure"),
    ("PIDPressure", "node.kubernetes.io/pid-pressure"),
];

/// What a Node should say.
#[derive(Debug, PartialEq)]
pub(crate) struct Plan {
    /// Conditions to write; `None` when they are right.
    pub(crate) conditions: Option<Vec<NodeCondition>>,
    /// All taints; `None` when they are right.
    pub(crate) taints: Option<Vec<Taint>>,
    /// When it falls silent, if nothing is heard until then.
    pub(crate) look_again: Duration,
}

/// Plans one Node. `silent_for` is measured by our own clock since we saw its lease change, or since we began to
/// look: so our own restart, or the node's, marks nobody.
///
/// `eviction`: what may be done to its Pods if it is lost.
pub(crate) fn plan(node: &Node, silent_for: Duration, grace: Duration, eviction: Eviction, now: Timestamp) -> Plan {
    let present = node.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
    let is_silent = silent_for >= grace;
    let conditions = if is_silent { unknown(&present, now) } else { present.clone() };
    let taints = taints(node, &conditions, eviction, now);
    let present_taints = node.spec.as_ref().and_then(|spec| spec.taints.clone()).unwrap_or_default();
    Plan {
        taints: (taints != present_taints).then_some(taints),
        conditions: (conditions != present).then_some(conditions),
        look_again: if is_silent { grace } else { grace - silent_for },
    }
}

/// Nothing is known any more of what only the node can tell.
fn unknown(present: &[NodeCondition], now: Timestamp) -> Vec<NodeCondition> {
    let mut conditions = present.to_vec();
    let types = PRESSURES.iter().map(|(type_, _)| *type_).chain(["Ready"]);
    for type_ in types {
        let unknown = NodeCondition {
            type_: type_.into(),
            status: "Unknown".into(),
            reason: Some("NodeStatusUnknown".into()),
            message: Some("Kubelet stopped posting node status.".into()),
            last_transition_time: Some(Time(now)),
            last_heartbeat_time: None,
        };
        match conditions.iter_mut().find(|condition| condition.type_ == type_) {
            Some(condition) if condition.status == "Unknown" => {}
            Some(condition) => {
                let heartbeat = condition.last_heartbeat_time.clone();
                *condition = NodeCondition { last_heartbeat_time: heartbeat, ..unknown };
            }
            None if type_ == "Ready" => conditions.push(unknown),
            None => {}
        }
    }
    conditions
}

/// The taints that follow from the conditions, beside those that others have set.
fn taints(node: &Node, conditions: &[NodeCondition], eviction: Eviction, now: Timestamp) -> Vec<Taint> {
    let status = |type_: &str| {
        conditions.iter().find(|condition| condition.type_ == type_).map(|condition| condition.status.as_str())
    };
    let is_cordoned = node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false);
    let mut wanted: Vec<(&str, &str)> = Vec::new();
    let lost = match status("Ready") {
        Some("False") => Some(NOT_READY),
        Some("Unknown") => Some(UNREACHABLE),
        _ => None,
    };
    wanted.extend(lost.map(|key| (key, NO_SCHEDULE)));
    let present = node.spec.as_ref().and_then(|spec| spec.taints.clone()).unwrap_or_default();
    let evicts = match eviction {
        Eviction::Go => true,
        Eviction::Hold(_) => present.iter().any(|taint| taint.effect == NO_EXECUTE && is_ours(taint)),
        Eviction::Stop => false,
    };
    wanted.extend(lost.filter(|_| evicts).map(|key| (key, NO_EXECUTE)));
    let pressed = PRESSURES.iter().filter(|(type_, _)| status(type_) == Some("True"));
    wanted.extend(pressed.map(|(_, taint)| (*taint, NO_SCHEDULE)));
    wanted.extend(is_cordoned.then_some((UNSCHEDULABLE, NO_SCHEDULE)));

    let mut taints = present;
    taints.retain(|taint| !is_ours(taint) || wanted.contains(&(taint.key.as_str(), taint.effect.as_str())));
    for (key, effect) in wanted {
        if !taints.iter().any(|taint| taint.key == key && taint.effect == effect) {
            let time_added = (effect == NO_EXECUTE).then_some(Time(now));
            taints.push(Taint { key: key.into(), effect: effect.into(), time_added, ..Taint::default() });
        }
    }
    taints
}

/// Whether the taint is one that follows from conditions, and not a person's.
fn is_ours(taint: &Taint) -> bool {
    match taint.effect.as_str() {
        NO_SCHEDULE => managed().any(|key| key == taint.key),
        NO_EXECUTE => [NOT_READY, UNREACHABLE].contains(&taint.key.as_str()),
        _ => false,
    }
}

fn managed() -> impl Iterator<Item = &'static str> {
    [NOT_READY, UNREACHABLE, UNSCHEDULABLE].into_iter().chain(PRESSURES.iter().map(|(_, taint)| *taint))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const HOLD: Eviction = Eviction::Hold(Duration::ZERO);

    fn planned(ready: &str, spec: Value, silent: u64, eviction: Eviction) -> (Option<String>, Option<Vec<String>>) {
        let node = serde_json::from_value(json!({
            "metadata": { "name": "n" },
            "spec": spec,
            "status": { "conditions": [
                { "type": "Ready", "status": ready }, { "type": "DiskPressure", "status": "False" },
            ] },
        }));
        let silent = Duration::from_secs(silent);
        let plan = plan(&node.unwrap(), silent, SILENCE, eviction, Timestamp::UNIX_EPOCH);
        let ready = plan.conditions.map(|conditions| conditions[0].status.clone());
        (ready, plan.taints.map(|taints| taints.into_iter().map(|taint| taint.key).collect()))
    }

    #[test]
    fn pods_are_evicted_from_a_lost_node_when_they_may() {
        for (ready, silent, key) in [("False", 0, NOT_READY), ("True", 40, UNREACHABLE)] {
            assert_eq!(planned(ready, json!({}), silent, Eviction::Go).1.unwrap(), [key, key]);
            for eviction in [HOLD, Eviction::Stop] {
                assert_eq!(planned(ready, json!({}), silent, eviction).1.unwrap(), [key]);
            }
        }
        let mine = json!({ "key": "mine", "effect": "NoExecute" });
        let executing = json!({ "taints": [{ "key": NOT_READY, "effect": "NoExecute" }, mine] });
        assert_eq!(planned("True", executing.clone(), 40, HOLD).1.unwrap(), ["mine", UNREACHABLE, UNREACHABLE]);
        assert_eq!(planned("True", executing.clone(), 40, Eviction::Stop).1.unwrap(), ["mine", UNREACHABLE]);
        assert_eq!(planned("True", executing, 0, Eviction::Go).1.unwrap(), ["mine"]);
    }

    #[test]
    fn silence_is_unknown_and_tainted_and_a_word_undoes_it() {
        let unreachable = json!({ "taints": [
            { "key": "mine", "effect": "NoSchedule" }, { "key": UNREACHABLE, "effect": "NoSchedule" },
        ] });
        let cases = [
            ("True", json!({}), 39, None, None),
            ("True", json!({}), 40, Some("Unknown"), Some(vec![UNREACHABLE])),
            ("Unknown", unreachable.clone(), 60, None, None),
            ("True", unreachable, 0, None, Some(vec!["mine"])),
            ("False", json!({}), 0, None, Some(vec![NOT_READY])),
            ("True", json!({ "unschedulable": true }), 0, None, Some(vec![UNSCHEDULABLE])),
        ];
        for (ready, spec, silent, condition, taints) in cases {
            let expected =
                (condition.map(str::to_owned), taints.map(|taints| taints.into_iter().map(str::to_owned).collect()));
            // Without the condition that was unknown already.
            let found = planned(ready, spec.clone(), silent, Eviction::Stop);
            assert_eq!((found.0.filter(|status| status != ready), found.1), expected, "{ready} {spec} {silent}");
        }
    }
}
