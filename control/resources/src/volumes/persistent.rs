//! PersistentVolumes.

use super::source::{check_source, given};
use super::{check_class_name, check_modes, check_positive, check_volume_mode};
use super::{class_name, printed_phase, protect, short_modes};
use crate::cause::Causes;
use crate::diff::changes;
use crate::json::{at, entries, fill, fill_text, has, list, section, set, text};
use crate::pod_spec::{canonical_quantities, check_node_selector};
use crate::resource::{Resource, Scope, Subresource};
use crate::table::{AGE, NAME, age_cell, name};
use crate::{Cause, Column, Path, Strategy};
use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) const PERSISTENT_VOLUMES: Resource = Resource {
    group: "",
    version: "v1",
    kind: "PersistentVolume",
    plural: "persistentvolumes",
    singular: "persistentvolume",
    short_names: &["pv"],
    categories: &[],
    scope: Scope::Cluster,
    subresources: &[Subresource::Status],
    storage: "persistentvolumes",
    strategy: &PersistentVolumes,
};

const COLUMNS: &[Column] = &[
    NAME,
    Column::plain(
        "Capacity",
        "string",
        "capacity is the description of the persistent volume's resources and capacity.",
    ),
    Column::plain("Access Modes", "string", "accessModes contains all ways the volume can be mounted."),
    Column::plain(
        "Reclaim Policy",
        "string",
        "persistentVolumeReclaimPolicy defines what happens to a persistent volume when released from its claim.",
    ),
    Column::plain(
        "Status",
        "string",
        "phase indicates if a volume is available, bound to a claim, or released by a claim.",
    ),
    Column::plain(
        "Claim",
        "string",
        "claimRef is part of a bi-directional binding between PersistentVolume and PersistentVolumeClaim.",
    ),
    Column::plain(
        "StorageClass",
        "string",
        "storageClassName is the name of StorageClass to which this persistent volume belongs.",
    ),
    Column::plain(
        "VolumeAttributesClass",
        "string",
        "Name of VolumeAttributesClass to which this persistent volume belongs. Empty value is not allowed.",
    ),
    Column::plain("Reason", "string", "reason is a brief CamelCase string that describes any failure."),
    AGE,
    Column::wide(
        "VolumeMode",
        "volumeMode defines if a volume is intended to be used with a formatted filesystem or to remain in raw block state.",
    ),
];

const PROTECTION: &str = "kubernetes.io/pv-protection";
pub(super) const UNSET: &str = "<unset>";

struct PersistentVolumes;

impl Strategy for PersistentVolumes {
    fn default(&self, volume: &mut Value) {
        let Some(spec) = section(volume, "spec") else { return };
        canonical_quantities(spec, "capacity");
        fill_text(spec, "persistentVolumeReclaimPolicy", "Retain");
        fill_text(spec, "volumeMode", "Filesystem");
        if let Some(host) = spec.get_mut("hostPath") {
            fill(host, "type", "");
        }
    }

    fn prepare_create(&self, volume: &mut Value, now: Timestamp) {
        let since = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        set(volume, "status", json!({ "phase": "Pending", "lastPhaseTransitionTime": since }));
        protect(volume, PROTECTION);
    }

    fn has_generation(&self) -> bool {
        false
    }

    fn validate(&self, volume: &Value) -> Vec<Cause> {
        let (spec, path) = (at(volume, "/spec"), Path::new("spec"));
        let mut found = Causes::default();
        check_modes(spec, "", &path, &mut found);
        check_capacity(spec, &path, &mut found);
        let policies = ["Delete", "Recycle", "Retain"];
        let policy = text(spec, "/persistentVolumeReclaimPolicy");
        found.one_of(&path.child("persistentVolumeReclaimPolicy"), policy, &policies);
        if has(spec, "/nodeAffinity/required") {
            check_node_selector(at(spec, "/nodeAffinity/required"), &path.child("nodeAffinity.required"), &mut found);
        }
        check_source(spec, &path, &mut found);
        check_class_name(spec, &path, &mut found);
        check_volume_mode(spec, &path, &mut found);
        found.into_vec()
    }

    fn warnings(&self, volume: &Value) -> Vec<String> {
        let is_recycled = text(volume, "/spec/persistentVolumeReclaimPolicy") == "Recycle";
        let told = "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended \
                    approach is to use dynamic provisioning.";
        is_recycled.then(|| told.to_owned()).into_iter().collect()
    }

    fn validate_update(&self, new: &Value, old: &Value) -> Vec<Cause> {
        let mut found = Causes::default();
        let sources = |volume| given(at(volume, "/spec")).map(|(name, one)| (name.to_owned(), one.clone())).collect();
        let (wanted, held): (Value, Value) = (sources(new), sources(old));
        if let Some(changes) = changes(&held, &wanted) {
            let told = format!("spec.persistentvolumesource is immutable after creation\n{changes}");
            found.push(Cause::forbidden(&Path::new("spec.persistentvolumesource"), &told));
        }
        for field in ["volumeMode", "nodeAffinity"] {
            let pointer = format!("/spec/{field}");
            // What was left out may be said once.
            if has(old, &pointer) && at(new, &pointer) != at(old, &pointer) {
                let value = at(new, &pointer).clone();
                found.push(Cause::invalid(&Path::new("spec").child(field), value, "field is immutable"));
            }
        }
        found.into_vec()
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn cells(&self, volume: &Value, now: Timestamp) -> Vec<Value> {
        vec![
            name(volume),
            text(volume, "/spec/capacity/storage").into(),
            short_modes(list(volume, "/spec/accessModes")).into(),
            text(volume, "/spec/persistentVolumeReclaimPolicy").into(),
            printed_phase(volume).into(),
            claim(volume).into(),
            class_name(volume).into(),
            or_unset(text(volume, "/spec/volumeAttributesClassName")).into(),
            text(volume, "/status/reason").into(),
            age_cell(volume, now),
            or_unset(text(volume, "/spec/volumeMode")).into(),
        ]
    }
}

pub(super) fn or_unset(value: &str) -> &str {
    if value.is_empty() { UNSET } else { value }
}

fn claim(volume: &Value) -> String {
    if !has(volume, "/spec/claimRef") {
        return String::new();
    }
    format!("{}/{}", text(volume, "/spec/claimRef/namespace"), text(volume, "/spec/claimRef/name"))
}

/// A volume says how large it is, and nothing else there.
fn check_capacity(spec: &Value, path: &Path, found: &mut Causes) {
    let path = path.child("capacity");
    if entries(spec, "/capacity").next().is_none() {
        found.push(Cause::required(&path, ""));
        return;
    }
    if entries(spec, "/capacity").any(|(name, _)| name != "storage") {
        found.push(Cause::not_supported(&path, at(spec, "/capacity").clone(), &["storage"]));
    }
    for (name, amount) in entries(spec, "/capacity") {
        check_positive(amount, &path.key(name), found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume() -> Value {
        let mut volume = json!({
            "metadata": { "name": "pv" },
            "spec": {
                "capacity": { "storage": "1024Mi" }, "accessModes": ["ReadWriteOnce"], "storageClassName": "slow",
                "hostPath": { "path": "/data" }, "claimRef": { "namespace": "ns", "name": "mine" },
            },
        });
        PersistentVolumes.default(&mut volume);
        PersistentVolumes.prepare_create(&mut volume, Timestamp::UNIX_EPOCH);
        volume
    }

    #[test]
    fn a_new_volume_is_pending_kept_and_protected() {
        let volume = volume();
        assert_eq!(PersistentVolumes.validate(&volume), []);
        assert_eq!(volume["metadata"]["finalizers"], json!([PROTECTION]));
        assert_eq!(volume["status"]["phase"], "Pending");
        let row = PersistentVolumes.cells(&volume, Timestamp::UNIX_EPOCH);
        let expected =
            ["pv", "1Gi", "RWO", "Retain", "Pending", "ns/mine", "slow", UNSET, "", "<unknown>", "Filesystem"];
        assert_eq!(row, expected);
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let cases = [
            ("accessModes", json!([]), "spec.accessModes: Required value"),
            (
                "accessModes",
                json!(["ReadWriteOnce", "ReadWriteOncePod"]),
                "spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes",
            ),
            ("capacity", json!({}), "spec.capacity: Required value"),
            (
                "capacity",
                json!({ "storage": "0" }),
                "spec.capacity[storage]: Invalid value: \"0\": must be greater than zero",
            ),
            ("hostPath", Value::Null, "spec: Required value: must specify a volume type"),
            (
                "nfs",
                json!({ "server": "s", "path": "/p" }),
                "spec.nfs: Forbidden: may not specify more than 1 volume type",
            ),
            (
                "hostPath",
                json!({ "path": "/a/../b" }),
                "spec.hostPath.path: Invalid value: \"/a/../b\": must not contain '..'",
            ),
            (
                "persistentVolumeReclaimPolicy",
                json!("Never"),
                "spec.persistentVolumeReclaimPolicy: Unsupported value: \"Never\": supported values: \"Delete\", \"Recycle\", \"Retain\"",
            ),
            (
                "storageClassName",
                json!("A"),
                "spec.storageClassName: Invalid value: \"A\": a lowercase RFC 1123 subdomain",
            ),
        ];
        for (field, value, expected) in cases {
            let mut wrong = volume();
            wrong["spec"][field] = value;
            let found = PersistentVolumes.validate(&wrong);
            let told = format!("{}: {}", found[0].field, found[0].message);
            assert!(told.starts_with(expected), "{told}");
        }
    }

    #[test]
    fn a_local_volume_says_on_which_node_it_is() {
        let mut local = volume();
        local["spec"]["hostPath"] = Value::Null;
        local["spec"]["local"] = json!({ "path": "/data" });
        let found = PersistentVolumes.validate(&local);
        assert_eq!(found[0].message, "Required value: Local volume requires node affinity");
        local["spec"]["nodeAffinity"] = json!({ "required": { "nodeSelectorTerms": [] } });
        assert_eq!(PersistentVolumes.validate(&local)[0].field, "spec.nodeAffinity.required.nodeSelectorTerms");
    }

    #[test]
    fn where_a_volume_is_stays() {
        let (old, mut new) = (volume(), volume());
        new["spec"]["hostPath"]["path"] = json!("/other");
        new["spec"]["persistentVolumeReclaimPolicy"] = json!("Delete");
        let found = PersistentVolumes.validate_update(&new, &old);
        assert_eq!(found.len(), 1, "{found:?}");
        let expected = "Forbidden: spec.persistentvolumesource is immutable after creation\n@@ -1,6 +1,6 @@";
        assert!(found[0].message.starts_with(expected), "{}", found[0].message);
    }
}
