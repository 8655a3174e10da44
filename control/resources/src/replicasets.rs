//! ReplicaSets.

use crate::resource::{Resource, Scope, Subresource};
use crate::workload::{REPLICA_COLUMNS, SCALE, replica_cells};
use crate::{Column, Strategy};
use jiff::Timestamp;
use serde_json::Value;

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
    fn columns(&self) -> &'static [Column] {
        REPLICA_COLUMNS
    }

    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        replica_cells(object, now)
    }
}
