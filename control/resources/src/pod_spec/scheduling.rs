use crate::cause::Causes;
use crate::json::{at, int, list, text};
use crate::names;
use crate::selector::validate_label_selector;
use crate::{Cause, Path};
use serde_json::Value;
use std::collections::BTreeSet;

pub(super) fn check_spread(spec: &Value, path: &Path, found: &mut Causes) {
    for (index, constraint) in list(spec, "/topologySpreadConstraints").iter().enumerate() {
        let path = path.index(index);
        let skew = int(constraint, "/maxSkew").unwrap_or(0);
        if skew <= 0 {
            found.push(Cause::invalid(&path.child("maxSkew"), skew, "must be greater than zero"));
        }
        if text(constraint, "/topologyKey").is_empty() {
            found.push(Cause::required(&path.child("topologyKey"), "can not be empty"));
        }
        let unsatisfiable = text(constraint, "/whenUnsatisfiable");
        found.one_of(&path.child("whenUnsatisfiable"), unsatisfiable, &["DoNotSchedule", "ScheduleAnyway"]);
        found.extend(validate_label_selector(at(constraint, "/labelSelector"), &path.child("labelSelector")));
    }
}

/// Scheduling gates and readiness gates.
pub(super) fn check_gates(spec: &Value, path: &Path, found: &mut Causes) {
    let mut seen = BTreeSet::new();
    for (index, gate) in list(spec, "/schedulingGates").iter().enumerate() {
        let path = path.child("schedulingGates").index(index);
        let name = text(gate, "/name");
        found.invalid_each(&path, name, names::qualified_name(name));
        if !seen.insert(name) {
            found.push(Cause::duplicate(&path, name));
        }
    }
    for (index, gate) in list(spec, "/readinessGates").iter().enumerate() {
        let kind = text(gate, "/conditionType");
        let path = path.child("readinessGates").index(index).child("conditionType");
        found.invalid_each(&path, kind, names::qualified_name(kind));
    }
}
