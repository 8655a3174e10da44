//! Label selectors as they stand in objects: `matchLabels` and `matchExpressions`.

use super::Requirement;
use crate::cause::Causes;
use crate::json::{list, strings, text};
use crate::meta::labels_at;
use crate::names;
use crate::{Cause, Path};
use serde_json::Value;

const OPERATORS: &[&str] = &["DoesNotExist", "Exists", "In", "NotIn"];

pub(super) fn requirements(selector: &Value) -> Vec<Requirement> {
    let mut all = equalities(selector.get("matchLabels").unwrap_or(&Value::Null));
    all.extend(list(selector, "/matchExpressions").iter().filter_map(requirement));
    all
}

pub(super) fn equalities(labels: &Value) -> Vec<Requirement> {
    strings(labels, "").map(|(key, value)| Requirement::In(key.to_owned(), vec![value.to_owned()])).collect()
}

fn requirement(expression: &Value) -> Option<Requirement> {
    let key = text(expression, "/key").to_owned();
    let values = || list(expression, "/values").iter().filter_map(Value::as_str).map(str::to_owned).collect();
    match text(expression, "/operator") {
        "In" => Some(Requirement::In(key, values())),
        "NotIn" => Some(Requirement::NotIn(key, values())),
        "Exists" => Some(Requirement::Exists(key)),
        "DoesNotExist" => Some(Requirement::Absent(key)),
        _ => None,
    }
}

/// What is wrong with a label selector that stands at `path`.
pub(crate) fn validate(selector: &Value, path: &Path) -> Vec<Cause> {
    let mut found = Causes::default();
    found.extend(labels_at(selector, "/matchLabels", &path.child("matchLabels")));
    for (index, expression) in list(selector, "/matchExpressions").iter().enumerate() {
        check_expression(expression, &path.child("matchExpressions").index(index), &mut found);
    }
    found.into_vec()
}

fn check_expression(expression: &Value, path: &Path, found: &mut Causes) {
    let (key, operator) = (text(expression, "/key"), text(expression, "/operator"));
    let values = list(expression, "/values");
    match operator {
        "In" | "NotIn" if values.is_empty() => {
            found.push(Cause::required(&path.child("values"), "must be specified when `operator` is 'In' or 'NotIn'"));
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            found.push(Cause::forbidden(&path.child("values"), detail));
        }
        _ if OPERATORS.contains(&operator) => {}
        _ => found.push(Cause::invalid(&path.child("operator"), operator, "not a valid selector operator")),
    }
    found.invalid_each(&path.child("key"), key, names::qualified_name(key));
    for (index, value) in values.iter().filter_map(Value::as_str).enumerate() {
        found.invalid_each(&path.child("values").index(index), value, names::label_value(value));
    }
}
