//! ReplicationControllers.

use crate::cause::Causes;
use crate::json::{at, fill, int, is_empty, section, set};
use crate::pod_spec::{default_template, template_warnings, validate_template};
use crate::resource::{Resource, Scope, Subresource};
use crate::selector::LabelSelector;
use crate::workload::{REPLICA_COLUMNS, SCALE, check_counts, replica_cells};
use crate::{Cause, Column, Path, Strategy};
use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) const REPLICATION_CONTROLLERS: Resource = Resource {
    group: "",
    version: "v1",
    kind: "ReplicationController",
    plural: "replicationcontrollers",
    singular: "replicationcontroller",
    short_names: &["rc"],
    categories: &["all"],
    scope: Scope::Namespaced,
    subresources: &[Subresource::Status, SCALE],
    storage: "replicationcontrollers",
    strategy: &ReplicationControllers,
};

struct ReplicationControllers;

impl Strategy for ReplicationControllers {
    fn default(&self, object: &mut Value) {
        default_labels(object);
        let Some(spec) = section(object, "spec") else { return };
        fill(spec, "replicas", 1);
        default_template(object);
    }

    fn prepare_create(&self, object: &mut Value, _now: Timestamp) {
        set(object, "status", json!({ "replicas": 0 }));
    }

    fn validate(&self, object: &Value) -> Vec<Cause> {
        let mut found = Causes::default();
        check_counts(object, &["replicas", "minReadySeconds"], &mut found);
        let selector = at(object, "/spec/selector");
        if is_empty(object, "/spec/selector") {
            found.push(Cause::required(&Path::new("spec.selector"), ""));
        }
        if is_empty(object, "/spec/template") {
            found.push(Cause::required(&Path::new("spec.template"), ""));
        } else {
            found.extend(validate_template(object, Some(LabelSelector::from_map(selector))));
        }
        found.into_vec()
    }

    fn warnings(&self, object: &Value) -> Vec<String> {
        template_warnings(object)
    }

    fn columns(&self) -> &'static [Column] {
        REPLICA_COLUMNS
    }

    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        replica_cells(object, now)
    }

    fn selectable_fields(&self, object: &Value) -> Vec<(&'static str, String)> {
        vec![("status.replicas", int(object, "/status/replicas").unwrap_or(0).to_string())]
    }
}

/// Labels and selector are those of the template unless they are given.
fn default_labels(object: &mut Value) {
    let labels = at(object, "/spec/template/metadata/labels").clone();
    if labels.as_object().is_none_or(|labels| labels.is_empty()) {
        return;
    }
    for (parent, field) in [("spec", "selector"), ("metadata", "labels")] {
        if is_empty(object, &format!("/{parent}/{field}"))
            && let Some(parent) = section(object, parent)
        {
            set(parent, field, labels.clone());
        }
    }
}
