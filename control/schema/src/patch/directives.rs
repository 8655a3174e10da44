//! The words of a strategic merge patch that are not data.

use serde_json::{Map, Value};

use super::PatchError;

pub(super) const PATCH: &str = "$patch";
pub(super) const RETAIN_KEYS: &str = "$retainKeys";
pub(super) const DELETE_FROM_LIST: &str = "$deleteFromPrimitiveList/";
pub(super) const SET_ELEMENT_ORDER: &str = "$setElementOrder/";

/// What `$patch` of an object says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Directive {
    Merge,
    Replace,
    Delete,
}

pub(super) fn directive(patch: &Map<String, Value>) -> Result<Directive, PatchError> {
    match patch.get(PATCH).map(Value::as_str) {
        None | Some(Some("merge")) => Ok(Directive::Merge),
        Some(Some("replace")) => Ok(Directive::Replace),
        Some(Some("delete")) => Ok(Directive::Delete),
        Some(_) => Err(PatchError::Malformed(format!(
            "unknown patch type {} found in map: $patch is one of merge, replace and delete",
            patch.get(PATCH).unwrap_or(&Value::Null)
        ))),
    }
}

pub(super) fn is_directive(key: &str) -> bool {
    key == PATCH || key == RETAIN_KEYS || key.starts_with(DELETE_FROM_LIST) || key.starts_with(SET_ELEMENT_ORDER)
}

/// The data of a patch, for a place where nothing is yet: without directives, nulls in objects, and what is to be deleted.
pub(super) fn data(patch: &Value) -> Option<Value> {
    match patch {
        Value::Object(entries) if entries.get(PATCH).is_some_and(|word| word == "delete") => None,
        Value::Object(entries) => Some(Value::Object(entries_data(entries))),
        Value::Array(items) => Some(Value::Array(items.iter().filter_map(data).collect())),
        other => Some(other.clone()),
    }
}

pub(super) fn entries_data(entries: &Map<String, Value>) -> Map<String, Value> {
    let kept = entries.iter().filter(|(key, value)| !is_directive(key) && !value.is_null());
    kept.filter_map(|(key, value)| Some((key.clone(), data(value)?))).collect()
}

/// The value of a directive that is a list.
pub(super) fn list<'a>(key: &str, value: &'a Value) -> Result<&'a [Value], PatchError> {
    match value {
        Value::Array(items) => Ok(items),
        _ => Err(PatchError::Malformed(format!("{key} is not a list"))),
    }
}

/// `$retainKeys` removes every key it does not name; the patch may not set such a key at the same time.
pub(super) fn retain_keys(target: &mut Map<String, Value>, patch: &Map<String, Value>) -> Result<(), PatchError> {
    let Some(keys) = patch.get(RETAIN_KEYS) else { return Ok(()) };
    let keys = list(RETAIN_KEYS, keys)?;
    let retained = |key: &str| keys.iter().any(|retained| retained == key);
    let stray = patch.iter().find(|(key, value)| !is_directive(key) && !value.is_null() && !retained(key));
    if let Some((key, _)) = stray {
        return Err(PatchError::Malformed(format!("{RETAIN_KEYS} does not contain {key:?}, which the patch sets")));
    }
    target.retain(|key, _| retained(key));
    Ok(())
}
