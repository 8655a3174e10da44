//! ReplicaSets.

use crate::cause::Causes;
use crate::json::{at, fill, section, set};
use crate::pod_spec::{default_template, template_warnings, validate_template};
use crate::resource::{Resource, Scope, Subresource};
use crate::selector::LabelSelector;
use crate::workload::{REPLICA_COLUMNS, SCALE, check_counts, check_selector, check_selector_kept, replica_cells};
use crate::{Cause, Column, Strategy};
use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) const REPLICA_SETS: Resource = Resource {
    group: "apps",
    version: "v1",
    kind: "ReplicaSet",
    plural: "replicasets",
    singular: "replicaset",
    short_names: &["rs"],
    categories: &["all"],
    scope: Scope::Namespaced,
    subresources: &[Subresource::Status, SCALE],
    storage: "replicasets",
    strategy: &ReplicaSets,
};

struct ReplicaSets;

impl Strategy for ReplicaSets {
    fn default(&self, object: &mut Value) {
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
        check_selector(object, &mut found);
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
        REPLICA_COLUMNS
    }

    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        replica_cells(object, now)
    }
}
