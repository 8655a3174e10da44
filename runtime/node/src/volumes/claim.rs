//! Claims: from a PersistentVolumeClaim to the folder of this machine that its volume is.

use carob_volumes::annotations::PROVISIONED_BY;
use carob_volumes::node_selector::{NodeView, any_term};
use carob_volumes::{LOCAL_PATH, annotation};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, PersistentVolumeClaimVolumeSource};

use super::error::VolumeError;
use super::{Place, host_path};
use crate::quantity;

/// The name of the volume that the claim is bound to.
pub(super) fn volume_name<'a>(
    source: &PersistentVolumeClaimVolumeSource,
    namespace: &str,
    claim: Option<&'a PersistentVolumeClaim>,
) -> Result<&'a str, VolumeError> {
    let name = source.claim_name.clone();
    let Some(claim) = claim else { return Err(VolumeError::NotFound { kind: "persistentvolumeclaim", name }) };
    let bound = claim.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Bound");
    let volume = claim.spec.as_ref().and_then(|spec| spec.volume_name.as_deref()).filter(|name| !name.is_empty());
    volume.filter(|_| bound).ok_or_else(|| VolumeError::NotBound { namespace: namespace.to_owned(), name })
}

/// The folder that a volume is, on this node. It blocks.
pub(super) fn place(name: &str, volume: Option<&PersistentVolume>, node: NodeView<'_>) -> Result<Place, VolumeError> {
    let not_found = || VolumeError::NotFound { kind: "persistentvolume", name: name.to_owned() };
    let spec = volume.and_then(|volume| volume.spec.as_ref()).ok_or_else(not_found)?;
    let required = spec.node_affinity.as_ref().and_then(|affinity| affinity.required.as_ref());
    if required.is_some_and(|required| !any_term(required, node)) {
        return Err(VolumeError::Elsewhere { volume: name.to_owned() });
    }
    if let Some(host) = &spec.host_path {
        return host_path::place(&host.path, host.type_.as_deref().unwrap_or_default());
    }
    match &spec.local {
        Some(local) => host_path::place(&local.path, "Directory"),
        None => Err(VolumeError::Unsupported(format!("persistentvolume {name:?} is neither hostPath nor local"))),
    }
}

/// How many bytes a volume may hold that a node has made for a claim. What others have made is as large as they say, and
/// nobody watches over it, as in Kubernetes.
pub(super) fn capacity(volume: &PersistentVolume) -> Option<u64> {
    let is_ours = annotation(&volume.metadata, PROVISIONED_BY) == Some(LOCAL_PATH);
    let capacity = volume.spec.as_ref().filter(|_| is_ours)?.capacity.as_ref()?;
    capacity.get("storage").and_then(quantity::units)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;

    const HOSTNAME: &str = "kubernetes.io/hostname";

    #[test]
    fn a_claim_leads_to_its_volume_once_it_is_bound() {
        let source = PersistentVolumeClaimVolumeSource { claim_name: "c".into(), read_only: None };
        for (claim, expected) in [
            (None, Err("persistentvolumeclaim \"c\" not found")),
            (
                Some(json!({"spec": {}, "status": {"phase": "Pending"}})),
                Err("error processing PVC ns/c: PVC is not bound"),
            ),
            (Some(json!({"spec": {"volumeName": "v"}})), Err("error processing PVC ns/c: PVC is not bound")),
            (Some(json!({"spec": {"volumeName": "v"}, "status": {"phase": "Bound"}})), Ok("v")),
        ] {
            let claim: Option<PersistentVolumeClaim> = claim.map(|claim| serde_json::from_value(claim).unwrap());
            let found = volume_name(&source, "ns", claim.as_ref()).map_err(|error| error.to_string());
            assert_eq!(found, expected.map_err(str::to_owned));
        }
    }

    #[test]
    fn what_a_claim_asked_for_bounds_what_a_node_has_made() {
        for (maker, expected) in [(LOCAL_PATH, Some(64 << 20)), ("example.com/other", None)] {
            let volume = serde_json::from_value(json!({
                "metadata": {"annotations": {PROVISIONED_BY: maker}}, "spec": {"capacity": {"storage": "64Mi"}}}));
            assert_eq!(capacity(&volume.unwrap()), expected, "{maker}");
        }
    }

    #[test]
    fn a_volume_is_used_on_its_own_node_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap();
        let labels = BTreeMap::from([(HOSTNAME.to_owned(), "n1".to_owned()), ("rank".to_owned(), "5".to_owned())]);
        let node = NodeView { name: "n1", labels: &labels };
        let term = |key: &str, operator: &str, values: Value| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
        let elsewhere =
            Err("storage node affinity check failed for volume \"v\" : no matching NodeSelectorTerms".to_owned());
        for (terms, expected) in [
            (json!([term(HOSTNAME, "In", json!(["n1", "n2"]))]), Ok(Place::Folder(path.clone()))),
            (json!([term(HOSTNAME, "In", json!(["n2"]))]), elsewhere.clone()),
            (
                json!([term(HOSTNAME, "In", json!(["n2"])), term("rank", "Gt", json!(["4"]))]),
                Ok(Place::Folder(path.clone())),
            ),
            (json!([term("zone", "Exists", json!(null))]), elsewhere.clone()),
            (json!([{}]), elsewhere),
            (
                json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}]),
                Ok(Place::Folder(path.clone())),
            ),
        ] {
            let volume = serde_json::from_value(json!({"spec": {
                "local": {"path": path}, "nodeAffinity": {"required": {"nodeSelectorTerms": terms}}}}));
            let found = place("v", Some(&volume.unwrap()), node).map_err(|error| error.to_string());
            assert_eq!(found, expected, "{terms}");
        }
    }
}
