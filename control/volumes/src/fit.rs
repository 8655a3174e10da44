//! Whether a volume is what a claim asks for.

use carob_resources::quantity::Quantity;
use carob_resources::selector::LabelSelector;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use serde_json::json;

use crate::read::{claim_class, is_bound_to, requested, volume_class};

/// Why the volume is not what the claim asks for, in Kubernetes' words; `None` if it is.
///
/// A claim's label selector is not looked at: it chooses among volumes, and does not bind one who names a volume.
pub fn mismatch(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> Option<&'static str> {
    if size(volume) < requested(claim) {
        return Some("requested PV is too small");
    }
    if volume_class(volume) != claim_class(claim) {
        return Some("storageClassName does not match");
    }
    if mode(volume.spec.as_ref().and_then(|spec| spec.volume_mode.as_deref()))
        != mode(claim.spec.as_ref().and_then(|spec| spec.volume_mode.as_deref()))
    {
        return Some("incompatible volumeMode");
    }
    let offered = volume.spec.as_ref().and_then(|spec| spec.access_modes.as_deref()).unwrap_or_default();
    let asked = claim.spec.as_ref().and_then(|spec| spec.access_modes.as_deref()).unwrap_or_default();
    (!asked.iter().all(|one| offered.contains(one))).then_some("incompatible accessMode")
}

/// Whether the claim could be given this volume: it is free, or was meant for the claim from the start, and fits.
pub fn is_candidate(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> bool {
    if volume.metadata.deletion_timestamp.is_some() || mismatch(volume, claim).is_some() {
        return false;
    }
    let is_taken = volume.spec.as_ref().is_some_and(|spec| spec.claim_ref.is_some());
    if is_taken {
        return is_bound_to(volume, claim);
    }
    let phase = volume.status.as_ref().and_then(|status| status.phase.as_deref());
    phase == Some("Available") && is_selected(volume, claim)
}

/// The volume that the claim should get: one that was meant for it, or the smallest that fits.
pub fn best<'a, V: AsRef<PersistentVolume>>(volumes: &'a [V], claim: &PersistentVolumeClaim) -> Option<&'a V> {
    let candidates = volumes.iter().filter(|volume| is_candidate(volume.as_ref(), claim));
    candidates.min_by(|a, b| rank(a.as_ref(), claim).cmp(&rank(b.as_ref(), claim)))
}

fn rank<'a>(volume: &'a PersistentVolume, claim: &PersistentVolumeClaim) -> (bool, Quantity, &'a Option<String>) {
    (!is_bound_to(volume, claim), size(volume), &volume.metadata.name)
}

fn is_selected(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> bool {
    let Some(selector) = claim.spec.as_ref().and_then(|spec| spec.selector.as_ref()) else { return true };
    let selector = LabelSelector::from_json(&json!(selector));
    let labels = volume.metadata.labels.as_ref();
    selector.is_some_and(|selector| selector.matches(|name| labels?.get(name).map(String::as_str)))
}

fn size(volume: &PersistentVolume) -> Quantity {
    let capacity = volume.spec.as_ref().and_then(|spec| spec.capacity.as_ref()?.get("storage"));
    capacity.and_then(|size| Quantity::parse(&size.0).ok()).unwrap_or(Quantity::ZERO)
}

fn mode(said: Option<&str>) -> &str {
    said.unwrap_or("Filesystem")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::Value;

    use super::*;

    fn claim(spec: Value) -> PersistentVolumeClaim {
        let mut claim = json!({
            "metadata": { "namespace": "ns", "name": "c", "uid": "1" },
            "spec": {
                "accessModes": ["ReadWriteOnce"], "storageClassName": "slow",
                "resources": { "requests": { "storage": "1Gi" } },
            },
        });
        claim["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        serde_json::from_value(claim).unwrap()
    }

    fn volume(name: &str, size: &str, spec: Value) -> Arc<PersistentVolume> {
        let mut volume = json!({
            "metadata": { "name": name, "labels": { "disk": name } }, "status": { "phase": "Available" },
            "spec": {
                "accessModes": ["ReadWriteOnce", "ReadOnlyMany"], "storageClassName": "slow", "capacity": { "storage": size },
            },
        });
        volume["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        serde_json::from_value(volume).unwrap()
    }

    #[test]
    fn reasons_are_those_of_kubernetes() {
        let cases = [
            (volume("v", "1Gi", json!({})), None),
            (volume("v", "1023Mi", json!({})), Some("requested PV is too small")),
            (volume("v", "1Gi", json!({ "storageClassName": "" })), Some("storageClassName does not match")),
            (volume("v", "1Gi", json!({ "volumeMode": "Block" })), Some("incompatible volumeMode")),
            (volume("v", "1Gi", json!({ "accessModes": ["ReadOnlyMany"] })), Some("incompatible accessMode")),
        ];
        for (volume, expected) in cases {
            assert_eq!(mismatch(&volume, &claim(json!({}))), expected);
        }
    }

    #[test]
    fn the_smallest_that_fits_is_best_unless_one_is_meant_for_the_claim() {
        let name = |volumes: &[Arc<PersistentVolume>], claim: &PersistentVolumeClaim| {
            best(volumes, claim).and_then(|volume| volume.metadata.name.clone())
        };
        let mut volumes = vec![
            volume("big", "4Gi", json!({})),
            volume("small", "2Gi", json!({})),
            volume("taken", "1Gi", json!({ "claimRef": { "namespace": "ns", "name": "other" } })),
            volume("tiny", "1Mi", json!({})),
        ];
        assert_eq!(name(&volumes, &claim(json!({}))).as_deref(), Some("small"));
        let picky = claim(json!({ "selector": { "matchLabels": { "disk": "big" } } }));
        assert_eq!(name(&volumes, &picky).as_deref(), Some("big"));
        volumes.push(volume("meant", "8Gi", json!({ "claimRef": { "namespace": "ns", "name": "c" } })));
        assert_eq!(name(&volumes, &claim(json!({}))).as_deref(), Some("meant"));
        let earlier = json!({ "claimRef": { "namespace": "ns", "name": "c", "uid": "0" } });
        assert_eq!(name(&[volume("stale", "1Gi", earlier)], &claim(json!({}))), None);
    }
}
