//! Leases.

use crate::cause::Causes;
use crate::json::{at, int, text};
use crate::resource::{Resource, Scope};
use crate::table::{AGE, NAME, age_cell, name};
use crate::{Cause, Column, Path, Strategy};
use jiff::Timestamp;
use serde_json::Value;

pub(crate) const LEASES: Resource = Resource {
    group: "coordination.k8s.io",
    version: "v1",
    kind: "Lease",
    plural: "leases",
    singular: "lease",
    short_names: &[],
    categories: &[],
    scope: Scope::Namespaced,
    subresources: &[],
    storage: "leases",
    strategy: &Leases,
};

const COLUMNS: &[Column] = &[
    NAME,
    Column::plain("Holder", "string", "holderIdentity contains the identity of the holder of a current lease."),
    AGE,
];

struct Leases;

impl Strategy for Leases {
    fn has_generation(&self) -> bool {
        false
    }

    fn validate(&self, lease: &Value) -> Vec<Cause> {
        let mut found = Causes::default();
        let spec = Path::new("spec");
        let duration = int(lease, "/spec/leaseDurationSeconds");
        if duration.is_some_and(|seconds| seconds <= 0) {
            let value = at(lease, "/spec/leaseDurationSeconds").clone();
            found.push(Cause::invalid(&spec.child("leaseDurationSeconds"), value, "must be greater than 0"));
        }
        let transitions = int(lease, "/spec/leaseTransitions");
        if transitions.is_some_and(|count| count < 0) {
            let value = at(lease, "/spec/leaseTransitions").clone();
            found.push(Cause::invalid(&spec.child("leaseTransitions"), value, "must be greater than or equal to 0"));
        }
        found.into_vec()
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn cells(&self, lease: &Value, now: Timestamp) -> Vec<Value> {
        vec![name(lease), text(lease, "/spec/holderIdentity").into(), age_cell(lease, now)]
    }
}
