//! What is to be done about a claim.

use std::sync::Arc;

use carob_volumes::annotations::BOUND_BY_CONTROLLER;
use carob_volumes::{annotation, best, claim_class, is_bound_to, is_fully_bound, is_ours_to_bind, mismatch};
use carob_volumes::{selected_node, waits_for_consumer};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;

use super::notice::Notice;

/// Provisioners that no class can ask: Kubernetes' own, which are not in this cluster.
const IN_TREE: &str = "kubernetes.io/";

/// The next step towards what the claim asks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// Claim and volume belong together: each says so, whatever of it is said already.
    Bind(Arc<PersistentVolume>),
    /// This provisioner is asked to make a volume.
    Provision(String),
    /// Nothing can be done now; people may want to know why.
    Wait(Option<Notice>),
    /// The volume is lost to the claim, for good.
    Lose(Notice),
}

/// What is known beside the claim.
pub(super) struct World {
    pub(super) volumes: Vec<Arc<PersistentVolume>>,
    /// The claim's class, if it names one that exists.
    pub(super) class: Option<Arc<StorageClass>>,
}

pub(super) fn plan(claim: &PersistentVolumeClaim, world: &World) -> Step {
    if is_fully_bound(claim) {
        return keep(claim, world);
    }
    if annotation(&claim.metadata, carob_volumes::annotations::BIND_COMPLETED).is_some() {
        let told = "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!";
        return Step::Lose(Notice::warning("ClaimLost", told));
    }
    if claim.metadata.deletion_timestamp.is_some() {
        return Step::Wait(None);
    }
    if is_ours_to_bind(claim) { find(claim, world) } else { take(claim, world) }
}

fn named<'a>(claim: &PersistentVolumeClaim, world: &'a World) -> Option<&'a Arc<PersistentVolume>> {
    let name = claim.spec.as_ref().and_then(|spec| spec.volume_name.as_ref());
    world.volumes.iter().find(|volume| volume.metadata.name.as_ref() == name)
}

/// The claim was bound before: its volume must still be there, and its own.
fn keep(claim: &PersistentVolumeClaim, world: &World) -> Step {
    let Some(volume) = named(claim, world) else {
        let told = "Bound claim has lost its PersistentVolume. Data on the volume is lost!";
        return Step::Lose(Notice::warning("ClaimLost", told));
    };
    let is_free = volume.spec.as_ref().is_none_or(|spec| spec.claim_ref.is_none());
    if is_free || is_bound_to(volume, claim) {
        return Step::Bind(volume.clone());
    }
    let told = "Two claims are bound to the same volume, this one is bound incorrectly";
    Step::Lose(Notice::warning("ClaimMisbound", told))
}

/// The claim names the volume that it wants.
fn take(claim: &PersistentVolumeClaim, world: &World) -> Step {
    let Some(volume) = named(claim, world) else { return Step::Wait(None) };
    let name = volume.metadata.name.as_deref().unwrap_or_default();
    if is_bound_to(volume, claim) {
        return Step::Bind(volume.clone());
    }
    if volume.spec.as_ref().is_some_and(|spec| spec.claim_ref.is_some()) {
        let is_our_doing = annotation(&claim.metadata, BOUND_BY_CONTROLLER).is_some();
        let told = format!("volume {name:?} already bound to a different claim.");
        return Step::Wait((!is_our_doing).then(|| Notice::warning("FailedBinding", told)));
    }
    match mismatch(volume, claim) {
        None => Step::Bind(volume.clone()),
        Some(why) => {
            let told = format!("Cannot bind to requested volume {name:?}: {why}");
            Step::Wait(Some(Notice::warning("VolumeMismatch", told)))
        }
    }
}

/// The claim takes any volume that fits; one that waits for its consumer only what was meant for it.
fn find(claim: &PersistentVolumeClaim, world: &World) -> Step {
    let waits = world.class.as_ref().is_some_and(|class| waits_for_consumer(class)) && selected_node(claim).is_none();
    if let Some(volume) = best(&world.volumes, claim).filter(|volume| !waits || is_bound_to(volume, claim)) {
        return Step::Bind(volume.clone());
    }
    if waits {
        let told = "waiting for first consumer to be created before binding";
        return Step::Wait(Some(Notice::normal("WaitForFirstConsumer", told)));
    }
    ask(claim, world)
}

fn ask(claim: &PersistentVolumeClaim, world: &World) -> Step {
    let name = claim_class(claim);
    if name.is_empty() {
        let told = "no persistent volumes available for this claim and no storage class is set";
        return Step::Wait(Some(Notice::normal("FailedBinding", told)));
    }
    let failed = |told: String| Step::Wait(Some(Notice::warning("ProvisioningFailed", told)));
    match &world.class {
        None => failed(format!("storageclass.storage.k8s.io {name:?} not found")),
        Some(class) if class.provisioner.starts_with(IN_TREE) => {
            failed(format!("no volume plugin matched name: {}", class.provisioner))
        }
        Some(class) => Step::Provision(class.provisioner.clone()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn claim(spec: Value, annotations: Value) -> PersistentVolumeClaim {
        let mut claim = json!({
            "metadata": { "namespace": "ns", "name": "c", "uid": "1", "annotations": annotations },
            "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } },
        });
        claim["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        serde_json::from_value(claim).unwrap()
    }

    fn volume(spec: Value) -> Arc<PersistentVolume> {
        let mut volume = json!({
            "metadata": { "name": "v" }, "status": { "phase": "Available" },
            "spec": { "accessModes": ["ReadWriteOnce"], "capacity": { "storage": "1Gi" } },
        });
        volume["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        serde_json::from_value(volume).unwrap()
    }

    fn class(provisioner: &str, mode: &str) -> Option<Arc<StorageClass>> {
        let class = json!({ "metadata": { "name": "k" }, "provisioner": provisioner, "volumeBindingMode": mode });
        Some(serde_json::from_value(class).unwrap())
    }

    fn told(step: &Step) -> (&'static str, &str) {
        match step {
            Step::Bind(_) => ("bind", ""),
            Step::Provision(by) => ("provision", by),
            Step::Wait(None) => ("wait", ""),
            Step::Wait(Some(notice)) => ("wait", &notice.message),
            Step::Lose(notice) => ("lose", &notice.message),
        }
    }

    #[test]
    fn each_claim_has_a_next_step() {
        let none = || json!({});
        let done = || json!({ "pv.kubernetes.io/bind-completed": "yes" });
        let selected = || json!({ "volume.kubernetes.io/selected-node": "n1" });
        let of = |uid: &str| json!({ "claimRef": { "namespace": "ns", "name": "c", "uid": uid } });
        let named = || json!({ "volumeName": "v" });
        let classed = || json!({ "storageClassName": "k" });
        let (now, later) = (|| class("p.io/p", "Immediate"), || class("p.io/p", "WaitForFirstConsumer"));
        let cases = [
            (claim(none(), none()), vec![volume(none())], None, ("bind", "")),
            (
                claim(none(), none()),
                vec![],
                None,
                ("wait", "no persistent volumes available for this claim and no storage class is set"),
            ),
            (claim(classed(), none()), vec![], now(), ("provision", "p.io/p")),
            (claim(classed(), none()), vec![], None, ("wait", "storageclass.storage.k8s.io \"k\" not found")),
            (
                claim(classed(), none()),
                vec![],
                class("kubernetes.io/no-provisioner", "Immediate"),
                ("wait", "no volume plugin matched name: kubernetes.io/no-provisioner"),
            ),
            (
                claim(classed(), none()),
                vec![volume(classed())],
                later(),
                ("wait", "waiting for first consumer to be created before binding"),
            ),
            (claim(classed(), selected()), vec![], later(), ("provision", "p.io/p")),
            (claim(named(), none()), vec![], None, ("wait", "")),
            (claim(named(), none()), vec![volume(none())], None, ("bind", "")),
            (
                claim(named(), none()),
                vec![volume(json!({ "capacity": { "storage": "1Mi" } }))],
                None,
                ("wait", "Cannot bind to requested volume \"v\": requested PV is too small"),
            ),
            (
                claim(named(), none()),
                vec![volume(of("2"))],
                None,
                ("wait", "volume \"v\" already bound to a different claim."),
            ),
            (claim(named(), done()), vec![volume(of("1"))], None, ("bind", "")),
            (
                claim(named(), done()),
                vec![volume(of("2"))],
                None,
                ("lose", "Two claims are bound to the same volume, this one is bound incorrectly"),
            ),
            (
                claim(named(), done()),
                vec![],
                None,
                ("lose", "Bound claim has lost its PersistentVolume. Data on the volume is lost!"),
            ),
        ];
        for (claim, volumes, class, expected) in cases {
            let step = plan(&claim, &World { volumes, class });
            assert_eq!(told(&step), expected, "{claim:?}");
        }
    }

    #[test]
    fn a_volume_that_was_meant_for_a_claim_does_not_wait_for_its_consumer() {
        let meant = volume(json!({ "storageClassName": "k", "claimRef": { "namespace": "ns", "name": "c" } }));
        let world = World { volumes: vec![meant.clone()], class: class("p.io/p", "WaitForFirstConsumer") };
        assert_eq!(plan(&claim(json!({ "storageClassName": "k" }), json!({})), &world), Step::Bind(meant));
    }
}
