use crate::json::{remove, set};
use serde_json::Value;

/// Fields that have one name in the core group and another in `events.k8s.io`.
const RENAMED: &[(&str, &str)] = &[
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

/// From `v1` to `events.k8s.io/v1`.
pub(super) fn to_events_group(event: &mut Value) {
    for (core, other) in RENAMED {
        rename(event, core, other);
    }
    set(event, "apiVersion", "events.k8s.io/v1");
}

/// From `events.k8s.io/v1` to `v1`.
pub(super) fn to_core_group(event: &mut Value) {
    for (core, other) in RENAMED {
        rename(event, other, core);
    }
    set(event, "apiVersion", "v1");
}

fn rename(event: &mut Value, from: &str, to: &str) {
    if let Some(value) = remove(event, from) {
        set(event, to, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn there_and_back_changes_nothing() {
        let core = json!({
            "apiVersion": "v1", "kind": "Event", "metadata": { "name": "e" }, "action": "Binding", "eventTime": "t",
            "involvedObject": { "kind": "Pod" }, "message": "m", "reportingComponent": "c", "reportingInstance": "i",
            "source": { "component": "s" }, "firstTimestamp": "a", "lastTimestamp": "b", "count": 2,
        });
        let mut event = core.clone();
        to_events_group(&mut event);
        assert_eq!(event["regarding"]["kind"], "Pod");
        assert_eq!(event["note"], "m");
        assert_eq!(event["reportingController"], "c");
        assert_eq!(event["deprecatedCount"], 2);
        to_core_group(&mut event);
        assert_eq!(event, core);
    }
}
