//! Tells everybody what was chosen for the claims of a Pod that has a place.

use std::sync::Arc;

use carob_reconcile::ObjectKey;
use carob_volumes::annotations::{BOUND_BY_CONTROLLER, SELECTED_NODE};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use crate::lookup::Lookup;
use crate::storage::{Choice, is_said};

/// Writes what is not said yet. Each object's revision is named: nobody else may have chosen meanwhile.
pub(crate) async fn say(client: &Client, lookup: &Lookup, choices: &[Choice], node: &str) -> kube::Result<()> {
    for choice in choices.iter().filter(|choice| !is_said(choice, node)) {
        match choice {
            Choice::Make(claim) => select(client, lookup, claim, node).await?,
            Choice::Take(claim, volume) => take(client, lookup, claim, volume).await?,
        }
    }
    Ok(())
}

async fn select(client: &Client, lookup: &Lookup, claim: &PersistentVolumeClaim, node: &str) -> kube::Result<()> {
    let patch = json!({
        "metadata": { "resourceVersion": claim.resource_version(), "annotations": { SELECTED_NODE: node } },
    });
    let key = ObjectKey::of(&claim.metadata);
    let api: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), &key.namespace);
    lookup.claims.observe(api.patch(&key.name, &PatchParams::default(), &Patch::Merge(patch)).await?);
    Ok(())
}

async fn take(
    client: &Client,
    lookup: &Lookup,
    claim: &PersistentVolumeClaim,
    volume: &Arc<PersistentVolume>,
) -> kube::Result<()> {
    let api: Api<PersistentVolume> = Api::all(client.clone());
    let patch = Patch::Merge(reference(claim, volume));
    lookup.volumes.observe(api.patch(&volume.name_any(), &PatchParams::default(), &patch).await?);
    Ok(())
}

fn reference(claim: &PersistentVolumeClaim, volume: &PersistentVolume) -> Value {
    json!({
        "metadata": { "resourceVersion": volume.resource_version(), "annotations": { BOUND_BY_CONTROLLER: "yes" } },
        "spec": { "claimRef": {
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": claim.name_any(), "namespace": claim.namespace(),
            "uid": claim.uid(), "resourceVersion": claim.resource_version(),
        } },
    })
}
