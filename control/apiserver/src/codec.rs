//! The one encoding of an object that all readers share.
//!
//! Stored bytes are JSON that begins with the metadata and has no `resourceVersion`, since the revision is known only after
//! the commit. The revision is then spliced in at an offset that is the same for every object.

use bytes::Bytes;
use serde_json::{Map, Value};

/// What every encoded object begins with; the revision goes right behind it.
const HEAD: &[u8] = b"{\"metadata\":{";

/// The bytes to store for an object. Its `resourceVersion` is left out.
pub(crate) fn encode(object: &Value) -> Bytes {
    let empty = Map::new();
    let fields = object.as_object().unwrap_or(&empty);
    let metadata = fields.get("metadata").and_then(Value::as_object).unwrap_or(&empty);
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(HEAD);
    let kept = metadata.iter().filter(|(key, _)| *key != "resourceVersion");
    members(&mut out, kept, true);
    out.push(b'}');
    members(&mut out, fields.iter().filter(|(key, _)| *key != "metadata"), false);
    out.push(b'}');
    out.into()
}

/// The object's bytes at a revision, as they are served.
pub(crate) fn splice(stored: &[u8], revision: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(stored.len() + 48);
    splice_into(&mut out, stored, revision);
    out
}

pub(crate) fn splice_into(out: &mut Vec<u8>, stored: &[u8], revision: u64) {
    let rest = stored.strip_prefix(HEAD).unwrap_or(b"}}");
    out.extend_from_slice(HEAD);
    out.extend_from_slice(format!("\"resourceVersion\":\"{revision}\"").as_bytes());
    if rest.first() != Some(&b'}') {
        out.push(b',');
    }
    out.extend_from_slice(rest);
}

/// The bytes as they were before `splice`.
pub(crate) fn unsplice(served: &[u8]) -> Vec<u8> {
    let mut out = HEAD.to_vec();
    let rest = served.strip_prefix(HEAD).unwrap_or_default();
    let quotes = rest.iter().enumerate().filter(|(_, byte)| **byte == b'"');
    let end = quotes.map(|(at, _)| at + 1).nth(3).unwrap_or_default();
    let rest = &rest[end..];
    out.extend_from_slice(rest.strip_prefix(b",").unwrap_or(rest));
    out
}

fn members<'a>(out: &mut Vec<u8>, fields: impl Iterator<Item = (&'a String, &'a Value)>, mut first: bool) {
    for (key, value) in fields {
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        serde_json::to_writer(&mut *out, key).expect("writing to memory does not fail");
        out.push(b':');
        serde_json::to_writer(&mut *out, value).expect("a JSON value has text keys");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_revision_goes_in_and_out() {
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": { "a": "\"metadata\":{" },
            "metadata": { "name": "x", "resourceVersion": "7", "labels": { "a": "b" } },
        });
        let stored = encode(&object);
        let served = splice(&stored, 42);
        let mut expected = object.clone();
        expected["metadata"]["resourceVersion"] = json!("42");
        assert_eq!(serde_json::from_slice::<Value>(&served).unwrap(), expected);
        assert_eq!(unsplice(&served), stored);
        assert!(!serde_json::from_slice::<Value>(&stored).unwrap()["metadata"]["resourceVersion"].is_string());
    }

    #[test]
    fn empty_metadata_stays_valid() {
        let stored = encode(&json!({ "metadata": {}, "kind": "X" }));
        let served: Value = serde_json::from_slice(&splice(&stored, 1)).unwrap();
        assert_eq!(served, json!({ "metadata": { "resourceVersion": "1" }, "kind": "X" }));
    }
}
