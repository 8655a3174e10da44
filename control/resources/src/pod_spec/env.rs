//! Environment variables and where their values come from.

use crate::cause::Causes;
use crate::json::{at, has, text};
use crate::names;
use crate::quantity::Quantity;
use crate::{Cause, Path};
use serde_json::Value;

const FIELDS: &[&str] = &[
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
const RESOURCES: &[&str] = &[
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];
const CPU_DIVISORS: &[&str] = &["1m", "1"];
const BYTE_DIVISORS: &[&str] = &["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];
const SOURCES: [&str; 5] = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];

pub(super) fn check_env(variables: &[Value], path: &Path, found: &mut Causes) {
    for (index, variable) in variables.iter().enumerate() {
        let path = path.index(index);
        let name = text(variable, "/name");
        if name.is_empty() {
            found.push(Cause::required(&path.child("name"), ""));
        } else {
            found.invalid_each(&path.child("name"), name, names::env_name(name));
        }
        if let Some(from) = variable.get("valueFrom").filter(|from| from.is_object()) {
            check_value_from(from, text(variable, "/value"), &path.child("valueFrom"), found);
        }
    }
}

fn check_value_from(from: &Value, value: &str, path: &Path, found: &mut Causes) {
    let sources = SOURCES.iter().filter(|source| has(from, &format!("/{source}"))).count();
    if sources == 0 {
        let detail = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`";
        found.push(Cause::invalid(path, "", detail));
    } else if !value.is_empty() {
        found.push(Cause::invalid(path, "", "may not be specified when `value` is not empty"));
    } else if sources > 1 {
        found.push(Cause::invalid(path, "", "may not have more than one field specified at a time"));
    }
    if let Some(field) = from.get("fieldRef").filter(|field| field.is_object()) {
        check_field_ref(field, &path.child("fieldRef"), found);
    }
    if let Some(resource) = from.get("resourceFieldRef").filter(|resource| resource.is_object()) {
        check_resource_ref(resource, &path.child("resourceFieldRef"), found);
    }
    for source in ["configMapKeyRef", "secretKeyRef"] {
        if let Some(key) = from.get(source).filter(|key| key.is_object()) {
            check_key_ref(key, &path.child(source), found);
        }
    }
}

/// `fieldRef` of an environment variable.
fn check_field_ref(field: &Value, path: &Path, found: &mut Causes) {
    if text(field, "/apiVersion").is_empty() {
        found.push(Cause::required(&path.child("apiVersion"), ""));
    }
    let here = path.child("fieldPath");
    match text(field, "/fieldPath") {
        "" => found.push(Cause::required(&here, "")),
        one if is_subscript(one) => {}
        one => found.one_of(&here, one, FIELDS),
    }
}

/// `metadata.labels['key']` or `metadata.annotations['key']`.
pub(super) fn is_subscript(field: &str) -> bool {
    let inner = field.strip_suffix("']");
    inner.is_some_and(|rest| {
        rest.strip_prefix("metadata.labels['")
            .or_else(|| rest.strip_prefix("metadata.annotations['"))
            .is_some_and(|key| !key.is_empty())
    })
}

pub(super) fn check_resource_ref(resource: &Value, path: &Path, found: &mut Causes) {
    match text(resource, "/resource") {
        "" => found.push(Cause::required(&path.child("resource"), "")),
        one if one.contains(".hugepages-") => {}
        one => found.one_of(&path.child("resource"), one, RESOURCES),
    }
    check_divisor(resource, &path.child("divisor"), found);
}

fn check_divisor(resource: &Value, path: &Path, found: &mut Causes) {
    let name = text(resource, "/resource");
    let (kind, supported) = match name.split_once('.').map(|(_, kind)| kind) {
        Some("cpu") => ("cpu", CPU_DIVISORS),
        Some("memory") => ("memory", BYTE_DIVISORS),
        Some("ephemeral-storage") => ("local ephemeral storage", BYTE_DIVISORS),
        _ => return,
    };
    let same = |one: &&str| Quantity::parse(one).ok() == Quantity::from_json(at(resource, "/divisor")).ok();
    if has(resource, "/divisor") && !supported.iter().chain(&["0"]).any(same) {
        let (last, rest) = supported.split_last().unwrap_or((&"", &[]));
        let choice = format!("{} and {last}", rest.join(", "));
        let detail = format!("only divisor's values {choice} are supported with the {kind} resource");
        found.push(Cause::invalid(path, name, &detail));
    }
}

fn check_key_ref(reference: &Value, path: &Path, found: &mut Causes) {
    if text(reference, "/name").is_empty() {
        found.push(Cause::required(&path.child("name"), ""));
    }
    match text(reference, "/key") {
        "" => found.push(Cause::required(&path.child("key"), "")),
        key => found.invalid_each(&path.child("key"), key, names::config_key(key)),
    }
}

pub(super) fn check_env_from(sources: &[Value], path: &Path, found: &mut Causes) {
    for (index, source) in sources.iter().enumerate() {
        let path = path.index(index);
        let prefix = text(source, "/prefix");
        if !prefix.is_empty() {
            found.invalid_each(&path.child("prefix"), prefix, names::env_name(prefix));
        }
        let given: Vec<_> =
            ["configMapRef", "secretRef"].into_iter().filter(|one| has(source, &format!("/{one}"))).collect();
        match given[..] {
            [] => found.push(Cause::invalid(&path, "", "must specify one of: `configMapRef` or `secretRef`")),
            [one] if text(source, &format!("/{one}/name")).is_empty() => {
                found.push(Cause::required(&path.child(one).child("name"), ""));
            }
            [_] => {}
            _ => found.push(Cause::invalid(&path, "", "may not have more than one field specified at a time")),
        }
    }
}
