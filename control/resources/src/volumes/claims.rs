//! PersistentVolumeClaims.

use super::persistent::or_unset;
use super::{check_class_name, check_modes, check_positive, check_volume_mode};
use super::{class_name, printed_phase, protect, short_modes};
use crate::cause::Causes;
use crate::diff::changes;
use crate::json::{at, fill_text, has, list, section, set, text};
use crate::pod_spec::canonical_quantities;
use crate::quantity::Quantity;
use crate::resource::{Resource, Scope, Subresource};
use crate::selector::validate_label_selector;
use crate::strategy::carry_over;
use crate::table::{AGE, NAME, age_cell, name};
use crate::{Cause, Column, Path, Strategy};
use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) const PERSISTENT_VOLUME_CLAIMS: Resource = Resource {
    group: "",
    version: "v1",
    kind: "PersistentVolumeClaim",
    plural: "persistentvolumeclaims",
    singular: "persistentvolumeclaim",
    short_names: &["pvc"],
    categories: &[],
    scope: Scope::Namespaced,
    subresources: &[Subresource::Status],
    storage: "persistentvolumeclaims",
    strategy: &Claims,
};

const COLUMNS: &[Column] = &[
    NAME,
    Column::plain("Status", "string", "phase represents the current phase of PersistentVolumeClaim."),
    Column::plain(
        "Volume",
        "string",
        "volumeName is the binding reference to the PersistentVolume backing this claim.",
    ),
    Column::plain("Capacity", "string", "capacity represents the actual resources of the underlying volume."),
    Column::plain(
        "Access Modes",
        "string",
        "accessModes contains the actual access modes the volume backing the PVC has.",
    ),
    Column::plain("StorageClass", "string", "storageClassName is the name of the StorageClass required by the claim."),
    Column::plain(
        "VolumeAttributesClass",
        "string",
        "volumeAttributesClassName may be used to set the VolumeAttributesClass used by this claim.",
    ),
    AGE,
    Column::wide("VolumeMode", "volumeMode defines what type of volume is required by the claim."),
];

const PROTECTION: &str = "kubernetes.io/pvc-protection";
const REQUEST: &str = "/spec/resources/requests/storage";
const IMMUTABLE: &str =
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";

struct Claims;

impl Strategy for Claims {
    fn default(&self, claim: &mut Value) {
        let Some(spec) = section(claim, "spec") else { return };
        if let Some(resources) = section(spec, "resources") {
            canonical_quantities(resources, "requests");
            canonical_quantities(resources, "limits");
        }
        fill_text(spec, "volumeMode", "Filesystem");
    }

    fn prepare_create(&self, claim: &mut Value, _now: Timestamp) {
        set(claim, "status", json!({ "phase": "Pending" }));
        protect(claim, PROTECTION);
    }

    fn has_generation(&self) -> bool {
        false
    }

    fn validate(&self, claim: &Value) -> Vec<Cause> {
        let (spec, path) = (at(claim, "/spec"), Path::new("spec"));
        let mut found = Causes::default();
        check_modes(spec, "at least 1 access mode is required", &path, &mut found);
        let request = path.child("resources").key("storage");
        match at(claim, REQUEST) {
            Value::Null => found.push(Cause::required(&request, "")),
            amount => check_positive(amount, &request, &mut found),
        }
        if has(spec, "/selector") {
            found.extend(validate_label_selector(at(spec, "/selector"), &path.child("selector")));
        }
        check_class_name(spec, &path, &mut found);
        check_volume_mode(spec, &path, &mut found);
        found.into_vec()
    }

    fn validate_update(&self, new: &Value, old: &Value) -> Vec<Cause> {
        let mut found = Causes::default();
        if let Some(changes) = changes(at(old, "/spec"), &allowed(new, old)) {
            found.push(Cause::forbidden(&Path::new("spec"), &format!("{IMMUTABLE}\n{changes}")));
        }
        let amount = |value| Quantity::from_json(value).unwrap_or(Quantity::ZERO);
        let (wanted, held) = (amount(at(new, REQUEST)), amount(at(old, REQUEST)));
        if wanted < held && wanted <= amount(at(old, "/status/capacity/storage")) {
            let path = Path::new("spec.resources.requests.storage");
            found.push(Cause::forbidden(&path, "field can not be less than status.capacity"));
        }
        found.into_vec()
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn cells(&self, claim: &Value, now: Timestamp) -> Vec<Value> {
        let volume = text(claim, "/spec/volumeName");
        let (capacity, modes) = match volume {
            "" => ("", String::new()),
            _ => (text(claim, "/status/capacity/storage"), short_modes(list(claim, "/status/accessModes"))),
        };
        vec![
            name(claim),
            printed_phase(claim).into(),
            volume.into(),
            capacity.into(),
            modes.into(),
            class_name(claim).into(),
            or_unset(text(claim, "/spec/volumeAttributesClassName")).into(),
            age_cell(claim, now),
            or_unset(text(claim, "/spec/volumeMode")).into(),
        ]
    }
}

/// The wished spec without what may change: a volume and a class that were left open may be said once, and a bound claim may
/// ask for another size.
fn allowed(new: &Value, old: &Value) -> Value {
    let mut allowed = at(new, "/spec").clone();
    let held = at(old, "/spec");
    if text(held, "/volumeName").is_empty() {
        carry_over(&mut allowed, held, "volumeName");
    }
    if !has(held, "/storageClassName") {
        carry_over(&mut allowed, held, "storageClassName");
    }
    carry_over(&mut allowed, held, "volumeAttributesClassName");
    if text(old, "/status/phase") == "Bound"
        && let Some(requests) = allowed.pointer_mut("/resources/requests")
    {
        carry_over(requests, at(held, "/resources/requests"), "storage");
    }
    allowed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim() -> Value {
        let mut claim = json!({
            "metadata": { "name": "data", "namespace": "default" },
            "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1024Mi" } } },
        });
        Claims.default(&mut claim);
        Claims.prepare_create(&mut claim, Timestamp::UNIX_EPOCH);
        claim
    }

    fn bound() -> Value {
        let mut claim = claim();
        claim["spec"]["volumeName"] = json!("pv");
        claim["spec"]["storageClassName"] = json!("slow");
        claim["status"] =
            json!({ "phase": "Bound", "capacity": { "storage": "2Gi" }, "accessModes": ["ReadWriteOnce"] });
        claim
    }

    #[test]
    fn a_new_claim_is_pending_and_protected() {
        let claim = claim();
        assert_eq!(Claims.validate(&claim), []);
        assert_eq!(claim["metadata"]["finalizers"], json!([PROTECTION]));
        let row = Claims.cells(&claim, Timestamp::UNIX_EPOCH);
        assert_eq!(row, ["data", "Pending", "", "", "", "", "<unset>", "<unknown>", "Filesystem"]);
        let row = Claims.cells(&bound(), Timestamp::UNIX_EPOCH);
        assert_eq!(row[..6], ["data", "Bound", "pv", "2Gi", "RWO", "slow"]);
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let cases = [
            ("accessModes", json!([]), "spec.accessModes: Required value: at least 1 access mode is required"),
            ("resources", json!({}), "spec.resources[storage]: Required value"),
            (
                "resources",
                json!({ "requests": { "storage": "-1" } }),
                "spec.resources[storage]: Invalid value: \"-1\": must be greater than zero",
            ),
            (
                "volumeMode",
                json!("Tape"),
                "spec.volumeMode: Unsupported value: \"Tape\": supported values: \"Block\", \"Filesystem\"",
            ),
        ];
        for (field, value, expected) in cases {
            let mut wrong = claim();
            wrong["spec"][field] = value;
            let found = Claims.validate(&wrong);
            assert_eq!(format!("{}: {}", found[0].field, found[0].message), expected);
        }
    }

    #[test]
    fn what_was_left_open_may_be_said_once() {
        let mut new = claim();
        new["spec"]["volumeName"] = json!("pv");
        new["spec"]["storageClassName"] = json!("slow");
        assert_eq!(Claims.validate_update(&new, &claim()), []);
        let mut moved = bound();
        moved["spec"]["volumeName"] = json!("other");
        let found = Claims.validate_update(&moved, &bound());
        assert!(found[0].message.starts_with(&format!("Forbidden: {IMMUTABLE}\n@@ ")), "{}", found[0].message);
        assert!(found[0].message.contains("\n- \"volumeName\": \"pv\"\n+ \"volumeName\": \"other\"\n"), "{found:?}");
    }

    #[test]
    fn a_bound_claim_may_grow() {
        let sized = |mut claim: Value, size: &str| {
            claim["spec"]["resources"]["requests"]["storage"] = json!(size);
            claim
        };
        assert_eq!(Claims.validate_update(&sized(bound(), "3Gi"), &bound()), []);
        let smaller = Claims.validate_update(&sized(bound(), "512Mi"), &bound());
        assert_eq!(smaller[0].message, "Forbidden: field can not be less than status.capacity");
        assert_eq!(Claims.validate_update(&sized(claim(), "3Gi"), &claim())[0].field, "spec");
    }
}
