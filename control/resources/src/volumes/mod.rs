//! Storage: what there is (PersistentVolumes), what is asked for (claims), and where more comes from (classes).

mod claims;
mod classes;
mod persistent;
mod source;

pub(crate) use claims::PERSISTENT_VOLUME_CLAIMS;
pub(crate) use classes::STORAGE_CLASSES;
pub use classes::is_default_class;
pub(crate) use persistent::PERSISTENT_VOLUMES;

use crate::cause::Causes;
use crate::json::{at, list, section, text};
use crate::quantity::Quantity;
use crate::{Cause, Path, names};
use serde_json::{Value, json};

/// The class of a volume or claim before `spec.storageClassName`; it still wins where it stands.
const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";
const ACCESS_MODES: [(&str, &str); 4] =
    [("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP")];

/// The name of the object's class; empty if it has none.
fn class_name(object: &Value) -> &str {
    let annotations = at(object, "/metadata/annotations");
    let named = annotations.get(CLASS_ANNOTATION).and_then(Value::as_str);
    named.unwrap_or_else(|| text(object, "/spec/storageClassName"))
}

/// Access modes as they are printed: `RWO,ROX`.
fn short_modes(modes: &[Value]) -> String {
    let has = |long: &str| modes.iter().any(|mode| mode == long);
    let short: Vec<&str> = ACCESS_MODES.iter().filter(|(long, _)| has(long)).map(|(_, short)| *short).collect();
    short.join(",")
}

/// What a volume or claim is in, to people: an object that was deleted is on its way, whatever its phase.
fn printed_phase(object: &Value) -> &str {
    let is_ending = !text(object, "/metadata/deletionTimestamp").is_empty();
    if is_ending { "Terminating" } else { text(object, "/status/phase") }
}

fn check_modes(spec: &Value, required: &str, path: &Path, found: &mut Causes) {
    let path = path.child("accessModes");
    let modes = list(spec, "/accessModes");
    if modes.is_empty() {
        found.push(Cause::required(&path, required));
    }
    let known = ACCESS_MODES.map(|(long, _)| long);
    modes.iter().filter_map(Value::as_str).for_each(|mode| found.one_of(&path, mode, &known));
    if modes.len() > 1 && modes.iter().any(|mode| mode == "ReadWriteOncePod") {
        found.push(Cause::forbidden(&path, "may not use ReadWriteOncePod with other access modes"));
    }
}

fn check_class_name(spec: &Value, path: &Path, found: &mut Causes) {
    let class = text(spec, "/storageClassName");
    if !class.is_empty() {
        found.invalid_each(&path.child("storageClassName"), class, names::dns1123_subdomain(class));
    }
}

fn check_volume_mode(spec: &Value, path: &Path, found: &mut Causes) {
    let mode = text(spec, "/volumeMode");
    if !mode.is_empty() {
        found.one_of(&path.child("volumeMode"), mode, &["Block", "Filesystem"]);
    }
}

fn check_positive(amount: &Value, path: &Path, found: &mut Causes) {
    match Quantity::from_json(amount) {
        Err(error) => found.push(Cause::invalid(path, amount.clone(), &error.to_string())),
        Ok(quantity) if quantity.is_negative() || quantity.is_zero() => {
            found.push(Cause::invalid(path, quantity.to_string(), "must be greater than zero"));
        }
        Ok(_) => {}
    }
}

/// What Kubernetes' admission `StorageObjectInUseProtection` does: the object stays for as long as it is in use.
fn protect(object: &mut Value, finalizer: &str) {
    let Some(metadata) = section(object, "metadata") else { return };
    let mut finalizers = list(metadata, "/finalizers").to_vec();
    if !finalizers.iter().any(|held| held == finalizer) {
        finalizers.push(json!(finalizer));
    }
    crate::json::set(metadata, "finalizers", finalizers);
}
