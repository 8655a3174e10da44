//! Where a PersistentVolume's bytes are.

use crate::cause::Causes;
use crate::json::{has, text};
use crate::{Cause, Path};
use serde_json::Value;

/// The fields of a volume's spec that say where it is.
const SOURCES: [&str; 22] = [
    "awsElasticBlockStore",
    "azureDisk",
    "azureFile",
    "cephfs",
    "cinder",
    "csi",
    "fc",
    "flexVolume",
    "flocker",
    "gcePersistentDisk",
    "glusterfs",
    "hostPath",
    "iscsi",
    "local",
    "nfs",
    "photonPersistentDisk",
    "portworxVolume",
    "quobyte",
    "rbd",
    "scaleIO",
    "storageos",
    "vsphereVolume",
];

/// The names and contents of the sources that are given; one is right.
pub(super) fn given(spec: &Value) -> impl Iterator<Item = (&'static str, &Value)> {
    SOURCES.into_iter().filter_map(|name| spec.get(name).filter(|source| !source.is_null()).map(|one| (name, one)))
}

pub(super) fn check_source(spec: &Value, path: &Path, found: &mut Causes) {
    let mut sources = given(spec);
    let Some((kind, source)) = sources.next() else {
        found.push(Cause::required(path, "must specify a volume type"));
        return;
    };
    for (extra, _) in sources {
        found.push(Cause::forbidden(&path.child(extra), "may not specify more than 1 volume type"));
    }
    let here = path.child(kind);
    let needs: &[&str] = match kind {
        "hostPath" | "local" => &["path"],
        "nfs" => &["server", "path"],
        "csi" => &["driver", "volumeHandle"],
        _ => &[],
    };
    for field in needs {
        if text(source, &format!("/{field}")).is_empty() {
            found.push(Cause::required(&here.child(field), ""));
        }
    }
    check_place(kind, source, &here, found);
    if kind == "local" && !has(spec, "/nodeAffinity/required") {
        found.push(Cause::required(&path.child("nodeAffinity"), "Local volume requires node affinity"));
    }
}

/// A path on a host must not lead out of where it seems to be.
fn check_place(kind: &str, source: &Value, path: &Path, found: &mut Causes) {
    let place = text(source, "/path");
    if matches!(kind, "hostPath" | "local") && place.split('/').any(|part| part == "..") {
        found.push(Cause::invalid(&path.child("path"), place, "must not contain '..'"));
    }
    if kind == "nfs" && !place.is_empty() && !place.starts_with('/') {
        found.push(Cause::invalid(&path.child("path"), place, "must be an absolute path"));
    }
}
