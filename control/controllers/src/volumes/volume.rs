//! What is to be done about a volume.

use carob_volumes::annotation;
use carob_volumes::annotations::{BOUND_BY_CONTROLLER, PROVISIONED_BY};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};

use super::notice::Notice;

/// The next step towards what the volume should say.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// It says what it should.
    Nothing,
    /// It gets this phase.
    Enter { phase: &'static str, notice: Option<Notice> },
    /// Its claim took another volume: it is free again.
    Free,
}

/// `claim` is what the volume's reference names, if it exists.
pub(super) fn plan(volume: &PersistentVolume, claim: Option<&PersistentVolumeClaim>) -> Step {
    let Some(reference) = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref()) else {
        return enter(volume, "Available", None);
    };
    let Some(uid) = reference.uid.as_deref().filter(|uid| !uid.is_empty()) else {
        // It is meant for a claim that has not come to it yet.
        return enter(volume, "Available", None);
    };
    let Some(claim) = claim.filter(|claim| claim.metadata.uid.as_deref() == Some(uid)) else {
        return release(volume);
    };
    match claim.spec.as_ref().and_then(|spec| spec.volume_name.as_ref()).filter(|name| !name.is_empty()) {
        // The binding is under way.
        None => Step::Nothing,
        Some(name) if Some(name) == volume.metadata.name.as_ref() => enter(volume, "Bound", None),
        Some(_) if annotation(&volume.metadata, PROVISIONED_BY).is_some() && policy(volume) == "Delete" => {
            release(volume)
        }
        Some(_) if annotation(&volume.metadata, BOUND_BY_CONTROLLER).is_some() => Step::Free,
        Some(_) => Step::Nothing,
    }
}

/// The claim is gone. What was made for it is removed by who made it; nobody removes what an administrator brought.
fn release(volume: &PersistentVolume) -> Step {
    let name = volume.metadata.name.as_deref().unwrap_or_default();
    let is_provisioned = annotation(&volume.metadata, PROVISIONED_BY).is_some();
    if phase(volume) != "Released" && phase(volume) != "Failed" {
        return enter(volume, "Released", None);
    }
    match policy(volume) {
        "Delete" if !is_provisioned => {
            let told =
                format!("error getting deleter volume plugin for volume {name:?}: no deletable volume plugin matched");
            enter(volume, "Failed", Some(Notice::warning("VolumeFailedDelete", told)))
        }
        "Recycle" => {
            let told = "No recycler plugin found for the volume!";
            enter(volume, "Failed", Some(Notice::warning("VolumeFailedRecycle", told)))
        }
        _ => Step::Nothing,
    }
}

fn enter(volume: &PersistentVolume, next: &'static str, notice: Option<Notice>) -> Step {
    if phase(volume) == next { Step::Nothing } else { Step::Enter { phase: next, notice } }
}

fn phase(volume: &PersistentVolume) -> &str {
    volume.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Pending")
}

fn policy(volume: &PersistentVolume) -> &str {
    volume.spec.as_ref().and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref()).unwrap_or("Retain")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn volume(reference: Value, phase: &str, policy: &str, annotations: Value) -> PersistentVolume {
        let volume = json!({
            "metadata": { "name": "v", "annotations": annotations }, "status": { "phase": phase },
            "spec": { "claimRef": reference, "persistentVolumeReclaimPolicy": policy },
        });
        serde_json::from_value(volume).unwrap()
    }

    fn claim(uid: &str, volume: Option<&str>) -> Option<PersistentVolumeClaim> {
        let claim = json!({ "metadata": { "name": "c", "uid": uid }, "spec": { "volumeName": volume } });
        Some(serde_json::from_value(claim).unwrap())
    }

    #[test]
    fn each_volume_has_a_next_step() {
        let held = || json!({ "namespace": "ns", "name": "c", "uid": "1" });
        let made = || json!({ "pv.kubernetes.io/provisioned-by": "p.io/p" });
        let ours = || json!({ "pv.kubernetes.io/bound-by-controller": "yes" });
        let cases = [
            (volume(json!(null), "Pending", "Retain", json!({})), None, Some("Available")),
            (volume(json!(null), "Available", "Retain", json!({})), None, None),
            (volume(json!({ "name": "c" }), "Pending", "Retain", json!({})), claim("1", None), Some("Available")),
            (volume(held(), "Available", "Retain", json!({})), claim("1", None), None),
            (volume(held(), "Available", "Retain", json!({})), claim("1", Some("v")), Some("Bound")),
            (volume(held(), "Bound", "Retain", json!({})), None, Some("Released")),
            (volume(held(), "Bound", "Retain", json!({})), claim("2", Some("v")), Some("Released")),
            (volume(held(), "Released", "Retain", json!({})), None, None),
            (volume(held(), "Released", "Delete", made()), None, None),
            (volume(held(), "Released", "Delete", json!({})), None, Some("Failed")),
            (volume(held(), "Failed", "Delete", json!({})), None, None),
            (volume(held(), "Released", "Recycle", json!({})), None, Some("Failed")),
            (volume(held(), "Bound", "Delete", made()), claim("1", Some("other")), Some("Released")),
            (volume(held(), "Available", "Retain", ours()), claim("1", Some("other")), Some("free")),
            (volume(held(), "Available", "Retain", json!({})), claim("1", Some("other")), None),
        ];
        for (volume, claim, expected) in cases {
            let step = match plan(&volume, claim.as_ref()) {
                Step::Nothing => None,
                Step::Enter { phase, .. } => Some(phase),
                Step::Free => Some("free"),
            };
            assert_eq!(step, expected, "{volume:?} {claim:?}");
        }
    }
}
