//! Secrets.

use crate::cause::Causes;
use crate::configmaps::{CONTENT_LIMIT, decoded_size, validate_immutable};
use crate::json::{entries, fill_text, has, remove, section, text};
use crate::names;
use crate::resource::{Resource, Scope};
use crate::table::{AGE, NAME, age_cell, name};
use crate::{Cause, Column, Path, Strategy};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::Value;

pub(crate) const SECRETS: Resource = Resource {
    group: "",
    version: "v1",
    kind: "Secret",
    plural: "secrets",
    singular: "secret",
    short_names: &[],
    categories: &[],
    scope: Scope::Namespaced,
    subresources: &[],
    storage: "secrets",
    strategy: &Secrets,
};

const COLUMNS: &[Column] = &[
    NAME,
    Column::plain("Type", "string", "Used to facilitate programmatic handling of secret data."),
    Column::plain("Data", "string", "Data contains the secret data."),
    AGE,
];

const TOKEN_TYPE: &str = "kubernetes.io/service-account-token";
const TOKEN_ACCOUNT: &str = "kubernetes.io/service-account.name";

/// Keys that a type demands.
const DEMANDED: &[(&str, &[&str])] = &[
    ("kubernetes.io/dockercfg", &[".dockercfg"]),
    ("kubernetes.io/dockerconfigjson", &[".dockerconfigjson"]),
    ("kubernetes.io/ssh-auth", &["ssh-privatekey"]),
    ("kubernetes.io/tls", &["tls.crt", "tls.key"]),
];

struct Secrets;

impl Strategy for Secrets {
    fn default(&self, object: &mut Value) {
        fill_text(object, "type", "Opaque");
        let Some(Value::Object(plain)) = remove(object, "stringData") else { return };
        if plain.is_empty() {
            return;
        }
        let Some(data) = section(object, "data").and_then(Value::as_object_mut) else { return };
        for (key, value) in plain {
            data.insert(key, STANDARD.encode(value.as_str().unwrap_or_default()).into());
        }
    }

    fn has_generation(&self) -> bool {
        false
    }

    fn validate(&self, object: &Value) -> Vec<Cause> {
        let mut found = Causes::default();
        let data = Path::new("data");
        for (key, value) in entries(object, "/data") {
            found.invalid_each(&data.key(key), key, names::config_key(key));
            if value.as_str().is_some_and(|text| STANDARD.decode(text).is_err()) {
                found.push(Cause::invalid(&data.key(key), "<secret contents redacted>", "must be base64"));
            }
        }
        if decoded_size(object, "/data") > CONTENT_LIMIT {
            found.push(Cause::too_long(&data, CONTENT_LIMIT));
        }
        check_type(object, &mut found);
        found.into_vec()
    }

    fn validate_update(&self, new: &Value, old: &Value) -> Vec<Cause> {
        let mut found = Causes::default();
        if text(new, "/type") != text(old, "/type") {
            found.push(Cause::invalid(&Path::new("type"), text(new, "/type"), "field is immutable"));
        }
        found.extend(validate_immutable(new, old, &["data"]));
        found.into_vec()
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        let count = entries(object, "/data").count();
        vec![name(object), text(object, "/type").into(), count.to_string().into(), age_cell(object, now)]
    }

    fn selectable_fields(&self, object: &Value) -> Vec<(&'static str, String)> {
        vec![("type", text(object, "/type").to_owned())]
    }
}

fn check_type(object: &Value, found: &mut Causes) {
    let data = Path::new("data");
    let kind = text(object, "/type");
    for key in DEMANDED.iter().filter(|(demanding, _)| *demanding == kind).flat_map(|(_, keys)| *keys) {
        if object.get("data").is_none_or(|data| data.get(key).is_none()) {
            found.push(Cause::required(&data.key(key), ""));
        }
    }
    if kind == "kubernetes.io/basic-auth" && !has(object, "/data/username") && !has(object, "/data/password") {
        found.push(Cause::required(&data.key("username"), ""));
        found.push(Cause::required(&data.key("password"), ""));
    }
    let account = object.pointer("/metadata/annotations").and_then(|all| all.get(TOKEN_ACCOUNT));
    if kind == TOKEN_TYPE && account.and_then(Value::as_str).is_none_or(str::is_empty) {
        found.push(Cause::required(&Path::new("metadata").child("annotations").key(TOKEN_ACCOUNT), ""));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn plain_text_becomes_data() {
        let mut secret = json!({ "data": { "a": "YQ==", "b": "Yg==" }, "stringData": { "a": "new" } });
        Secrets.default(&mut secret);
        assert_eq!(secret, json!({ "type": "Opaque", "data": { "a": "bmV3", "b": "Yg==" } }));
    }

    #[test]
    fn types_demand_their_keys() {
        let cases = [
            (json!({ "type": "kubernetes.io/tls", "data": { "tls.crt": "" } }), "data[tls.key]"),
            (json!({ "type": "kubernetes.io/basic-auth" }), "data[username]"),
            (json!({ "type": TOKEN_TYPE }), "metadata.annotations[kubernetes.io/service-account.name]"),
            (json!({ "type": "Opaque", "data": { "a": "?" } }), "data[a]"),
        ];
        for (secret, field) in cases {
            assert_eq!(Secrets.validate(&secret)[0].field, field, "{secret}");
        }
        assert_eq!(Secrets.validate(&json!({ "type": "Opaque", "data": { "a": "YQ==" } })), []);
    }

    #[test]
    fn the_type_stays() {
        let (old, new) = (json!({ "type": "Opaque" }), json!({ "type": "other" }));
        assert_eq!(Secrets.validate_update(&new, &old)[0].message, "Invalid value: \"other\": field is immutable");
    }
}
