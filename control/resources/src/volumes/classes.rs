//! StorageClasses.

use crate::cause::Causes;
use crate::json::{at, entries, fill, flag, list, text};
use crate::names;
use crate::resource::{Resource, Scope};
use crate::table::{AGE, NAME, age_cell, name};
use crate::{Cause, Column, Path, Strategy};
use jiff::Timestamp;
use serde_json::Value;

pub(crate) const STORAGE_CLASSES: Resource = Resource {
    group: "storage.k8s.io",
    version: "v1",
    kind: "StorageClass",
    plural: "storageclasses",
    singular: "storageclass",
    short_names: &["sc"],
    categories: &[],
    scope: Scope::Cluster,
    subresources: &[],
    storage: "storageclasses",
    strategy: &StorageClasses,
};

const COLUMNS: &[Column] = &[
    NAME,
    Column::plain("Provisioner", "string", "provisioner indicates the type of the provisioner."),
    Column::plain(
        "ReclaimPolicy",
        "string",
        "reclaimPolicy controls the reclaimPolicy for dynamically provisioned PersistentVolumes of this storage class. Defaults to Delete.",
    ),
    Column::plain(
        "VolumeBindingMode",
        "string",
        "volumeBindingMode indicates how PersistentVolumeClaims should be provisioned and bound. When unset, VolumeBindingImmediate is used.",
    ),
    Column::plain(
        "AllowVolumeExpansion",
        "boolean",
        "allowVolumeExpansion shows whether the storage class allow volume expand.",
    ),
    AGE,
];

/// A class with this annotation is that of claims which name none. The second is its older form.
const DEFAULT_ANNOTATIONS: [&str; 2] =
    ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
const MOST_PARAMETERS: usize = 512;
const MOST_PARAMETER_BYTES: usize = 256 * 1024;

struct StorageClasses;

impl Strategy for StorageClasses {
    fn default(&self, class: &mut Value) {
        fill(class, "reclaimPolicy", "Delete");
        fill(class, "volumeBindingMode", "Immediate");
    }

    fn has_generation(&self) -> bool {
        false
    }

    fn validate(&self, class: &Value) -> Vec<Cause> {
        let mut found = Causes::default();
        let provisioner = text(class, "/provisioner");
        let path = Path::new("provisioner");
        if provisioner.is_empty() {
            found.push(Cause::required(&path, ""));
        } else {
            found.invalid_each(&path, provisioner, names::qualified_name(&provisioner.to_lowercase()));
        }
        check_parameters(class, &mut found);
        found.one_of(&Path::new("reclaimPolicy"), text(class, "/reclaimPolicy"), &["Delete", "Retain"]);
        let modes = ["Immediate", "WaitForFirstConsumer"];
        found.one_of(&Path::new("volumeBindingMode"), text(class, "/volumeBindingMode"), &modes);
        check_topologies(class, &mut found);
        found.into_vec()
    }

    fn validate_update(&self, new: &Value, old: &Value) -> Vec<Cause> {
        let mut found = Causes::default();
        for field in ["parameters", "provisioner", "reclaimPolicy"] {
            if new.get(field) != old.get(field) {
                found.push(Cause::forbidden(&Path::new(field), &format!("updates to {field} are forbidden.")));
            }
        }
        for field in ["volumeBindingMode", "allowedTopologies"] {
            if new.get(field) != old.get(field) {
                let value = new.get(field).cloned().unwrap_or_default();
                found.push(Cause::invalid(&Path::new(field), value, "field is immutable"));
            }
        }
        found.into_vec()
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn cells(&self, class: &Value, now: Timestamp) -> Vec<Value> {
        let name = match is_default_class(class) {
            true => format!("{} (default)", text(class, "/metadata/name")).into(),
            false => name(class),
        };
        vec![
            name,
            text(class, "/provisioner").into(),
            text(class, "/reclaimPolicy").into(),
            text(class, "/volumeBindingMode").into(),
            flag(class, "/allowVolumeExpansion").into(),
            age_cell(class, now),
        ]
    }
}

/// Whether claims that name no class get this one.
pub fn is_default_class(class: &Value) -> bool {
    let annotations = at(class, "/metadata/annotations");
    DEFAULT_ANNOTATIONS.iter().any(|name| annotations.get(name).is_some_and(|value| value == "true"))
}

fn check_parameters(class: &Value, found: &mut Causes) {
    let path = Path::new("parameters");
    let (mut count, mut size) = (0, 0);
    for (key, value) in entries(class, "/parameters") {
        if key.is_empty() {
            found.push(Cause::invalid(&path, "", "field can not be empty."));
        }
        count += 1;
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if count > MOST_PARAMETERS {
        found.push(Cause::too_many(&path, count, MOST_PARAMETERS));
    }
    if size > MOST_PARAMETER_BYTES {
        found.push(Cause::too_long(&path, MOST_PARAMETER_BYTES));
    }
}

fn check_topologies(class: &Value, found: &mut Causes) {
    for (index, term) in list(class, "/allowedTopologies").iter().enumerate() {
        let path = Path::new("allowedTopologies").index(index).child("matchLabelExpressions");
        for (index, expression) in list(term, "/matchLabelExpressions").iter().enumerate() {
            let path = path.index(index);
            let key = text(expression, "/key");
            found.invalid_each(&path.child("key"), key, names::qualified_name(key));
            if list(expression, "/values").is_empty() {
                found.push(Cause::required(&path.child("values"), ""));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn class() -> Value {
        let mut class = json!({ "metadata": { "name": "fast" }, "provisioner": "example.com/fast" });
        StorageClasses.default(&mut class);
        class
    }

    #[test]
    fn a_class_says_how_it_binds_and_reclaims() {
        let mut class = class();
        assert_eq!(StorageClasses.validate(&class), []);
        class["metadata"]["annotations"] = json!({ "storageclass.kubernetes.io/is-default-class": "true" });
        let row = StorageClasses.cells(&class, Timestamp::UNIX_EPOCH);
        assert_eq!(
            row[..5],
            [json!("fast (default)"), json!("example.com/fast"), json!("Delete"), json!("Immediate"), json!(false)]
        );
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let cases = [
            ("provisioner", json!(""), "provisioner: Required value"),
            (
                "reclaimPolicy",
                json!("Recycle"),
                "reclaimPolicy: Unsupported value: \"Recycle\": supported values: \"Delete\", \"Retain\"",
            ),
            (
                "volumeBindingMode",
                json!("Later"),
                "volumeBindingMode: Unsupported value: \"Later\": supported values: \"Immediate\", \"WaitForFirstConsumer\"",
            ),
            ("parameters", json!({ "": "x" }), "parameters: Invalid value: \"\": field can not be empty."),
        ];
        for (field, value, expected) in cases {
            let mut wrong = class();
            wrong[field] = value;
            let found = StorageClasses.validate(&wrong);
            assert_eq!(format!("{}: {}", found[0].field, found[0].message), expected);
        }
        let mut other = class();
        other["provisioner"] = json!("example.com/slow");
        let found = StorageClasses.validate_update(&other, &class());
        assert_eq!(found[0].message, "Forbidden: updates to provisioner are forbidden.");
    }
}
