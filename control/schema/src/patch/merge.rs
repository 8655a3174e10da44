//! RFC 7386: what the patch names replaces what is there, null removes it.

use serde_json::{Map, Value};

use super::PatchError;

/// Applies a JSON merge patch.
///
/// # Errors
/// [`PatchError::Malformed`] when the patch is no object: it would replace the whole object.
pub fn merge(current: &Value, patch: &Value) -> Result<Value, PatchError> {
    let Value::Object(entries) = patch else {
        return Err(PatchError::malformed("a merge patch is a JSON object"));
    };
    let mut object = current.clone();
    merge_entries(&mut object, entries);
    Ok(object)
}

fn merge_value(target: &mut Value, patch: &Value) {
    match patch {
        Value::Object(entries) => merge_entries(target, entries),
        _ => *target = patch.clone(),
    }
}

fn merge_entries(target: &mut Value, patch: &Map<String, Value>) {
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            merge_value(target.entry(key.as_str()).or_insert(Value::Null), value);
        }
    }
}
