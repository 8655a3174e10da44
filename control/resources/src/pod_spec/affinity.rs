use crate::cause::Causes;
use crate::json::{at, has, int, list, text};
use crate::names;
use crate::selector::validate_label_selector;
use crate::{Cause, Path};
use serde_json::Value;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

pub(super) fn check_affinity(affinity: &Value, path: &Path, found: &mut Causes) {
    check_node_affinity(at(affinity, "/nodeAffinity"), &path.child("nodeAffinity"), found);
    for field in ["podAffinity", "podAntiAffinity"] {
        check_pod_affinity(at(affinity, &format!("/{field}")), &path.child(field), found);
    }
}

fn check_node_affinity(affinity: &Value, path: &Path, found: &mut Causes) {
    let required = format!("/{REQUIRED}");
    if has(affinity, &required) {
        check_node_selector(at(affinity, &required), &path.child(REQUIRED), found);
    }
    for (index, preferred) in list(affinity, &format!("/{PREFERRED}")).iter().enumerate() {
        let path = path.child(PREFERRED).index(index);
        check_weight(preferred, &path, found);
        check_node_term(at(preferred, "/preference"), &path.child("preference"), found);
    }
}

/// What is wrong with a choice of nodes.
pub(crate) fn check_node_selector(selector: &Value, path: &Path, found: &mut Causes) {
    let path = path.child("nodeSelectorTerms");
    let terms = list(selector, "/nodeSelectorTerms");
    if terms.is_empty() {
        found.push(Cause::required(&path, "must have at least one node selector term"));
    }
    for (index, term) in terms.iter().enumerate() {
        check_node_term(term, &path.index(index), found);
    }
}

fn check_weight(preferred: &Value, path: &Path, found: &mut Causes) {
    let weight = int(preferred, "/weight").unwrap_or(0);
    if !(1..=100).contains(&weight) {
        found.push(Cause::invalid(&path.child("weight"), weight, "must be in the range 1-100"));
    }
}

fn check_node_term(term: &Value, path: &Path, found: &mut Causes) {
    for (index, requirement) in list(term, "/matchExpressions").iter().enumerate() {
        let path = path.child("matchExpressions").index(index);
        let key = text(requirement, "/key");
        check_node_operator(requirement, &path, found);
        found.invalid_each(&path.child("key"), key, names::qualified_name(key));
    }
    for (index, requirement) in list(term, "/matchFields").iter().enumerate() {
        let path = path.child("matchFields").index(index);
        check_node_field(requirement, &path, found);
    }
}

fn check_node_operator(requirement: &Value, path: &Path, found: &mut Causes) {
    let values = list(requirement, "/values");
    let here = path.child("values");
    match text(requirement, "/operator") {
        "In" | "NotIn" if values.is_empty() => {
            found.push(Cause::required(&here, "must be specified when `operator` is 'In' or 'NotIn'"));
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            found.push(Cause::forbidden(&here, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
        }
        "Gt" | "Lt" if values.len() != 1 => {
            found.push(Cause::required(&here, "must be specified single value when `operator` is 'Lt' or 'Gt'"));
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
        other => found.push(Cause::invalid(&path.child("operator"), other, "not a valid selector operator")),
    }
}

fn check_node_field(requirement: &Value, path: &Path, found: &mut Causes) {
    match text(requirement, "/operator") {
        "In" | "NotIn" if list(requirement, "/values").len() != 1 => {
            let detail = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
            found.push(Cause::required(&path.child("values"), detail));
        }
        "In" | "NotIn" => {}
        other => found.push(Cause::invalid(&path.child("operator"), other, "not a valid selector operator")),
    }
    let key = text(requirement, "/key");
    if key != "metadata.name" {
        found.push(Cause::invalid(&path.child("key"), key, "not a valid field selector key"));
    }
}

fn check_pod_affinity(affinity: &Value, path: &Path, found: &mut Causes) {
    for (index, term) in list(affinity, &format!("/{REQUIRED}")).iter().enumerate() {
        check_pod_term(term, &path.child(REQUIRED).index(index), found);
    }
    for (index, preferred) in list(affinity, &format!("/{PREFERRED}")).iter().enumerate() {
        let path = path.child(PREFERRED).index(index);
        check_weight(preferred, &path, found);
        check_pod_term(at(preferred, "/podAffinityTerm"), &path.child("podAffinityTerm"), found);
    }
}

fn check_pod_term(term: &Value, path: &Path, found: &mut Causes) {
    for field in ["labelSelector", "namespaceSelector"] {
        found.extend(validate_label_selector(at(term, &format!("/{field}")), &path.child(field)));
    }
    for namespace in list(term, "/namespaces").iter().filter_map(Value::as_str) {
        found.invalid_each(&path.child("namespace"), namespace, names::dns1123_label(namespace));
    }
    match text(term, "/topologyKey") {
        "" => found.push(Cause::required(&path.child("topologyKey"), "can not be empty")),
        key => found.invalid_each(&path.child("topologyKey"), key, names::qualified_name(key)),
    }
}
