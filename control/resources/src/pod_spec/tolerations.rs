use crate::cause::Causes;
use crate::json::{has, text};
use crate::names;
use crate::{Cause, Path};
use serde_json::Value;

const EFFECTS: &[&str] = &["NoExecute", "NoSchedule", "PreferNoSchedule"];

pub(super) fn check_tolerations(tolerations: &[Value], path: &Path, found: &mut Causes) {
    for (index, toleration) in tolerations.iter().enumerate() {
        check_toleration(toleration, &path.index(index), found);
    }
}

fn check_toleration(toleration: &Value, path: &Path, found: &mut Causes) {
    let (key, operator) = (text(toleration, "/key"), text(toleration, "/operator"));
    let (value, effect) = (text(toleration, "/value"), text(toleration, "/effect"));
    if !key.is_empty() {
        found.invalid_each(&path.child("key"), key, names::qualified_name(key));
    } else if operator != "Exists" {
        let detail = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
        found.push(Cause::invalid(&path.child("operator"), operator, detail));
    }
    if has(toleration, "/tolerationSeconds") && effect != "NoExecute" {
        let detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
        found.push(Cause::invalid(&path.child("effect"), effect, detail));
    }
    match operator {
        "" | "Equal" => found.invalid_each(&path.child("operator"), value, names::label_value(value)),
        "Exists" if !value.is_empty() => {
            let detail = "value must be empty when `operator` is 'Exists'";
            found.push(Cause::invalid(&path.child("operator"), value, detail));
        }
        _ => found.one_of(&path.child("operator"), operator, &["Equal", "Exists"]),
    }
    if !effect.is_empty() {
        check_taint_effect(effect, &path.child("effect"), found);
    }
}

/// What is wrong with a taint's effect.
pub(crate) fn check_taint_effect(effect: &str, path: &Path, found: &mut Causes) {
    found.one_of(path, effect, EFFECTS);
}
