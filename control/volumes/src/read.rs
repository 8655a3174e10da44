//! Reading claims and volumes.

use carob_resources::quantity::Quantity;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::annotations::{BIND_COMPLETED, CLASS, SELECTED_NODE};

/// The value of an annotation, if it says anything.
pub fn annotation<'a>(meta: &'a ObjectMeta, name: &str) -> Option<&'a str> {
    meta.annotations.as_ref()?.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

/// The name of the claim's class; empty if it asks for a volume without one.
pub fn claim_class(claim: &PersistentVolumeClaim) -> &str {
    let named = claim.spec.as_ref().and_then(|spec| spec.storage_class_name.as_deref());
    annotation(&claim.metadata, CLASS).or(named).unwrap_or_default()
}

/// The name of the volume's class; empty if it has none.
pub fn volume_class(volume: &PersistentVolume) -> &str {
    let named = volume.spec.as_ref().and_then(|spec| spec.storage_class_name.as_deref());
    annotation(&volume.metadata, CLASS).or(named).unwrap_or_default()
}

/// The node that the scheduler chose for the claim's first consumer.
pub fn selected_node(claim: &PersistentVolumeClaim) -> Option<&str> {
    annotation(&claim.metadata, SELECTED_NODE)
}

/// How much the claim asks for.
pub fn requested(claim: &PersistentVolumeClaim) -> Quantity {
    let requests = claim.spec.as_ref().and_then(|spec| spec.resources.as_ref()?.requests.as_ref());
    let asked = requests.and_then(|requests| requests.get("storage"));
    asked.and_then(|asked| Quantity::parse(&asked.0).ok()).unwrap_or(Quantity::ZERO)
}

/// Whether volumes of this class are chosen only once it is known where they are needed.
pub fn waits_for_consumer(class: &StorageClass) -> bool {
    class.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer")
}

/// Whether the volume is meant for this claim, and no other object of its name.
pub fn is_bound_to(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> bool {
    let Some(held) = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref()) else { return false };
    let uid = held.uid.as_deref().unwrap_or_default();
    held.name == claim.metadata.name
        && held.namespace == claim.metadata.namespace
        && (uid.is_empty() || Some(uid) == claim.metadata.uid.as_deref())
}

/// Whether the claim has its volume, and the binding is done.
pub fn is_fully_bound(claim: &PersistentVolumeClaim) -> bool {
    let volume = claim.spec.as_ref().and_then(|spec| spec.volume_name.as_deref());
    volume.is_some_and(|name| !name.is_empty()) && annotation(&claim.metadata, BIND_COMPLETED).is_some()
}

/// Whether a volume is still to be found for the claim.
pub fn is_ours_to_bind(claim: &PersistentVolumeClaim) -> bool {
    let volume = claim.spec.as_ref().and_then(|spec| spec.volume_name.as_deref());
    volume.is_none_or(str::is_empty)
}
