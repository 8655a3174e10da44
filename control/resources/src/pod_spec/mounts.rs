use crate::cause::Causes;
use crate::json::{has, text};
use crate::{Cause, Path};
use serde_json::Value;
use std::collections::BTreeSet;

const PROPAGATIONS: &[&str] = &["Bidirectional", "HostToContainer", "None"];

/// What is wrong with a container's volume mounts; `volumes` are the names of those that the Pod has.
pub(super) fn check_mounts(mounts: &[Value], volumes: &BTreeSet<&str>, path: &Path, found: &mut Causes) {
    let mut places = BTreeSet::new();
    for (index, mount) in mounts.iter().enumerate() {
        let path = path.index(index);
        match text(mount, "/name") {
            "" => found.push(Cause::required(&path.child("name"), "")),
            name if !volumes.contains(name) => found.push(Cause::not_found(&path.child("name"), name)),
            _ => {}
        }
        let place = text(mount, "/mountPath");
        if place.is_empty() {
            found.push(Cause::required(&path.child("mountPath"), ""));
        } else if !places.insert(place) {
            found.push(Cause::invalid(&path.child("mountPath"), place, "must be unique"));
        }
        let propagation = text(mount, "/mountPropagation");
        if !propagation.is_empty() {
            found.one_of(&path.child("mountPropagation"), propagation, PROPAGATIONS);
        }
        check_sub_path(mount, &path, found);
    }
}

fn check_sub_path(mount: &Value, path: &Path, found: &mut Causes) {
    for field in ["subPath", "subPathExpr"] {
        let value = text(mount, &format!("/{field}"));
        check_descending(value, &path.child(field), found);
    }
    if has(mount, "/subPathExpr") && !text(mount, "/subPath").is_empty() && !text(mount, "/subPathExpr").is_empty() {
        let value = text(mount, "/subPathExpr");
        found.push(Cause::invalid(&path.child("subPathExpr"), value, "subPathExpr and subPath are mutually exclusive"));
    }
}

/// Refuses a path that would leave the directory it starts in.
pub(super) fn check_descending(value: &str, path: &Path, found: &mut Causes) {
    if value.starts_with('/') {
        found.push(Cause::invalid(path, value, "must be a relative path"));
    }
    if value.split('/').any(|part| part == "..") {
        found.push(Cause::invalid(path, value, "must not contain '..'"));
    }
}
