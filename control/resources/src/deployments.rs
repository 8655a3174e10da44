//! Deployments.

use crate::cause::Causes;
use crate::json::{at, fill, fill_text, has, int, section, set, text};
use crate::pod_spec::{default_template, template_warnings, validate_template};
use crate::resource::{Resource, Scope, Subresource};
use crate::selector::LabelSelector;
use crate::strategy::carry_over;
use crate::table::{AGE, NAME, age_cell, join_containers, name};
use crate::workload::{CONTAINERS, IMAGES, SCALE, check_counts, check_selector, check_selector_kept, selector_text};
use crate::{Cause, Column, Path, Strategy};
use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) const DEPLOYMENTS: Resource = Resource {
    group: "apps",
    version: "v1",
    kind: "Deployment",
    plural: "deployments",
    singular: "deployment",
    short_names: &["deploy"],
    categories: &["all"],
    scope: Scope::Namespaced,
    subresources: &[Subresource::Status, SCALE],
    storage: "deployments",
    strategy: &Deployments,
};

const COLUMNS: &[Column] = &[
    NAME,
    Column::plain("Ready", "string", "Number of the pod with ready state"),
    Column::plain(
        "Up-to-date",
        "string",
        "Total number of non-terminating pods targeted by this deployment that have the desired template spec.",
    ),
    Column::plain(
        "Available",
        "string",
        "Total number of available non-terminating pods (ready for at least minReadySeconds) targeted by this deployment.",
    ),
    AGE,
    CONTAINERS,
    IMAGES,
    Column::wide(
        "Selector",
        "Label selector for pods. Existing ReplicaSets whose pods are selected by this will be the ones affected by this deployment.",
    ),
];

const COUNTS: &[&str] = &["replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"];

struct Deployments;

impl Strategy for Deployments {
    fn default(&self, object: &mut Value) {
        let Some(spec) = section(object, "spec") else { return };
        fill(spec, "replicas", 1);
        fill(spec, "revisionHistoryLimit", 10);
        fill(spec, "progressDeadlineSeconds", 600);
        default_strategy(spec);
        default_template(object);
    }

    fn prepare_create(&self, object: &mut Value, _now: Timestamp) {
        set(object, "status", json!({}));
    }

    fn prepare_status(&self, new: &mut Value, old: &Value) {
        carry_over(new, old, "spec");
        if let (Some(metadata), Some(held)) = (new.get_mut("metadata"), old.get("metadata")) {
            carry_over(metadata, held, "labels");
        }
    }

    /// Its annotations count as wishes too: a controller copies them to the ReplicaSet.
    fn wishes_differ(&self, new: &Value, old: &Value) -> bool {
        ["/spec", "/metadata/annotations"].iter().any(|pointer| at(new, pointer) != at(old, pointer))
    }

    fn validate(&self, object: &Value) -> Vec<Cause> {
        let mut found = Causes::default();
        check_counts(object, COUNTS, &mut found);
        check_selector(object, &mut found);
        check_strategy(at(object, "/spec/strategy"), &Path::new("spec.strategy"), &mut found);
        check_deadline(object, &mut found);
        found.extend(validate_template(object, LabelSelector::from_json(at(object, "/spec/selector"))));
        found.into_vec()
    }

    fn validate_update(&self, new: &Value, old: &Value) -> Vec<Cause> {
        check_selector_kept(new, old)
    }

    fn warnings(&self, object: &Value) -> Vec<String> {
        template_warnings(object)
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        let count = |pointer| int(object, pointer).unwrap_or(0);
        let template = at(object, "/spec/template/spec");
        vec![
            name(object),
            format!("{}/{}", count("/status/readyReplicas"), count("/spec/replicas")).into(),
            count("/status/updatedReplicas").into(),
            count("/status/availableReplicas").into(),
            age_cell(object, now),
            join_containers(template, "name"),
            join_containers(template, "image"),
            selector_text(at(object, "/spec/selector")).into(),
        ]
    }
}

fn default_strategy(spec: &mut Value) {
    let Some(strategy) = section(spec, "strategy") else { return };
    fill_text(strategy, "type", "RollingUpdate");
    if text(strategy, "/type") != "RollingUpdate" {
        return;
    }
    if let Some(rolling) = section(strategy, "rollingUpdate") {
        fill(rolling, "maxUnavailable", "25%");
        fill(rolling, "maxSurge", "25%");
    }
}

fn check_strategy(strategy: &Value, path: &Path, found: &mut Causes) {
    let rolling = path.child("rollingUpdate");
    match text(strategy, "/type") {
        "Recreate" if has(strategy, "/rollingUpdate") => {
            let detail = "may not be specified when strategy `type` is 'Recreate'";
            found.push(Cause::forbidden(&rolling, detail));
        }
        "RollingUpdate" if !has(strategy, "/rollingUpdate") => {
            found.push(Cause::required(&rolling, "this should be defaulted and never be nil"));
        }
        "RollingUpdate" => check_rolling(at(strategy, "/rollingUpdate"), &rolling, found),
        other => found.one_of(&path.child("type"), other, &["Recreate", "RollingUpdate"]),
    }
}

fn check_rolling(rolling: &Value, path: &Path, found: &mut Causes) {
    for field in ["maxUnavailable", "maxSurge"] {
        check_share(at(rolling, &format!("/{field}")), &path.child(field), found);
    }
    let unavailable = at(rolling, "/maxUnavailable");
    if share(unavailable) == Some(0) && share(at(rolling, "/maxSurge")) == Some(0) {
        let path = path.child("maxUnavailable");
        found.push(Cause::invalid(&path, unavailable.clone(), "may not be 0 when `maxSurge` is 0"));
    }
    if unavailable.is_string() && share(unavailable).is_some_and(|percent| percent > 100) {
        let path = path.child("maxUnavailable");
        found.push(Cause::invalid(&path, unavailable.clone(), "must not be greater than 100%"));
    }
}

fn check_share(value: &Value, path: &Path, found: &mut Causes) {
    match (value, share(value)) {
        (Value::String(_), None) => {
            let detail = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
            found.push(Cause::invalid(path, value.clone(), detail));
        }
        (_, Some(number)) if number < 0 => {
            found.push(Cause::invalid(path, value.clone(), "must be greater than or equal to 0"));
        }
        _ => {}
    }
}

/// A whole number, or the number in front of a percent sign.
fn share(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.strip_suffix('%')?.parse::<u32>().ok().map(i64::from),
        other => other.as_i64(),
    }
}

fn check_deadline(object: &Value, found: &mut Causes) {
    let ready = int(object, "/spec/minReadySeconds").unwrap_or(0);
    if let Some(deadline) = int(object, "/spec/progressDeadlineSeconds").filter(|deadline| *deadline <= ready) {
        let path = Path::new("spec.progressDeadlineSeconds");
        found.push(Cause::invalid(&path, deadline, "must be greater than minReadySeconds"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment() -> Value {
        let mut object = json!({
            "metadata": { "name": "web", "namespace": "default" },
            "spec": {
                "selector": { "matchLabels": { "app": "web" } },
                "template": { "metadata": { "labels": { "app": "web" } },
                    "spec": { "containers": [{ "name": "a", "image": "hello" }] } },
            },
        });
        Deployments.default(&mut object);
        object
    }

    #[test]
    fn defaults_are_those_of_kubernetes() {
        let object = deployment();
        let spec = &object["spec"];
        assert_eq!(spec["replicas"], 1);
        assert_eq!(spec["revisionHistoryLimit"], 10);
        assert_eq!(spec["progressDeadlineSeconds"], 600);
        let strategy =
            json!({ "type": "RollingUpdate", "rollingUpdate": { "maxUnavailable": "25%", "maxSurge": "25%" } });
        assert_eq!(spec["strategy"], strategy);
        assert_eq!(spec["template"]["spec"]["containers"][0]["imagePullPolicy"], "Always");
        assert_eq!(Deployments.validate(&object), []);
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let cases = [
            ("/spec/replicas", json!(-1), "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
            ("/spec/selector", Value::Null, "spec.selector: Required value"),
            ("/spec/selector", json!({}), "spec.selector: Invalid value: {}: empty selector is invalid for deployment"),
            (
                "/spec/template/metadata/labels",
                json!({ "app": "x" }),
                "spec.template.metadata.labels: Invalid value: {\"app\":\"x\"}: `selector` does not match template `labels`",
            ),
            (
                "/spec/strategy/type",
                json!("x"),
                "spec.strategy.type: Unsupported value: \"x\": supported values: \"Recreate\", \"RollingUpdate\"",
            ),
            (
                "/spec/strategy/type",
                json!("Recreate"),
                "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
            ),
            (
                "/spec/strategy/rollingUpdate",
                json!({ "maxSurge": 0, "maxUnavailable": "0%" }),
                "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"0%\": may not be 0 when `maxSurge` is 0",
            ),
            (
                "/spec/template/spec/restartPolicy",
                json!("Never"),
                "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
            ),
            (
                "/spec/progressDeadlineSeconds",
                json!(0),
                "spec.progressDeadlineSeconds: Invalid value: 0: must be greater than minReadySeconds",
            ),
        ];
        for (pointer, value, expected) in cases {
            let mut object = deployment();
            *object.pointer_mut(pointer).unwrap() = value;
            let found: Vec<_> =
                Deployments.validate(&object).iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
            assert_eq!(found, [expected]);
        }
    }

    #[test]
    fn annotations_count_as_wishes_and_labels_do_not() {
        let old = deployment();
        let mut new = old.clone();
        new["metadata"]["labels"] = json!({ "a": "b" });
        assert!(!Deployments.wishes_differ(&new, &old));
        new["metadata"]["annotations"] = json!({ "a": "b" });
        assert!(Deployments.wishes_differ(&new, &old));
    }

    #[test]
    fn the_selector_stays() {
        let old = deployment();
        let mut new = old.clone();
        new["spec"]["selector"]["matchLabels"] = json!({ "app": "other" });
        let found = Deployments.validate_update(&new, &old);
        assert_eq!(found[0].message, "Invalid value: {\"matchLabels\":{\"app\":\"other\"}}: field is immutable");
    }
}
