//! Deployments.

use crate::json::{at, int};
use crate::resource::{Resource, Scope, Subresource};
use crate::table::{AGE, NAME, age_cell, join_containers, name};
use crate::workload::{CONTAINERS, IMAGES, SCALE, selector_text};
use crate::{Column, Strategy};
use jiff::Timestamp;
use serde_json::Value;

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

struct Deployments;

impl Strategy for Deployments {
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
