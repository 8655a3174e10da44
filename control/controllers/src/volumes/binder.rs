//! Carries out what is planned for claims and volumes.

use std::sync::Arc;

use carob_reconcile::{Informer, Next, ObjectKey, Queue, Reconcile, Recorder};
use carob_volumes::annotations::{BETA_STORAGE_PROVISIONER, BIND_COMPLETED, BOUND_BY_CONTROLLER, STORAGE_PROVISIONER};
use carob_volumes::{annotation, claim_class, is_bound_to, is_fully_bound, is_ours_to_bind, volume_class};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use super::notice::Notice;
use super::{claim, volume};
use crate::context::Context;

const WORKERS: usize = 4;

pub(super) fn start(context: &mut Context<'_>) {
    let binder = Arc::new(Binder {
        client: context.client("persistent-volume-binder"),
        recorder: context.recorder("persistentvolume-controller"),
        claims: context.informers.of(),
        volumes: context.informers.of(),
        classes: context.informers.of(),
    });
    let (claims, volumes) = (Arc::new(Queue::new()), Arc::new(Queue::new()));
    follow_claims(&binder, &claims, &volumes);
    follow_volumes(&binder, &claims, &volumes);
    let (wake, all) = (claims.clone(), binder.claims.clone());
    binder.classes.on_change(move |change| {
        change.latest().into_iter().for_each(|class| wake_class(&all, &class.name_any(), &wake));
    });
    context.spawn(Arc::new(Claims(binder.clone())), claims, WORKERS);
    context.spawn(Arc::new(Volumes(binder)), volumes, WORKERS);
}

fn follow_claims(binder: &Binder, claims: &Arc<Queue<ObjectKey>>, volumes: &Arc<Queue<String>>) {
    let (claims, volumes, known) = (claims.clone(), volumes.clone(), binder.volumes.clone());
    binder.claims.on_change(move |change| {
        let Some(claim) = change.latest() else { return };
        claims.add(ObjectKey::of(&claim.metadata));
        let named = claim.spec.as_ref().and_then(|spec| spec.volume_name.clone()).filter(|name| !name.is_empty());
        named.into_iter().for_each(|name| volumes.add(name));
        known
            .all()
            .iter()
            .filter(|volume| is_bound_to(volume, claim))
            .for_each(|volume| volumes.add(volume.name_any()));
    });
}

fn follow_volumes(binder: &Binder, claims: &Arc<Queue<ObjectKey>>, volumes: &Arc<Queue<String>>) {
    let (claims, volumes, known) = (claims.clone(), volumes.clone(), binder.claims.clone());
    binder.volumes.on_change(move |change| {
        let Some(volume) = change.latest() else { return };
        volumes.add(volume.name_any());
        let name = volume.name_any();
        for claim in known.all() {
            let names_it = claim.spec.as_ref().and_then(|spec| spec.volume_name.as_ref()) == Some(&name);
            if names_it || is_bound_to(volume, &claim) {
                claims.add(ObjectKey::of(&claim.metadata));
            }
        }
        if volume.spec.as_ref().is_some_and(|spec| spec.claim_ref.is_none()) {
            wake_class(&known, volume_class(volume), &claims);
        }
    });
}

/// Claims of this class that have no volume yet may get one now.
fn wake_class(claims: &Informer<PersistentVolumeClaim>, class: &str, queue: &Queue<ObjectKey>) {
    let all = claims.all();
    let waiting = all.iter().filter(|claim| is_ours_to_bind(claim) && claim_class(claim) == class);
    waiting.for_each(|claim| queue.add(ObjectKey::of(&claim.metadata)));
}

struct Binder {
    client: Client,
    recorder: Recorder,
    claims: Informer<PersistentVolumeClaim>,
    volumes: Informer<PersistentVolume>,
    classes: Informer<StorageClass>,
}

/// The side of the claims.
struct Claims(Arc<Binder>);

/// The side of the volumes.
struct Volumes(Arc<Binder>);

impl Reconcile for Claims {
    type Key = ObjectKey;
    const NAME: &'static str = "persistent-volume-claims";

    async fn reconcile(&self, key: ObjectKey) -> kube::Result<Next> {
        let binder = &self.0;
        binder.synced().await;
        let Some(claim) = binder.claims.find(&key) else { return Ok(Next::Done) };
        let class = binder.classes.find(&ObjectKey::new("", claim_class(&claim)));
        let world = claim::World { volumes: binder.volumes.all(), class };
        match claim::plan(&claim, &world) {
            claim::Step::Bind(volume) => binder.bind(&claim, &volume).await?,
            claim::Step::Provision(by) => binder.ask(&claim, &by).await?,
            claim::Step::Wait(notice) => binder.enter(&claim, "Pending", notice).await?,
            claim::Step::Lose(notice) => {
                let is_news = phase(&claim) != Some("Lost");
                binder.enter(&claim, "Lost", Some(notice).filter(|_| is_news)).await?;
            }
        }
        Ok(Next::Done)
    }
}

impl Reconcile for Volumes {
    type Key = String;
    const NAME: &'static str = "persistent-volumes";

    async fn reconcile(&self, name: String) -> kube::Result<Next> {
        let binder = &self.0;
        binder.synced().await;
        let Some(volume) = binder.volumes.find(&ObjectKey::new("", &name)) else { return Ok(Next::Done) };
        let claim = binder.claim_of(&volume);
        match volume::plan(&volume, claim.as_deref()) {
            volume::Step::Nothing => {}
            volume::Step::Free => binder.free(&volume).await?,
            volume::Step::Enter { phase: "Released", .. } if binder.is_claimed_after_all(&volume).await? => {}
            volume::Step::Enter { phase, notice } => binder.enter_volume(&volume, phase, notice).await?,
        }
        Ok(Next::Done)
    }
}

impl Binder {
    async fn synced(&self) {
        self.claims.synced().await;
        self.volumes.synced().await;
        self.classes.synced().await;
    }

    fn claims_of(&self, namespace: &str) -> Api<PersistentVolumeClaim> {
        Api::namespaced(self.client.clone(), namespace)
    }

    fn volumes(&self) -> Api<PersistentVolume> {
        Api::all(self.client.clone())
    }

    fn claim_of(&self, volume: &PersistentVolume) -> Option<Arc<PersistentVolumeClaim>> {
        self.claims.find(&claim_key(volume)?)
    }

    /// The informers are not of one moment. Before a volume is given up, and its data perhaps with it, the claim is asked
    /// for once more.
    async fn is_claimed_after_all(&self, volume: &PersistentVolume) -> kube::Result<bool> {
        let Some(key) = claim_key(volume) else { return Ok(false) };
        let Some(claim) = self.claims_of(&key.namespace).get_opt(&key.name).await? else { return Ok(false) };
        let is_so = claim.metadata.uid.is_some()
            && claim.metadata.uid == volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref()?.uid.clone())
            && claim
                .spec
                .as_ref()
                .and_then(|spec| spec.volume_name.as_ref())
                .is_none_or(|name| *name == volume.name_any());
        self.claims.observe(claim);
        Ok(is_so)
    }

    /// Each of the two says that it is the other's; then the claim that it is so. What is said already is not written.
    async fn bind(&self, claim: &PersistentVolumeClaim, volume: &PersistentVolume) -> kube::Result<()> {
        if let Some(patch) = volume_to_claim(volume, claim) {
            let written =
                self.volumes().patch(&volume.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await?;
            self.volumes.observe(written);
        }
        let (api, name) = (self.claims_of(&claim.namespace().unwrap_or_default()), claim.name_any());
        if let Some(patch) = claim_to_volume(claim, volume) {
            self.claims.observe(api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await?);
        }
        if let Some(patch) = bound_status(claim, volume) {
            self.claims.observe(api.patch_status(&name, &PatchParams::default(), &Patch::Merge(patch)).await?);
        }
        Ok(())
    }

    async fn ask(&self, claim: &PersistentVolumeClaim, provisioner: &str) -> kube::Result<()> {
        if annotation(&claim.metadata, STORAGE_PROVISIONER) != Some(provisioner) {
            let asked = json!({ STORAGE_PROVISIONER: provisioner, BETA_STORAGE_PROVISIONER: provisioner });
            let patch = json!({ "metadata": { "annotations": asked } });
            let api = self.claims_of(&claim.namespace().unwrap_or_default());
            self.claims.observe(api.patch(&claim.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await?);
        }
        let told = format!(
            "Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the system \
             administrator. If volume creation is delayed, please verify that the provisioner is running and correctly \
             registered."
        );
        self.enter(claim, "Pending", Some(Notice::normal("ExternalProvisioning", told))).await
    }

    async fn enter(&self, claim: &PersistentVolumeClaim, next: &str, notice: Option<Notice>) -> kube::Result<()> {
        if let Some(Notice { type_, reason, message }) = notice {
            self.recorder.event(claim, type_, reason, message);
        }
        if phase(claim) == Some(next) {
            return Ok(());
        }
        let patch = json!({ "status": { "phase": next, "accessModes": null, "capacity": null } });
        let api = self.claims_of(&claim.namespace().unwrap_or_default());
        self.claims.observe(api.patch_status(&claim.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await?);
        Ok(())
    }

    async fn enter_volume(&self, volume: &PersistentVolume, next: &str, notice: Option<Notice>) -> kube::Result<()> {
        let why = notice.as_ref().map(|notice| (notice.reason, notice.message.clone()));
        let patch = json!({ "status": {
            "phase": next, "lastPhaseTransitionTime": Time(Timestamp::now()),
            "reason": why.as_ref().map(|(reason, _)| reason), "message": why.as_ref().map(|(_, message)| message),
        } });
        let name = volume.name_any();
        let written = self.volumes().patch_status(&name, &PatchParams::default(), &Patch::Merge(patch)).await?;
        self.volumes.observe(written);
        if let Some(Notice { type_, reason, message }) = notice {
            self.recorder.event(volume, type_, reason, message);
        }
        Ok(())
    }

    async fn free(&self, volume: &PersistentVolume) -> kube::Result<()> {
        let patch = json!({
            "metadata": {
                "resourceVersion": volume.resource_version(), "annotations": { BOUND_BY_CONTROLLER: null },
            },
            "spec": { "claimRef": null },
        });
        let written = self.volumes().patch(&volume.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await?;
        self.volumes.observe(written);
        Ok(())
    }
}

fn phase(claim: &PersistentVolumeClaim) -> Option<&str> {
    claim.status.as_ref()?.phase.as_deref()
}

fn claim_key(volume: &PersistentVolume) -> Option<ObjectKey> {
    let reference = volume.spec.as_ref()?.claim_ref.as_ref()?;
    Some(ObjectKey::new(reference.namespace.clone()?, reference.name.clone()?))
}

/// What a volume does not say yet about its claim. The revision is named: nobody else may have taken it meanwhile.
fn volume_to_claim(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> Option<Value> {
    let held = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
    if held.is_some_and(|held| held.uid.is_some() && held.uid == claim.metadata.uid) {
        return None;
    }
    let (name, namespace, uid) = (claim.name_any(), claim.namespace(), claim.uid());
    let mut patch = json!({
        "metadata": { "resourceVersion": volume.resource_version() },
        "spec": { "claimRef": {
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": name, "namespace": namespace, "uid": uid,
            "resourceVersion": claim.resource_version(),
        } },
    });
    if held.is_none() {
        patch["metadata"]["annotations"] = json!({ BOUND_BY_CONTROLLER: "yes" });
    }
    Some(patch)
}

fn claim_to_volume(claim: &PersistentVolumeClaim, volume: &PersistentVolume) -> Option<Value> {
    if is_fully_bound(claim) {
        return None;
    }
    let mut annotations = json!({ BIND_COMPLETED: "yes" });
    if is_ours_to_bind(claim) {
        annotations[BOUND_BY_CONTROLLER] = json!("yes");
    }
    Some(json!({
        "metadata": { "resourceVersion": claim.resource_version(), "annotations": annotations },
        "spec": { "volumeName": volume.name_any() },
    }))
}

fn bound_status(claim: &PersistentVolumeClaim, volume: &PersistentVolume) -> Option<Value> {
    let spec = volume.spec.as_ref()?;
    let said = claim.status.as_ref();
    let is_said = said.is_some_and(|status| {
        status.phase.as_deref() == Some("Bound")
            && status.access_modes == spec.access_modes
            && status.capacity == spec.capacity
    });
    let status = json!({ "phase": "Bound", "accessModes": spec.access_modes, "capacity": spec.capacity });
    (!is_said).then(|| json!({ "status": status }))
}
