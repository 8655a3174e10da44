//! Reading and filling in JSON objects without ever failing: what is absent, null or of another type reads as empty.

use serde_json::{Map, Value};

static NOTHING: Value = Value::Null;

/// The value at a JSON pointer without escapes, or null. `Value::pointer` would allocate for each step.
pub(crate) fn at<'a>(object: &'a Value, pointer: &str) -> &'a Value {
    pointer.split('/').skip(1).try_fold(object, step).unwrap_or(&NOTHING)
}

fn step<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Object(map) => map.get(name),
        Value::Array(items) => items.get(name.parse::<usize>().ok()?),
        _ => None,
    }
}

/// The text at a JSON pointer, or an empty one.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    at(object, pointer).as_str().unwrap_or_default()
}

/// The whole number at a JSON pointer.
pub(crate) fn int(object: &Value, pointer: &str) -> Option<i64> {
    at(object, pointer).as_i64()
}

/// Whether true stands at a JSON pointer.
pub(crate) fn flag(object: &Value, pointer: &str) -> bool {
    at(object, pointer).as_bool().unwrap_or(false)
}

/// The items of the array at a JSON pointer.
pub(crate) fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    at(object, pointer).as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The entries of the object at a JSON pointer.
pub(crate) fn entries<'a>(object: &'a Value, pointer: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    at(object, pointer).as_object().into_iter().flatten()
}

/// The entries of the object at a JSON pointer whose values are text, such as labels.
pub(crate) fn strings<'a>(object: &'a Value, pointer: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    entries(object, pointer).map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default()))
}

/// Whether something other than null stands at a JSON pointer.
pub(crate) fn has(object: &Value, pointer: &str) -> bool {
    !at(object, pointer).is_null()
}

/// Whether nothing, null, or something empty stands at a JSON pointer.
pub(crate) fn is_empty(object: &Value, pointer: &str) -> bool {
    match at(object, pointer) {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The object that stands at `field`, made if there is none; nothing when `object` or the field is of another type.
pub(crate) fn section<'a>(object: &'a mut Value, field: &str) -> Option<&'a mut Value> {
    let value = object.as_object_mut()?.entry(field.to_owned()).or_insert(Value::Null);
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    value.is_object().then_some(value)
}

/// The items of the array at a JSON pointer, to be changed.
pub(crate) fn items_mut<'a>(object: &'a mut Value, pointer: &str) -> impl Iterator<Item = &'a mut Value> {
    object.pointer_mut(pointer).and_then(Value::as_array_mut).into_iter().flatten()
}

/// Puts `value` at `field` unless something stands there.
pub(crate) fn fill(object: &mut Value, field: &str, value: impl Into<Value>) {
    let Some(map) = object.as_object_mut() else { return };
    let slot = map.entry(field.to_owned()).or_insert(Value::Null);
    if slot.is_null() {
        *slot = value.into();
    }
}

/// Puts `value` at `field` unless something other than an empty text stands there.
pub(crate) fn fill_text(object: &mut Value, field: &str, value: &str) {
    let Some(map) = object.as_object_mut() else { return };
    let slot = map.entry(field.to_owned()).or_insert(Value::Null);
    if slot.is_null() || slot.as_str() == Some("") {
        *slot = value.into();
    }
}

/// Puts `value` at `field`, whatever stands there.
pub(crate) fn set(object: &mut Value, field: &str, value: impl Into<Value>) {
    if let Some(map) = object.as_object_mut() {
        map.insert(field.to_owned(), value.into());
    }
}

/// Takes away `field`.
pub(crate) fn remove(object: &mut Value, field: &str) -> Option<Value> {
    object.as_object_mut()?.remove(field)
}
