//! What the resources that make Pods from a template have in common.

use crate::cause::Causes;
use crate::json::{at, int, list, text};
use crate::selector::{LabelSelector, validate_label_selector};
use crate::table::{AGE, NAME, age_cell, join_containers, name};
use crate::{Cause, Column, Path, Subresource};
use jiff::Timestamp;
use serde_json::Value;

pub(crate) const CONTAINERS: Column = Column::wide("Containers", "Names of each container in the template.");
pub(crate) const IMAGES: Column = Column::wide("Images", "Images referenced by each container in the template.");

/// `/scale`, as ReplicaSets, Deployments and ReplicationControllers have it.
pub(crate) const SCALE: Subresource = Subresource::Scale {
    spec_replicas: "/spec/replicas",
    status_replicas: "/status/replicas",
    selector: "/spec/selector",
};

/// The columns of ReplicaSets and ReplicationControllers.
pub(crate) const REPLICA_COLUMNS: &[Column] = &[
    NAME,
    Column::plain("Desired", "integer", "Replicas is the number of desired pods."),
    Column::plain("Current", "integer", "Replicas is the most recently observed number of non-terminating pods."),
    Column::plain("Ready", "integer", "The number of non-terminating pods with a Ready Condition."),
    AGE,
    CONTAINERS,
    IMAGES,
    Column::wide("Selector", "Selector is a label query over pods that should match the replica count."),
];

/// A row of [`REPLICA_COLUMNS`].
pub(crate) fn replica_cells(object: &Value, now: Timestamp) -> Vec<Value> {
    let count = |pointer| Value::from(int(object, pointer).unwrap_or(0));
    let template = at(object, "/spec/template/spec");
    vec![
        name(object),
        count("/spec/replicas"),
        count("/status/replicas"),
        count("/status/readyReplicas"),
        age_cell(object, now),
        join_containers(template, "name"),
        join_containers(template, "image"),
        selector_text(at(object, "/spec/selector")).into(),
    ]
}

/// A selector as kubectl shows it; it may be a plain map of labels.
pub(crate) fn selector_text(selector: &Value) -> String {
    let is_map = !selector.get("matchLabels").is_some_and(Value::is_object)
        && !selector.get("matchExpressions").is_some_and(Value::is_array);
    let parsed = if is_map { Some(LabelSelector::from_map(selector)) } else { LabelSelector::from_json(selector) };
    match parsed.filter(|selector| !selector.is_empty()) {
        Some(selector) => selector.to_string(),
        None => "<none>".to_owned(),
    }
}

/// The condition of this type in `status.conditions`.
pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    list(object, "/status/conditions").iter().find(|condition| text(condition, "/type") == kind)
}

/// Refuses numbers below zero.
pub(crate) fn check_counts(object: &Value, fields: &[&str], found: &mut Causes) {
    for field in fields {
        let value = int(object, &format!("/spec/{field}"));
        if let Some(value) = value.filter(|value| *value < 0) {
            let path = Path::new("spec").child(field);
            found.push(Cause::invalid(&path, value, "must be greater than or equal to 0"));
        }
    }
}

/// What is wrong with the `spec.selector` of a Deployment or ReplicaSet.
pub(crate) fn check_selector(object: &Value, found: &mut Causes) {
    let path = Path::new("spec.selector");
    let selector = at(object, "/spec/selector");
    if selector.is_null() {
        found.push(Cause::required(&path, ""));
        return;
    }
    found.extend(validate_label_selector(selector, &path));
    if LabelSelector::from_json(selector).is_none_or(|selector| selector.is_empty()) {
        found.push(Cause::invalid(&path, selector.clone(), "empty selector is invalid for deployment"));
    }
}

/// What is wrong with changing the selector of a Deployment or ReplicaSet.
pub(crate) fn check_selector_kept(new: &Value, old: &Value) -> Vec<Cause> {
    let (wanted, held) = (at(new, "/spec/selector"), at(old, "/spec/selector"));
    if wanted == held {
        return Vec::new();
    }
    vec![Cause::invalid(&Path::new("spec.selector"), wanted.clone(), "field is immutable")]
}
