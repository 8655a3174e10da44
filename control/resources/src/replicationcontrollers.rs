//! ReplicationControllers.

use crate::json::int;
use crate::resource::{Resource, Scope, Subresource};
use crate::workload::{REPLICA_COLUMNS, SCALE, replica_cells};
use crate::{Column, Strategy};
use jiff::Timestamp;
use serde_json::Value;

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
