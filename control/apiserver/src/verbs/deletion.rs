//! Decides what a deletion does to an object. Pure.

use carob_resources::Resource;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::options::{DeleteOptions, Propagation};

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

/// What a deletion does.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Plan {
    /// The object goes at once.
    Remove,
    /// The object stays for now and looks like this.
    Mark(Value),
    /// The object is being deleted already, and this asks for nothing more.
    Nothing,
}

/// Plans the deletion of `old`.
pub(super) fn plan(resource: &Resource, old: &Value, options: &DeleteOptions, now: Timestamp) -> Plan {
    let grace = resource.strategy.grace_seconds(old, options.grace).filter(|seconds| *seconds > 0).unwrap_or(0);
    let mut new = old.clone();
    set_finalizers(&mut new, finalizers(resource, old, options.propagation));
    mark(&mut new, old, grace, now);
    if resource.kind == "Namespace" {
        new["status"]["phase"] = json!("Terminating");
    }
    if may_go(&new) {
        return Plan::Remove;
    }
    if new == *old { Plan::Nothing } else { Plan::Mark(with_new_generation(new, old)) }
}

/// Whether nothing holds an object that is marked as deleted any longer.
pub(super) fn may_go(object: &Value) -> bool {
    let metadata = &object["metadata"];
    let empty = |list: &Value| list.as_array().is_none_or(Vec::is_empty);
    let held_inside = object["kind"] == "Namespace" && !empty(&object["spec"]["finalizers"]);
    metadata["deletionTimestamp"].is_string()
        && metadata["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) == 0
        && empty(&metadata["finalizers"])
        && !held_inside
}

/// The finalizers that the object has from now on.
fn finalizers(resource: &Resource, old: &Value, asked: Option<Propagation>) -> Vec<String> {
    let old = old["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    let mut names: Vec<String> = old.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let undecided = !names.iter().any(|name| name == ORPHAN || name == FOREGROUND);
    // The controllers of old let their Pods live on by default.
    let legacy = resource.kind == "ReplicationController" && undecided;
    let Some(propagation) = asked.or(legacy.then_some(Propagation::Orphan)) else { return names };
    names.retain(|name| name != ORPHAN && name != FOREGROUND);
    match propagation {
        Propagation::Orphan => names.push(ORPHAN.to_owned()),
        Propagation::Foreground => names.push(FOREGROUND.to_owned()),
        Propagation::Background => {}
    }
    names
}

fn set_finalizers(object: &mut Value, names: Vec<String>) {
    let Some(metadata) = object["metadata"].as_object_mut() else { return };
    if names.is_empty() {
        metadata.remove("finalizers");
    } else {
        metadata.insert("finalizers".to_owned(), json!(names));
    }
}

/// Says when the object goes. A second deletion may only shorten the time.
fn mark(new: &mut Value, old: &Value, grace: i64, now: Timestamp) {
    let metadata = &old["metadata"];
    let deadline = match metadata["deletionTimestamp"].as_str().and_then(|text| text.parse::<Timestamp>().ok()) {
        None => now.saturating_add(SignedDuration::from_secs(grace)).unwrap_or(now),
        Some(deadline) => {
            let left = metadata["deletionGracePeriodSeconds"].as_i64().unwrap_or(0);
            if grace >= left {
                return;
            }
            deadline.saturating_sub(SignedDuration::from_secs(left - grace)).unwrap_or(now)
        }
    };
    new["metadata"]["deletionTimestamp"] = json!(deadline.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    new["metadata"]["deletionGracePeriodSeconds"] = json!(grace);
}

/// Wishing an object away is a change of wishes.
fn with_new_generation(mut new: Value, old: &Value) -> Value {
    let first = old["metadata"]["deletionTimestamp"].is_null();
    if let Some(generation) = old["metadata"]["generation"].as_i64().filter(|_| first) {
        new["metadata"]["generation"] = json!(generation + 1);
    }
    new
}
