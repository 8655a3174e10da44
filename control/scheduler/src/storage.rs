//! What a Pod's claims say about where it can run: a pure reading of claims, volumes and classes.

use std::sync::Arc;

use carob_reconcile::ObjectKey;
use carob_volumes::node_selector::any_term;
use carob_volumes::{best, claim_class, is_bound_to, is_fully_bound, selected_node, waits_for_consumer};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod, Volume};
use k8s_openapi::api::storage::v1::StorageClass;

use crate::node::NodeInfo;

/// A class of this provisioner makes no volumes: they are all there from the start.
const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";
const ELSEWHERE: &str = "node(s) didn't match PersistentVolume's node affinity";
const NONE_LEFT: &str = "node(s) didn't find available persistent volumes to bind";
const EXCLUSIVE: &str = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode";

/// Where claims, volumes and classes are looked up.
pub(crate) trait Shelf {
    fn claim(&self, key: &ObjectKey) -> Option<Arc<PersistentVolumeClaim>>;
    fn volume(&self, name: &str) -> Option<Arc<PersistentVolume>>;
    fn volumes(&self) -> Vec<Arc<PersistentVolume>>;
    fn class(&self, name: &str) -> Option<Arc<StorageClass>>;
    /// Whether another Pod than this one runs with the claim.
    fn is_used(&self, claim: &ObjectKey, but: &Pod) -> bool;
}

/// What a Pod needs of storage.
#[derive(Default)]
pub(crate) struct Storage {
    /// The volumes that its claims have.
    bound: Vec<Arc<PersistentVolume>>,
    /// The claims whose volume depends on where the Pod goes.
    open: Vec<Open>,
    /// Volumes among which those could choose.
    volumes: Vec<Arc<PersistentVolume>>,
}

struct Open {
    claim: Arc<PersistentVolumeClaim>,
    class: Arc<StorageClass>,
}

/// What is to be written about a claim once its Pod's node is known.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Choice {
    /// The claim gets this volume.
    Take(Arc<PersistentVolumeClaim>, Arc<PersistentVolume>),
    /// The claim's provisioner makes a volume for this node.
    Make(Arc<PersistentVolumeClaim>),
}

impl Storage {
    /// Reads a Pod's claims. An error says, in Kubernetes' words, why the Pod can run nowhere.
    pub(crate) fn of(pod: &Pod, shelf: &impl Shelf) -> Result<Self, String> {
        let mut storage = Self::default();
        for key in claims(pod) {
            storage.add(pod, &key, shelf)?;
        }
        if !storage.open.is_empty() {
            storage.volumes = shelf.volumes();
        }
        Ok(storage)
    }

    fn add(&mut self, pod: &Pod, key: &ObjectKey, shelf: &impl Shelf) -> Result<(), String> {
        let name = &key.name;
        let claim = shelf.claim(key).ok_or_else(|| format!("persistentvolumeclaim {name:?} not found"))?;
        if claim.metadata.deletion_timestamp.is_some() {
            return Err(format!("persistentvolumeclaim {name:?} is being deleted"));
        }
        let spec = claim.spec.as_ref();
        let volume = spec.and_then(|spec| spec.volume_name.as_deref()).unwrap_or_default();
        if claim.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Lost") {
            return Err(format!("persistentvolumeclaim {name:?} bound to non-existent persistentvolume {volume:?}"));
        }
        let modes = spec.and_then(|spec| spec.access_modes.as_deref()).unwrap_or_default();
        if modes.iter().any(|mode| mode == "ReadWriteOncePod") && shelf.is_used(key, pod) {
            return Err(EXCLUSIVE.to_owned());
        }
        if is_fully_bound(&claim) {
            let missing =
                || format!("persistentvolumeclaim {name:?} bound to non-existent persistentvolume {volume:?}");
            self.bound.push(shelf.volume(volume).ok_or_else(missing)?);
            return Ok(());
        }
        match shelf.class(claim_class(&claim)).filter(|class| waits_for_consumer(class)) {
            Some(class) => self.open.push(Open { claim, class }),
            None => return Err("pod has unbound immediate PersistentVolumeClaims".to_owned()),
        }
        Ok(())
    }

    /// Whether every claim has its volume.
    pub(crate) fn is_settled(&self) -> bool {
        self.open.is_empty()
    }

    /// Why the Pod's volumes cannot be had on this node.
    pub(crate) fn objection(&self, node: &NodeInfo) -> Option<&'static str> {
        if !self.bound.iter().all(|volume| reaches(volume, node)) {
            return Some(ELSEWHERE);
        }
        self.choose(node).is_none().then_some(NONE_LEFT)
    }

    /// What becomes of the open claims if the Pod goes to this node; `None` if it cannot.
    pub(crate) fn choose(&self, node: &NodeInfo) -> Option<Vec<Choice>> {
        let mut choices: Vec<Choice> = Vec::new();
        for open in &self.open {
            let choice = open.choose(node, &self.volumes, &choices)?;
            choices.push(choice);
        }
        Some(choices)
    }
}

impl Open {
    fn choose(&self, node: &NodeInfo, volumes: &[Arc<PersistentVolume>], taken: &[Choice]) -> Option<Choice> {
        let is_taken = |volume: &Arc<PersistentVolume>| {
            taken
                .iter()
                .any(|choice| matches!(choice, Choice::Take(_, other) if other.metadata.uid == volume.metadata.uid))
        };
        let near: Vec<Arc<PersistentVolume>> =
            volumes.iter().filter(|volume| !is_taken(volume) && reaches(volume, node)).cloned().collect();
        match best(&near, &self.claim) {
            Some(volume) => Some(Choice::Take(self.claim.clone(), volume.clone())),
            None => self.is_made_at(node).then(|| Choice::Make(self.claim.clone())),
        }
    }

    /// Whether the class' provisioner may make a volume for this node.
    fn is_made_at(&self, node: &NodeInfo) -> bool {
        let elsewhere = selected_node(&self.claim).is_some_and(|selected| selected != node.name);
        let topologies = self.class.allowed_topologies.as_deref().unwrap_or_default();
        let holds = |key: &str, values: &[String]| node.labels.get(key).is_some_and(|value| values.contains(value));
        let is_allowed = topologies.is_empty()
            || topologies
                .iter()
                .any(|term| term.match_label_expressions.iter().flatten().all(|one| holds(&one.key, &one.values)));
        self.class.provisioner != NO_PROVISIONER && !elsewhere && is_allowed
    }
}

/// Whether the volume can be reached from the node.
fn reaches(volume: &PersistentVolume, node: &NodeInfo) -> bool {
    let affinity = volume.spec.as_ref().and_then(|spec| spec.node_affinity.as_ref());
    affinity.and_then(|affinity| affinity.required.as_ref()).is_none_or(|required| any_term(required, node.view()))
}

/// The claims that a Pod names; one that is made for a volume of it is called after both.
pub(crate) fn claims(pod: &Pod) -> impl Iterator<Item = ObjectKey> {
    let own = ObjectKey::of(&pod.metadata);
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    volumes.filter_map(move |volume| Some(ObjectKey::new(&own.namespace, claim_name(volume, &own.name)?)))
}

fn claim_name(volume: &Volume, pod: &str) -> Option<String> {
    let named = volume.persistent_volume_claim.as_ref().map(|claim| claim.claim_name.clone());
    named.or_else(|| volume.ephemeral.as_ref().map(|_| format!("{pod}-{}", volume.name)))
}

/// Whether the scheduler's choice about this claim is known to everybody.
pub(crate) fn is_said(choice: &Choice, node: &str) -> bool {
    match choice {
        Choice::Make(claim) => selected_node(claim) == Some(node),
        Choice::Take(claim, volume) => {
            let held = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
            is_bound_to(volume, claim) && held.is_some_and(|held| held.uid.is_some())
        }
    }
}

#[cfg(test)]
#[path = "storage_tests.rs"]
mod tests;
