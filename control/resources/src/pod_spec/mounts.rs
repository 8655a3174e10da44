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
        check_recursive(mount, &path.child("recursiveReadOnly"), found);
        check_sub_path(mount, &path, found);
    }
}

/// What is recursively read-only is read-only, and shows no mounts that are made later.
fn check_recursive(mount: &Value, path: &Path, found: &mut Causes) {
    let mode = text(mount, "/recursiveReadOnly");
    match mode {
        "" | "Disabled" => return,
        "Enabled" | "IfPossible" => {}
        _ => return found.push(Cause::not_supported(path, mode, &["Disabled", "Enabled", "IfPossible"])),
    }
    if mount["readOnly"] != true {
        found.push(Cause::forbidden(path, "may only be specified when readOnly is true"));
    }
    if !matches!(text(mount, "/mountPropagation"), "" | "None") {
        found.push(Cause::forbidden(path, "may only be specified when mountPropagation is None or not specified"));
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_is_read_only_is_so_recursively() {
        let supported = "Unsupported value: \"Yes\": supported values: \"Disabled\", \"Enabled\", \"IfPossible\"";
        for (read_only, propagation, mode, expected) in [
            (false, "None", "Disabled", vec![]),
            (true, "None", "Enabled", vec![]),
            (true, "", "IfPossible", vec![]),
            (false, "", "IfPossible", vec!["Forbidden: may only be specified when readOnly is true"]),
            (
                true,
                "HostToContainer",
                "Enabled",
                vec!["Forbidden: may only be specified when mountPropagation is None or not specified"],
            ),
            (true, "", "Yes", vec![supported]),
        ] {
            let mut found = Causes::default();
            let mount = json!({ "readOnly": read_only, "mountPropagation": propagation, "recursiveReadOnly": mode });
            check_recursive(&mount, &Path::new("recursiveReadOnly"), &mut found);
            let said: Vec<String> = found.into_vec().into_iter().map(|cause| cause.message).collect();
            assert_eq!(said, expected, "{mount}");
        }
    }
}
