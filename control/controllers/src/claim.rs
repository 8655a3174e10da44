//! Who belongs to whom: by controller reference, and by selector for those that nobody controls.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::core::{Resource, Selector, SelectorExt};
use serde_json::{Value, json};

/// What a controller has, and what it must change to have what its selector says.
#[derive(Debug)]
pub(crate) struct Claim<K> {
    /// Controlled by it and selected.
    pub(crate) held: Vec<Arc<K>>,
    /// Selected and controlled by nobody.
    pub(crate) adopt: Vec<Arc<K>>,
    /// Controlled by it and not selected any more.
    pub(crate) release: Vec<Arc<K>>,
}

/// Sorts what a controller owns and what nobody owns. A controller that is being deleted adopts nothing.
pub(crate) fn claim<K: Resource>(
    controller: &ObjectMeta,
    selector: &Selector,
    owned: Vec<Arc<K>>,
    orphans: Vec<Arc<K>>,
) -> Claim<K> {
    let selected = |object: &Arc<K>| object.meta().labels.as_ref().is_some_and(|labels| selector.matches(labels));
    let is_alive = |object: &Arc<K>| object.meta().deletion_timestamp.is_none();
    let (held, unselected): (Vec<_>, Vec<_>) = owned.into_iter().partition(selected);
    let release = unselected.into_iter().filter(is_alive).collect();
    let adopt = match controller.deletion_timestamp {
        Some(_) => Vec::new(),
        None => orphans.into_iter().filter(|object| selected(object) && is_alive(object)).collect(),
    };
    Claim { held, adopt, release }
}

/// The reference that makes `owner` the controller.
pub(crate) fn controller_reference<K: Resource<DynamicType = ()>>(owner: &K) -> OwnerReference {
    OwnerReference {
        api_version: K::api_version(&()).into_owned(),
        kind: K::kind(&()).into_owned(),
        name: owner.meta().name.clone().unwrap_or_default(),
        uid: owner.meta().uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// A strategic merge patch that adds the reference to exactly this object.
pub(crate) fn adoption<K: Resource<DynamicType = ()>>(owner: &K, object: &ObjectMeta) -> Value {
    json!({ "metadata": { "uid": object.uid, "ownerReferences": [controller_reference(owner)] } })
}

/// A strategic merge patch that takes the reference away.
pub(crate) fn release(owner: &ObjectMeta, object: &ObjectMeta) -> Value {
    let gone = json!({ "$patch": "delete", "uid": owner.uid });
    json!({ "metadata": { "uid": object.uid, "ownerReferences": [gone] } })
}

/// The timestamp of an object's creation, for orders of age.
pub(crate) fn created(meta: &ObjectMeta) -> Timestamp {
    meta.creation_timestamp.as_ref().map_or(Timestamp::MIN, |time| time.0)
}
