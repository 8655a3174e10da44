//! Volumes that are made of files: what is wrong with where the files come from, and where they go.

use super::env::{check_resource_ref, is_subscript};
use super::mounts::check_descending;
use crate::cause::Causes;
use crate::json::{int, list, text};
use crate::{Cause, Path};
use serde_json::Value;
use std::collections::BTreeSet;

/// The fields of a Pod that a volume can show: those that are known before it runs.
const FIELDS: &[&str] =
    &["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];
const PROJECTED: [&str; 6] =
    ["secret", "configMap", "downwardAPI", "serviceAccountToken", "clusterTrustBundle", "podCertificate"];

pub(super) fn require(source: &Value, field: &str, path: &Path, found: &mut Causes) {
    if text(source, &format!("/{field}")).is_empty() {
        found.push(Cause::required(&path.child(field), ""));
    }
}

/// A `secret` or `configMap` volume.
pub(super) fn check_files(source: &Value, name: &str, path: &Path, found: &mut Causes) {
    require(source, name, path, found);
    check_mode(source, "defaultMode", path, found);
    check_items(source, path, found);
}

fn check_mode(source: &Value, field: &str, path: &Path, found: &mut Causes) {
    let mode = int(source, &format!("/{field}"));
    if let Some(mode) = mode.filter(|mode| !(0..=0o777).contains(mode)) {
        let detail = "must be a number between 0 and 0777 (octal), both inclusive";
        found.push(Cause::invalid(&path.child(field), mode, detail));
    }
}

fn check_items(source: &Value, path: &Path, found: &mut Causes) {
    for (index, item) in list(source, "/items").iter().enumerate() {
        let path = path.child("items").index(index);
        require(item, "key", &path, found);
        check_place(item, &path, found);
        check_mode(item, "mode", &path, found);
    }
}

/// Where a file goes: below the volume, and not where the volume keeps its own.
fn check_place(item: &Value, path: &Path, found: &mut Causes) {
    require(item, "path", path, found);
    let (place, path) = (text(item, "/path"), path.child("path"));
    check_descending(place, &path, found);
    if place.starts_with("..") && !place.starts_with("../") {
        found.push(Cause::invalid(&path, place, "must not start with '..'"));
    }
}

pub(super) fn check_downward(source: &Value, path: &Path, found: &mut Causes) {
    check_mode(source, "defaultMode", path, found);
    for (index, item) in list(source, "/items").iter().enumerate() {
        let path = path.child("items").index(index);
        check_place(item, &path, found);
        match (item.get("fieldRef"), item.get("resourceFieldRef")) {
            (Some(field), None) => check_field(field, &path.child("fieldRef"), found),
            (None, Some(resource)) => {
                require(resource, "containerName", &path.child("resourceFieldRef"), found);
                check_resource_ref(resource, &path.child("resourceFieldRef"), found);
            }
            (None, None) => {
                found.push(Cause::required(&path, "one of fieldRef and resourceFieldRef is required"));
            }
            (Some(_), Some(_)) => {
                let detail = "fieldRef and resourceFieldRef can not be specified simultaneously";
                found.push(Cause::invalid(&path, "resource", detail));
            }
        }
        check_mode(item, "mode", &path, found);
    }
}

fn check_field(field: &Value, path: &Path, found: &mut Causes) {
    require(field, "apiVersion", path, found);
    match text(field, "/fieldPath") {
        "" => found.push(Cause::required(&path.child("fieldPath"), "")),
        one if is_subscript(one) => {}
        one => found.one_of(&path.child("fieldPath"), one, FIELDS),
    }
}

pub(super) fn check_projected(source: &Value, path: &Path, found: &mut Causes) {
    check_mode(source, "defaultMode", path, found);
    let mut places = BTreeSet::new();
    for (index, part) in list(source, "/sources").iter().enumerate() {
        let here = path.child("sources").index(index);
        let given = |kind: &&str| part.get(*kind).is_some_and(Value::is_object);
        if PROJECTED.iter().filter(|kind| given(kind)).count() > 1 {
            found.push(Cause::forbidden(&here, "may not specify more than 1 volume type"));
        }
        check_part(part, &here, found);
        check_conflicts(part, &mut places, path, found);
    }
}

fn check_part(part: &Value, path: &Path, found: &mut Causes) {
    let given = |kind: &str| part.get(kind).filter(|part| part.is_object());
    for kind in ["secret", "configMap"] {
        if let Some(part) = given(kind) {
            require(part, "name", &path.child(kind), found);
            check_items(part, &path.child(kind), found);
        }
    }
    if let Some(downward) = given("downwardAPI") {
        check_downward(downward, &path.child("downwardAPI"), found);
    }
    if let Some(token) = given("serviceAccountToken") {
        check_token(token, &path.child("serviceAccountToken"), found);
    }
}

fn check_token(token: &Value, path: &Path, found: &mut Causes) {
    let seconds = int(token, "/expirationSeconds").unwrap_or(3600);
    let detail = match seconds {
        ..600 => Some("may not specify a duration less than 10 minutes"),
        0x1_0000_0001.. => Some("may not specify a duration larger than 2^32 seconds"),
        _ => None,
    };
    if let Some(detail) = detail {
        found.push(Cause::invalid(&path.child("expirationSeconds"), seconds, detail));
    }
    check_place(token, path, found);
}

/// No two sources of a projected volume name the same file.
fn check_conflicts<'a>(part: &'a Value, places: &mut BTreeSet<&'a str>, path: &Path, found: &mut Causes) {
    for kind in ["secret", "configMap", "downwardAPI"] {
        for item in list(part, &format!("/{kind}/items")) {
            let place = text(item, "/path");
            if !place.is_empty() && !places.insert(place) {
                let name = text(part, &format!("/{kind}/name"));
                let value = if name.is_empty() { place } else { name };
                found.push(Cause::invalid(path, value, "conflicting duplicate paths"));
            }
        }
    }
    let token = text(part, "/serviceAccountToken/path");
    if !token.is_empty() && !places.insert(token) {
        found.push(Cause::invalid(path, token, "conflicting duplicate paths"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::volumes::check_volumes;
    use super::*;
    use serde_json::json;

    fn causes(volume: Value) -> Vec<(String, String)> {
        let mut volume = volume;
        volume["name"] = json!("v");
        let mut found = Causes::default();
        check_volumes(&json!({ "volumes": [volume] }), &Path::new("spec.volumes"), &mut found);
        let strip = |field: String| field.strip_prefix("spec.volumes[0].").unwrap_or(&field).to_owned();
        found.into_vec().into_iter().map(|cause| (strip(cause.field), cause.message)).collect()
    }

    #[test]
    fn each_mistake_has_kubernetes_cause() {
        let item = |path: &str| json!({ "key": "k", "path": path });
        let token = |seconds: i64| json!({ "serviceAccountToken": { "path": "t", "expirationSeconds": seconds } });
        let field = |path: &str| json!({ "path": "f", "fieldRef": { "apiVersion": "v1", "fieldPath": path } });
        for (volume, at, message) in [
            (
                json!({ "emptyDir": { "sizeLimit": "-1" } }),
                "emptyDir.sizeLimit",
                "Forbidden: SizeLimit field must be a valid resource quantity",
            ),
            (
                json!({ "hostPath": { "path": "/a/../b" } }),
                "hostPath.path",
                "Invalid value: \"/a/../b\": must not contain '..'",
            ),
            (
                json!({ "hostPath": { "path": "/a", "type": "Dir" } }),
                "hostPath.type",
                "Unsupported value: \"Dir\": supported values: \"\", \"BlockDevice\", \"CharDevice\", \"Directory\", \"DirectoryOrCreate\", \"File\", \"FileOrCreate\", \"Socket\"",
            ),
            (json!({ "secret": {} }), "secret.secretName", "Required value"),
            (
                json!({ "secret": { "secretName": "s", "defaultMode": 512 } }),
                "secret.defaultMode",
                "Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive",
            ),
            (
                json!({ "configMap": { "name": "c", "items": [item("/abs")] } }),
                "configMap.items[0].path",
                "Invalid value: \"/abs\": must be a relative path",
            ),
            (
                json!({ "configMap": { "name": "c", "items": [item("a/../b")] } }),
                "configMap.items[0].path",
                "Invalid value: \"a/../b\": must not contain '..'",
            ),
            (
                json!({ "configMap": { "name": "c", "items": [item("..data")] } }),
                "configMap.items[0].path",
                "Invalid value: \"..data\": must not start with '..'",
            ),
            (
                json!({ "configMap": { "name": "c", "items": [{ "path": "p" }] } }),
                "configMap.items[0].key",
                "Required value",
            ),
            (
                json!({ "downwardAPI": { "items": [field("status.podIP")] } }),
                "downwardAPI.items[0].fieldRef.fieldPath",
                "Unsupported value: \"status.podIP\": supported values: \"metadata.annotations\", \"metadata.labels\", \"metadata.name\", \"metadata.namespace\", \"metadata.uid\"",
            ),
            (
                json!({ "projected": { "sources": [token(599)] } }),
                "projected.sources[0].serviceAccountToken.expirationSeconds",
                "Invalid value: 599: may not specify a duration less than 10 minutes",
            ),
            (
                json!({ "projected": { "sources": [{ "configMap": { "name": "c" }, "secret": { "name": "s" } }] } }),
                "projected.sources[0]",
                "Forbidden: may not specify more than 1 volume type",
            ),
            (
                json!({ "projected": { "sources": [{ "configMap": { "name": "c", "items": [item("t")] } }, token(600)] } }),
                "projected",
                "Invalid value: \"t\": conflicting duplicate paths",
            ),
            (json!({ "persistentVolumeClaim": {} }), "persistentVolumeClaim.claimName", "Required value"),
            (json!({ "ephemeral": {} }), "ephemeral.volumeClaimTemplate", "Required value"),
            (
                json!({ "emptyDir": {}, "hostPath": { "path": "/a" } }),
                "hostPath",
                "Forbidden: may not specify more than 1 volume type",
            ),
        ] {
            assert_eq!(causes(volume.clone()), [(at.to_owned(), message.to_owned())], "{volume}");
        }
    }

    #[test]
    fn what_is_right_passes() {
        let subscript = json!({ "path": "f", "fieldRef": { "apiVersion": "v1", "fieldPath": "metadata.labels['a']" } });
        for volume in [
            json!({ "emptyDir": { "medium": "Memory", "sizeLimit": "1Mi" } }),
            json!({ "downwardAPI": { "items": [subscript] } }),
            json!({ "configMap": { "name": "c", "items": [{ "key": "k", "path": "deep/.hidden", "mode": 0 }] } }),
            json!({ "projected": { "sources": [{ "serviceAccountToken": { "path": "t" } }, { "secret": { "name": "s" } }] } }),
        ] {
            assert_eq!(causes(volume.clone()), [], "{volume}");
        }
    }
}
