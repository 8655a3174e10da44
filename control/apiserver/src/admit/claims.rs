//! Claims and the classes they name.

use std::cmp::Reverse;

use carob_resources::{is_default_class, quantity::Quantity};
use serde_json::{Value, json};

use crate::{registry::Served, status::Status, verbs::Call};

const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";

/// A claim that names no class gets the default one, if there is one; of several the newest. A claim that names an empty one
/// wants none.
pub(super) fn default_class(call: &Call, claim: &mut Value) {
    if class_of(claim).is_some() {
        return;
    }
    let Some(classes) = classes(call) else { return };
    if let Some(name) = newest_default(classes, is_default_class) {
        claim["spec"]["storageClassName"] = json!(name);
    }
}

/// A claim grows only where its class says that volumes can.
pub(super) fn may_grow(call: &Call, new: &Value, old: &Value) -> Result<(), Status> {
    let size = |claim: &Value| Quantity::from_json(&claim["spec"]["resources"]["requests"]["storage"]);
    let (Ok(wanted), Ok(held)) = (size(new), size(old)) else { return Ok(()) };
    let class = class_of(old).filter(|name| !name.is_empty());
    let found = class.and_then(|name| classes(call)?.cache.get(name)).map(|entry| entry.object());
    if wanted <= held || found.is_some_and(|class| class["allowVolumeExpansion"] == true) {
        return Ok(());
    }
    let why = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize";
    Err(Status::forbidden(call.served.resource, &call.address.name, why))
}

/// The name of the default class; of several the newest.
pub(super) fn newest_default(classes: &Served, is_default: fn(&Value) -> bool) -> Option<String> {
    let all = classes.cache.snapshot("", None).entries;
    let defaults = all.iter().map(|entry| entry.object()).filter(is_default);
    let text = |class: &Value, field: &str| class["metadata"][field].as_str().unwrap_or_default().to_owned();
    let newest = defaults.min_by_key(|class| (Reverse(text(class, "creationTimestamp")), text(class, "name")));
    newest.map(|class| text(&class, "name"))
}

fn class_of(claim: &Value) -> Option<&str> {
    claim["metadata"]["annotations"][CLASS_ANNOTATION].as_str().or_else(|| claim["spec"]["storageClassName"].as_str())
}

fn classes(call: &Call) -> Option<&Served> {
    call.api.registry().of("storage.k8s.io", "storageclasses").map(|served| &**served)
}
