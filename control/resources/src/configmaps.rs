//! ConfigMaps.

use crate::cause::Causes;
use crate::json::{entries, flag};
use crate::names;
use crate::resource::{Resource, Scope};
use crate::table::{AGE, NAME, age_cell, name};
use crate::{Cause, Column, Path, Strategy};
use jiff::Timestamp;
use serde_json::Value;

pub(crate) const CONFIG_MAPS: Resource = Resource {
    group: "",
    version: "v1",
    kind: "ConfigMap",
    plural: "configmaps",
    singular: "configmap",
    short_names: &["cm"],
    categories: &[],
    scope: Scope::Namespaced,
    subresources: &[],
    storage: "configmaps",
    strategy: &ConfigMaps,
};

/// What all the values of a ConfigMap or Secret may take together, in bytes.
pub(crate) const CONTENT_LIMIT: usize = 1024 * 1024;

const COLUMNS: &[Column] = &[NAME, Column::plain("Data", "string", "Data contains the configuration data."), AGE];

struct ConfigMaps;

impl Strategy for ConfigMaps {
    fn has_generation(&self) -> bool {
        false
    }

    fn validate(&self, object: &Value) -> Vec<Cause> {
        let mut found = Causes::default();
        let (data, binary) = (Path::new("data"), Path::new("binaryData"));
        for (key, _) in entries(object, "/data") {
            found.invalid_each(&data.key(key), key, names::config_key(key));
            if object.get("binaryData").is_some_and(|binary| binary.get(key).is_some()) {
                found.push(Cause::invalid(&data.key(key), key.as_str(), "duplicate of key present in binaryData"));
            }
        }
        for (key, _) in entries(object, "/binaryData") {
            found.invalid_each(&binary.key(key), key, names::config_key(key));
        }
        if text_size(object, "/data") + decoded_size(object, "/binaryData") > CONTENT_LIMIT {
            found.push(Cause::too_long(&Path::default(), CONTENT_LIMIT));
        }
        found.into_vec()
    }

    fn validate_update(&self, new: &Value, old: &Value) -> Vec<Cause> {
        validate_immutable(new, old, &["data", "binaryData"])
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        let count = entries(object, "/data").count() + entries(object, "/binaryData").count();
        vec![name(object), count.to_string().into(), age_cell(object, now)]
    }
}

/// What is wrong with an update of a ConfigMap or Secret whose `immutable` is set.
pub(crate) fn validate_immutable(new: &Value, old: &Value, fields: &[&str]) -> Vec<Cause> {
    if !flag(old, "/immutable") {
        return Vec::new();
    }
    let detail = "field is immutable when `immutable` is set";
    let mut found = Causes::default();
    if !flag(new, "/immutable") {
        found.push(Cause::forbidden(&Path::new("immutable"), detail));
    }
    for field in fields {
        let same = entries(new, &format!("/{field}")).eq(entries(old, &format!("/{field}")));
        if !same {
            found.push(Cause::forbidden(&Path::new(field), detail));
        }
    }
    found.into_vec()
}

/// How many bytes the texts of a map have.
fn text_size(object: &Value, pointer: &str) -> usize {
    entries(object, pointer).map(|(_, value)| value.as_str().map_or(0, str::len)).sum()
}

/// How many bytes the base64 texts of a map stand for.
pub(crate) fn decoded_size(object: &Value, pointer: &str) -> usize {
    let size = |text: &str| text.len() / 4 * 3 - text.bytes().rev().take(2).filter(|byte| *byte == b'=').count();
    entries(object, pointer)
        .map(|(_, value)| value.as_str().map_or(0, |text| if text.len() < 4 { 0 } else { size(text) }))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn problems(object: Value) -> Vec<String> {
        ConfigMaps.validate(&object).into_iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
    }

    #[test]
    fn keys_and_size_are_checked() {
        assert!(problems(json!({ "data": { "key.name": "v" }, "binaryData": { "b": "AAAA" } })).is_empty());
        assert!(
            problems(json!({ "data": { "a b": "v" } }))[0]
                .starts_with("data[a b]: Invalid value: \"a b\": a valid config key")
        );
        let twice = json!({ "data": { "a": "" }, "binaryData": { "a": "" } });
        assert_eq!(problems(twice), ["data[a]: Invalid value: \"a\": duplicate of key present in binaryData"]);
        let full = json!({ "data": { "a": "x".repeat(CONTENT_LIMIT) } });
        assert!(problems(full.clone()).is_empty());
        let mut over = full;
        over["binaryData"] = json!({ "b": "AA==" });
        assert_eq!(problems(over), [": Too long: may not be more than 1048576 bytes"]);
    }

    #[test]
    fn an_immutable_map_stays() {
        let old = json!({ "immutable": true, "data": { "a": "1" } });
        let cases = [
            (json!({ "immutable": true, "data": { "a": "2" } }), "data"),
            (json!({ "data": { "a": "1" } }), "immutable"),
            (json!({ "immutable": true, "data": { "a": "1" }, "binaryData": { "b": "" } }), "binaryData"),
        ];
        for (new, field) in cases {
            let found = ConfigMaps.validate_update(&new, &old);
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(found[0].field, field);
            assert_eq!(found[0].message, "Forbidden: field is immutable when `immutable` is set");
        }
        assert_eq!(ConfigMaps.validate_update(&old, &json!({ "data": {} })), []);
    }

    #[test]
    fn base64_is_measured_decoded() {
        for (text, size) in [("", 0), ("YQ==", 1), ("YWI=", 2), ("YWJj", 3), ("=", 0)] {
            assert_eq!(decoded_size(&json!({ "d": { "a": text } }), "/d"), size, "{text}");
        }
    }
}
