//! Volumes: what they are by default, and what is wrong with them.

use super::volume_files::{check_downward, check_files, check_projected, require};
use crate::cause::Causes;
use crate::json::{at, fill, fill_text, has, items_mut, list, text};
use crate::names;
use crate::quantity::Quantity;
use crate::{Cause, Path};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Everything in a volume that is not its source.
const NO_SOURCE: [&str; 1] = ["name"];
const DEFAULT_MODE: i64 = 0o644;
const HOST_PATH_TYPES: &[&str] =
    &["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];

pub(super) fn default_volume(volume: &mut Value) {
    if volume.is_object() && sources(volume).next().is_none() {
        fill(volume, "emptyDir", json!({}));
    }
    for source in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(source) = volume.get_mut(source) {
            fill(source, "defaultMode", DEFAULT_MODE);
        }
    }
    if let Some(host) = volume.get_mut("hostPath") {
        fill(host, "type", "");
    }
    items_mut(volume, "/downwardAPI/items").for_each(default_item);
    for source in items_mut(volume, "/projected/sources") {
        if let Some(token) = source.get_mut("serviceAccountToken") {
            fill(token, "expirationSeconds", 3600);
        }
        items_mut(source, "/downwardAPI/items").for_each(default_item);
    }
}

fn default_item(item: &mut Value) {
    if let Some(field) = item.get_mut("fieldRef") {
        fill_text(field, "apiVersion", "v1");
    }
    if let Some(resource) = item.get_mut("resourceFieldRef") {
        fill(resource, "divisor", "0");
    }
}

fn sources(volume: &Value) -> impl Iterator<Item = &String> {
    let fields = volume.as_object().into_iter().flatten();
    fields.filter(|(key, value)| !NO_SOURCE.contains(&key.as_str()) && !value.is_null()).map(|(key, _)| key)
}

/// Checks the volumes of a spec and answers with their names.
pub(super) fn check_volumes<'a>(spec: &'a Value, path: &Path, found: &mut Causes) -> BTreeSet<&'a str> {
    let mut known = BTreeSet::new();
    for (index, volume) in list(spec, "/volumes").iter().enumerate() {
        let path = path.index(index);
        let name = text(volume, "/name");
        if name.is_empty() {
            found.push(Cause::required(&path.child("name"), ""));
        } else {
            found.invalid_each(&path.child("name"), name, names::dns1123_label(name));
        }
        if !known.insert(name) {
            found.push(Cause::duplicate(&path.child("name"), name));
        }
        check_source(volume, &path, found);
    }
    known
}

fn check_source(volume: &Value, path: &Path, found: &mut Causes) {
    let given: Vec<&String> = sources(volume).collect();
    if given.is_empty() {
        found.push(Cause::required(path, "must specify a volume type"));
    }
    for extra in given.iter().skip(1) {
        found.push(Cause::forbidden(&path.child(extra), "may not specify more than 1 volume type"));
    }
    let Some(kind) = given.first() else { return };
    let path = path.child(kind);
    let Some(source) = volume.get(kind.as_str()) else { return };
    match kind.as_str() {
        "emptyDir" => check_empty_dir(source, &path, found),
        "hostPath" => check_host_path(source, &path, found),
        "secret" => check_files(source, "secretName", &path, found),
        "configMap" => check_files(source, "name", &path, found),
        "downwardAPI" => check_downward(source, &path, found),
        "projected" => check_projected(source, &path, found),
        "persistentVolumeClaim" => require(source, "claimName", &path, found),
        "ephemeral" if !has(source, "/volumeClaimTemplate") => {
            found.push(Cause::required(&path.child("volumeClaimTemplate"), ""));
        }
        "nfs" => {
            require(source, "server", &path, found);
            require(source, "path", &path, found);
        }
        _ => {}
    }
}

fn check_empty_dir(source: &Value, path: &Path, found: &mut Causes) {
    if !has(source, "/sizeLimit") {
        return;
    }
    let limit = Quantity::from_json(at(source, "/sizeLimit"));
    if limit.is_err() || limit.is_ok_and(|limit| limit.is_negative()) {
        let detail = "SizeLimit field must be a valid resource quantity";
        found.push(Cause::forbidden(&path.child("sizeLimit"), detail));
    }
}

fn check_host_path(source: &Value, path: &Path, found: &mut Causes) {
    require(source, "path", path, found);
    let place = text(source, "/path");
    if place.split('/').any(|part| part == "..") {
        found.push(Cause::invalid(&path.child("path"), place, "must not contain '..'"));
    }
    found.one_of(&path.child("type"), text(source, "/type"), HOST_PATH_TYPES);
}
