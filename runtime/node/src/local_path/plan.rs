//! What this node has to do about claims and volumes. Pure.

use std::collections::BTreeMap;
use std::path::Path;

use carob_volumes::annotations::{PROVISIONED_BY, STORAGE_PROVISIONER};
use carob_volumes::{LOCAL_PATH, annotation, claim_class, is_ours_to_bind, selected_node, waits_for_consumer};
use k8s_openapi::api::core::v1::{
    LocalVolumeSource, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, ObjectReference, PersistentVolume,
    PersistentVolumeClaim, PersistentVolumeSpec, VolumeNodeAffinity,
};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// Keeps a volume until its folder is removed.
pub(super) const FINALIZER: &str = "carob.dev/local-path";
const HOSTNAME: &str = "kubernetes.io/hostname";

/// What to do about a claim.
#[derive(Debug, PartialEq)]
pub(super) enum ClaimStep {
    /// It is not this node's, or has what it needs.
    Nothing,
    /// Any node may take it: this one says that it does.
    Select,
    /// A volume is to be made.
    Make,
    /// A volume as it is asked for cannot be made.
    Refuse(&'static str),
}

pub(super) fn claim_step(claim: &PersistentVolumeClaim, class: Option<&StorageClass>, node: &str) -> ClaimStep {
    let Some(class) = class.filter(|class| class.provisioner == LOCAL_PATH) else { return ClaimStep::Nothing };
    let is_asked = annotation(&claim.metadata, STORAGE_PROVISIONER) == Some(LOCAL_PATH);
    if !is_asked || !is_ours_to_bind(claim) || claim.metadata.deletion_timestamp.is_some() {
        return ClaimStep::Nothing;
    }
    match selected_node(claim) {
        Some(selected) if selected != node => return ClaimStep::Nothing,
        None if waits_for_consumer(class) => return ClaimStep::Nothing,
        _ => {}
    }
    match refusal(claim) {
        Some(why) => ClaimStep::Refuse(why),
        None if selected_node(claim).is_none() => ClaimStep::Select,
        None => ClaimStep::Make,
    }
}

fn refusal(claim: &PersistentVolumeClaim) -> Option<&'static str> {
    let spec = claim.spec.as_ref()?;
    let modes = spec.access_modes.as_deref().unwrap_or_default();
    if modes.iter().any(|mode| mode == "ReadWriteMany" || mode == "ReadOnlyMany") {
        return Some("a node's folder has the access modes ReadWriteOnce and ReadWriteOncePod only");
    }
    if spec.volume_mode.as_deref() == Some("Block") {
        return Some("a node's folder is no block device");
    }
    if spec.selector.is_some() {
        return Some("claim Selector is not supported");
    }
    (spec.data_source.is_some() || spec.data_source_ref.is_some()).then_some("a node's folder begins empty")
}

/// The name of the volume that is made for a claim.
pub(super) fn volume_name(claim: &PersistentVolumeClaim) -> String {
    format!("pvc-{}", claim.metadata.uid.as_deref().unwrap_or_default())
}

/// The volume for a claim: this folder of this node.
pub(super) fn volume(
    claim: &PersistentVolumeClaim,
    class: &StorageClass,
    folder: &Path,
    node: &str,
) -> PersistentVolume {
    let spec = claim.spec.clone().unwrap_or_default();
    PersistentVolume {
        metadata: ObjectMeta {
            name: Some(volume_name(claim)),
            annotations: Some(BTreeMap::from([(PROVISIONED_BY.to_owned(), LOCAL_PATH.to_owned())])),
            finalizers: Some(vec![FINALIZER.to_owned()]),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeSpec {
            capacity: spec.resources.and_then(|resources| resources.requests),
            access_modes: spec.access_modes,
            volume_mode: spec.volume_mode,
            persistent_volume_reclaim_policy: class.reclaim_policy.clone(),
            storage_class_name: Some(claim_class(claim).to_owned()),
            claim_ref: Some(reference(claim)),
            local: Some(LocalVolumeSource { path: folder.to_string_lossy().into_owned(), fs_type: None }),
            node_affinity: Some(only(node)),
            ..PersistentVolumeSpec::default()
        }),
        status: None,
    }
}

fn reference(claim: &PersistentVolumeClaim) -> ObjectReference {
    let ObjectMeta { name, namespace, uid, resource_version, .. } = claim.metadata.clone();
    let (api_version, kind) = (Some("v1".to_owned()), Some("PersistentVolumeClaim".to_owned()));
    ObjectReference { api_version, kind, name, namespace, uid, resource_version, ..ObjectReference::default() }
}

fn only(node: &str) -> VolumeNodeAffinity {
    let requirement = NodeSelectorRequirement {
        key: HOSTNAME.to_owned(),
        operator: "In".to_owned(),
        values: Some(vec![node.to_owned()]),
    };
    let term = NodeSelectorTerm { match_expressions: Some(vec![requirement]), match_fields: None };
    VolumeNodeAffinity { required: Some(NodeSelector { node_selector_terms: vec![term] }) }
}

/// What to do about a volume.
#[derive(Debug, PartialEq)]
pub(super) enum VolumeStep {
    /// It is not this node's, or in use, or kept.
    Nothing,
    /// Its claim is gone, and it is to go, too.
    Delete,
    /// It is on its way: its folder goes first, unless it is kept; then nothing holds it any longer.
    LetGo {
        /// Whether the folder goes.
        remove: bool,
    },
}

pub(super) fn volume_step(volume: &PersistentVolume, folder: &Path, node: &str) -> VolumeStep {
    let spec = volume.spec.clone().unwrap_or_default();
    let is_ours = annotation(&volume.metadata, PROVISIONED_BY) == Some(LOCAL_PATH)
        && spec.node_affinity == Some(only(node))
        && spec.local.is_some_and(|local| Path::new(&local.path) == folder);
    let finalizers = volume.metadata.finalizers.as_deref().unwrap_or_default();
    let is_kept = spec.persistent_volume_reclaim_policy.as_deref() != Some("Delete");
    let phase = volume.status.as_ref().and_then(|status| status.phase.as_deref());
    match (volume.metadata.deletion_timestamp.is_some(), finalizers) {
        _ if !is_ours => VolumeStep::Nothing,
        (true, [only]) if only == FINALIZER => VolumeStep::LetGo { remove: !is_kept },
        (false, _) if phase == Some("Released") && !is_kept => VolumeStep::Delete,
        _ => VolumeStep::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn claim(change: impl FnOnce(&mut Value)) -> PersistentVolumeClaim {
        let mut claim = json!({
            "metadata": { "namespace": "ns", "name": "c", "uid": "1", "annotations": {
                "volume.kubernetes.io/storage-provisioner": LOCAL_PATH,
            } },
            "spec": {
                "accessModes": ["ReadWriteOnce"], "storageClassName": "local-path", "volumeMode": "Filesystem",
                "resources": { "requests": { "storage": "1Gi" } },
            },
        });
        change(&mut claim);
        serde_json::from_value(claim).unwrap()
    }

    fn class(mode: &str) -> StorageClass {
        serde_json::from_value(json!({
            "metadata": { "name": "local-path" }, "provisioner": LOCAL_PATH, "volumeBindingMode": mode, "reclaimPolicy": "Delete",
        }))
        .unwrap()
    }

    #[test]
    fn a_claim_is_this_nodes_once_it_is_chosen_or_nobody_has_to_choose() {
        let selected = |node: &'static str| {
            move |claim: &mut Value| {
                claim["metadata"]["annotations"]["volume.kubernetes.io/selected-node"] = json!(node)
            }
        };
        let spec = |field: &'static str, value: Value| move |claim: &mut Value| claim["spec"][field] = value;
        let later = "WaitForFirstConsumer";
        let cases = [
            (claim(|_| {}), later, ClaimStep::Nothing),
            (claim(selected("n1")), later, ClaimStep::Make),
            (claim(selected("n2")), later, ClaimStep::Nothing),
            (claim(|_| {}), "Immediate", ClaimStep::Select),
            (claim(selected("n2")), "Immediate", ClaimStep::Nothing),
            (claim(spec("volumeName", json!("v"))), "Immediate", ClaimStep::Nothing),
            (claim(|claim| claim["metadata"]["annotations"] = json!({})), "Immediate", ClaimStep::Nothing),
            (
                claim(spec("accessModes", json!(["ReadWriteMany"]))),
                "Immediate",
                ClaimStep::Refuse("a node's folder has the access modes ReadWriteOnce and ReadWriteOncePod only"),
            ),
            (
                claim(spec("volumeMode", json!("Block"))),
                "Immediate",
                ClaimStep::Refuse("a node's folder is no block device"),
            ),
        ];
        for (claim, mode, expected) in cases {
            assert_eq!(claim_step(&claim, Some(&class(mode)), "n1"), expected, "{mode} {claim:?}");
        }
        let mut other = class("Immediate");
        other.provisioner = "example.com/other".into();
        assert_eq!(claim_step(&claim(|_| {}), Some(&other), "n1"), ClaimStep::Nothing);
    }

    #[test]
    fn a_volume_is_removed_by_its_own_node_and_only_where_it_belongs() {
        let made = volume(&claim(|_| {}), &class("Immediate"), Path::new("/data/pvc-1"), "n1");
        let step = |change: &dyn Fn(&mut PersistentVolume), node: &str, folder: &str| {
            let mut volume = made.clone();
            change(&mut volume);
            volume_step(&volume, Path::new(folder), node)
        };
        let released = |volume: &mut PersistentVolume| {
            volume.status = Some(serde_json::from_value(json!({ "phase": "Released" })).unwrap());
        };
        let deleted = |volume: &mut PersistentVolume| {
            volume.metadata.deletion_timestamp = Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
        };
        let kept = |volume: &mut PersistentVolume| {
            deleted(volume);
            volume.spec.as_mut().unwrap().persistent_volume_reclaim_policy = Some("Retain".into());
        };
        let used = |volume: &mut PersistentVolume| {
            deleted(volume);
            volume.metadata.finalizers.as_mut().unwrap().push("kubernetes.io/pv-protection".into());
        };
        let here = "/data/pvc-1";
        assert_eq!(step(&|_| {}, "n1", here), VolumeStep::Nothing);
        assert_eq!(step(&released, "n1", here), VolumeStep::Delete);
        assert_eq!(step(&released, "n2", here), VolumeStep::Nothing);
        assert_eq!(step(&released, "n1", "/data/other"), VolumeStep::Nothing);
        assert_eq!(step(&deleted, "n1", here), VolumeStep::LetGo { remove: true });
        assert_eq!(step(&kept, "n1", here), VolumeStep::LetGo { remove: false });
        assert_eq!(step(&used, "n1", here), VolumeStep::Nothing);
    }
}
