//! The rules of `metadata`, which are the same for every kind.

use crate::cause::Causes;
use crate::json::{at, entries, flag, int, list, strings, text};
use crate::names;
use crate::{Cause, NameGrammar, Path, Resource, Scope};
use serde_json::Value;

/// Annotations may take this many bytes in all, keys and values.
const ANNOTATIONS_LIMIT: usize = 256 * 1024;
/// What a generated name ends in: letters and digits that form no words.
const SUFFIX_ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const SUFFIX_LENGTH: usize = 5;
const GENERATED_LIMIT: usize = 63;
/// Finalizers that may stand without a domain of their own.
const STANDARD_FINALIZERS: &[&str] = &["kubernetes", "orphan", "foregroundDeletion"];

/// What is wrong with the `metadata` of `object`, which is about to be stored as a `resource`.
pub fn validate_metadata(resource: &Resource, object: &Value) -> Vec<Cause> {
    let mut found = Causes::default();
    let metadata = at(object, "/metadata");
    let root = Path::new("metadata");
    check_names(resource, metadata, &root, &mut found);
    check_namespace(resource.scope, metadata, &root, &mut found);
    found.extend(validate_labels(metadata, &root));
    found.extend(validate_annotations(metadata, &root));
    check_owners(metadata, &root.child("ownerReferences"), &mut found);
    check_finalizers(metadata, &root.child("finalizers"), &mut found);
    found.into_vec()
}

/// What is wrong with replacing `old` by `new`, as far as their `metadata` goes.
pub fn validate_metadata_update(new: &Value, old: &Value) -> Vec<Cause> {
    let mut found = Causes::default();
    let root = Path::new("metadata");
    let fixed = ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"];
    for field in fixed {
        let (wanted, held) = (at(new, &format!("/metadata/{field}")), at(old, &format!("/metadata/{field}")));
        if wanted != held {
            found.push(Cause::invalid(&root.child(field), wanted.clone(), "field is immutable"));
        }
    }
    if !text(old, "/metadata/deletionTimestamp").is_empty() {
        let held = list(old, "/metadata/finalizers");
        let added: Vec<_> = list(new, "/metadata/finalizers").iter().filter(|f| !held.contains(f)).collect();
        if !added.is_empty() {
            let names = added.iter().map(|f| f.to_string()).collect::<Vec<_>>().join(", ");
            let detail = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{names}}}"
            );
            found.push(Cause::forbidden(&root.child("finalizers"), &detail));
        }
    }
    found.into_vec()
}

/// A name that begins with `base` (`metadata.generateName`) and ends in five random characters.
pub fn generated_name(base: &str) -> String {
    let room = GENERATED_LIMIT - SUFFIX_LENGTH;
    let mut kept = base.len().min(room);
    while !base.is_char_boundary(kept) {
        kept -= 1;
    }
    let suffix = (0..SUFFIX_LENGTH).map(|_| char::from(SUFFIX_ALPHABET[rand::random_range(0..SUFFIX_ALPHABET.len())]));
    base[..kept].chars().chain(suffix).collect()
}

/// What is wrong with the `labels` of a `metadata` that stands at `root`, such as a Pod template's.
pub(crate) fn validate_labels(metadata: &Value, root: &Path) -> Vec<Cause> {
    labels_at(metadata, "/labels", &root.child("labels"))
}

/// What is wrong with the labels at a pointer, such as a selector.
pub(crate) fn labels_at(object: &Value, pointer: &str, path: &Path) -> Vec<Cause> {
    let mut found = Causes::default();
    for (key, value) in strings(object, pointer) {
        found.invalid_each(path, key, names::qualified_name(key));
        found.invalid_each(path, value, names::label_value(value));
    }
    found.into_vec()
}

/// What is wrong with the `annotations` of a `metadata` that stands at `root`.
pub(crate) fn validate_annotations(metadata: &Value, root: &Path) -> Vec<Cause> {
    let mut found = Causes::default();
    let path = root.child("annotations");
    let mut size = 0;
    for (key, value) in strings(metadata, "/annotations") {
        found.invalid_each(&path, key, names::qualified_name(&key.to_lowercase()));
        size += key.len() + value.len();
    }
    if size > ANNOTATIONS_LIMIT {
        found.push(Cause::too_long(&path, ANNOTATIONS_LIMIT));
    }
    found.into_vec()
}

fn check_names(resource: &Resource, metadata: &Value, root: &Path, found: &mut Causes) {
    let grammar = resource.strategy.name_grammar();
    let base = text(metadata, "/generateName");
    if !base.is_empty() {
        found.invalid_each(&root.child("generateName"), base, name_problems(grammar, &masked(base)));
    }
    let name = text(metadata, "/name");
    if name.is_empty() {
        found.push(Cause::required(&root.child("name"), "name or generateName is required"));
    } else {
        found.invalid_each(&root.child("name"), name, name_problems(grammar, name));
    }
    if int(metadata, "/generation").is_some_and(|generation| generation < 0) {
        let value = at(metadata, "/generation").clone();
        found.push(Cause::invalid(&root.child("generation"), value, "must be greater than or equal to 0"));
    }
}

/// A prefix may end in a dash, since more comes after it.
fn masked(prefix: &str) -> String {
    match prefix.strip_suffix('-') {
        Some(rest) if !rest.is_empty() => format!("{rest}a"),
        _ => prefix.to_owned(),
    }
}

fn name_problems(grammar: NameGrammar, name: &str) -> Vec<String> {
    match grammar {
        NameGrammar::Subdomain => names::dns1123_subdomain(name),
        NameGrammar::Label => names::dns1123_label(name),
        NameGrammar::Label1035 => names::dns1035_label(name),
    }
}

fn check_namespace(scope: Scope, metadata: &Value, root: &Path, found: &mut Causes) {
    let path = root.child("namespace");
    let namespace = text(metadata, "/namespace");
    match scope {
        Scope::Cluster if !namespace.is_empty() => found.push(Cause::forbidden(&path, "not allowed on this type")),
        Scope::Cluster => {}
        Scope::Namespaced if namespace.is_empty() => found.push(Cause::required(&path, "")),
        Scope::Namespaced => found.invalid_each(&path, namespace, names::dns1123_label(namespace)),
    }
}

fn check_owners(metadata: &Value, path: &Path, found: &mut Causes) {
    let owners = list(metadata, "/ownerReferences");
    let mut controller: Option<&str> = None;
    for (index, owner) in owners.iter().enumerate() {
        let here = path.index(index);
        let version = text(owner, "/apiVersion");
        if version.rsplit('/').next().is_none_or(str::is_empty) {
            found.push(Cause::invalid(&here.child("apiVersion"), version, "version must not be empty"));
        }
        for field in ["kind", "name", "uid"] {
            let value = text(owner, &format!("/{field}"));
            if value.is_empty() {
                found.push(Cause::invalid(&here.child(field), value, "must not be empty"));
            }
        }
        if version == "v1" && text(owner, "/kind") == "Event" {
            found.push(Cause::invalid(&here, owner.clone(), "/v1, Kind=Event is disallowed from being an owner"));
        }
        if flag(owner, "/controller") {
            if let Some(first) = controller {
                let detail = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {}",
                    text(owner, "/name")
                );
                found.push(Cause::invalid(path, at(metadata, "/ownerReferences").clone(), &detail));
            }
            controller.get_or_insert(text(owner, "/name"));
        }
    }
}

fn check_finalizers(metadata: &Value, path: &Path, found: &mut Causes) {
    let finalizers = list(metadata, "/finalizers");
    for (index, finalizer) in finalizers.iter().enumerate() {
        let name = finalizer.as_str().unwrap_or_default();
        found.extend(finalizer_problems(name, path, index));
    }
    let has = |name: &str| finalizers.iter().any(|finalizer| finalizer == name);
    if has("orphan") && has("foregroundDeletion") {
        let detail = "finalizer set \"orphan\" and \"foregroundDeletion\" cannot be both set";
        found.push(Cause::invalid(path, at(metadata, "/finalizers").clone(), detail));
    }
}

fn finalizer_problems(name: &str, path: &Path, index: usize) -> Vec<Cause> {
    let problems = names::qualified_name(name);
    if !problems.is_empty() {
        return problems.iter().map(|problem| Cause::invalid(path, name, problem)).collect();
    }
    if name.contains('/') || STANDARD_FINALIZERS.contains(&name) {
        return Vec::new();
    }
    let detail = "name is neither a standard finalizer name nor is it fully qualified";
    vec![Cause::invalid(&path.index(index), name, detail)]
}

/// The labels of an object.
pub fn labels(object: &Value) -> impl Iterator<Item = (&str, &str)> {
    entries(object, "/metadata/labels").map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::all;
    use serde_json::json;

    fn problems(kind: &str, metadata: Value) -> Vec<String> {
        let resource = all().iter().find(|resource| resource.kind == kind).unwrap();
        let found = validate_metadata(resource, &json!({ "metadata": metadata }));
        found.into_iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
    }

    #[test]
    fn names_follow_the_kind() {
        let cases = [
            ("ConfigMap", "a.b", true),
            ("Service", "a.b", false),
            ("Service", "1a", false),
            ("ConfigMap", "A", false),
        ];
        for (kind, name, good) in cases {
            let found = problems(kind, json!({ "name": name, "namespace": "default" }));
            assert_eq!(found.is_empty(), good, "{kind} {name}: {found:?}");
        }
        assert_eq!(problems("Namespace", json!({ "name": "a.b" })).len(), 1);
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let cases = [
            (json!({}), "metadata.name: Required value: name or generateName is required"),
            (
                json!({ "name": "a", "labels": { "a": "-" } }),
                "metadata.labels: Invalid value: \"-\": a valid label must be an empty string or consist of",
            ),
            (
                json!({ "name": "a", "annotations": { "/": "" } }),
                "metadata.annotations: Invalid value: \"/\": prefix part must be non-empty",
            ),
            (
                json!({ "name": "a", "annotations": { "a": "x".repeat(ANNOTATIONS_LIMIT) } }),
                "metadata.annotations: Too long: may not be more than 262144 bytes",
            ),
            (
                json!({ "name": "a", "finalizers": ["mine"] }),
                "metadata.finalizers[0]: Invalid value: \"mine\": name is neither a standard finalizer name nor is it fully qualified",
            ),
            (
                json!({ "name": "a", "ownerReferences": [{ "apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "" }] }),
                "metadata.ownerReferences[0].uid: Invalid value: \"\": must not be empty",
            ),
            (
                json!({ "name": "a", "generateName": "B-" }),
                "metadata.generateName: Invalid value: \"B-\": a lowercase RFC 1123",
            ),
        ];
        for (mut metadata, expected) in cases {
            metadata["namespace"] = json!("default");
            let found = problems("ConfigMap", metadata);
            assert!(found[0].starts_with(expected), "{found:?}");
        }
        assert_eq!(
            problems("Node", json!({ "name": "a", "namespace": "b" })),
            ["metadata.namespace: Forbidden: not allowed on this type"]
        );
    }

    #[test]
    fn generated_names_keep_within_the_limit() {
        let name = generated_name("web-");
        assert!(name.starts_with("web-") && name.len() == 9, "{name}");
        assert!(name[4..].bytes().all(|byte| SUFFIX_ALPHABET.contains(&byte)), "{name}");
        assert_eq!(generated_name(&"a".repeat(100)).len(), GENERATED_LIMIT);
        assert!(generated_name(&"é".repeat(100)).len() <= GENERATED_LIMIT);
        assert!(problems("Pod", json!({ "name": "web-a", "generateName": "web-", "namespace": "a" })).is_empty());
    }

    #[test]
    fn what_names_an_object_stays() {
        let old = json!({ "metadata": { "name": "a", "uid": "1", "deletionTimestamp": "t", "finalizers": ["x/y"] } });
        let mut new = old.clone();
        new["metadata"]["uid"] = json!("2");
        new["metadata"]["finalizers"] = json!(["x/y", "x/z"]);
        let found = validate_metadata_update(&new, &old);
        assert_eq!(found[0].message, "Invalid value: \"2\": field is immutable");
        assert_eq!(
            found[1].message,
            "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\"x/z\"}"
        );
        assert_eq!(validate_metadata_update(&old, &old), []);
    }
}
