//! Carries out what is planned.

use std::path::PathBuf;
use std::sync::Arc;

use carob_reconcile::{EventType, Informer, Informers, Next, ObjectKey, Queue, Reconcile, Recorder, recorder};
use carob_volumes::annotations::SELECTED_NODE;
use carob_volumes::{LOCAL_PATH, claim_class};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use super::folders::Folders;
use super::plan::{ClaimStep, VolumeStep, claim_step, volume, volume_name, volume_step};

const WORKERS: usize = 2;

/// Provides volumes under `root` for ever, as the node `node`.
pub(crate) async fn run(client: Client, node: String, root: PathBuf) {
    let informers = Informers::new(client.clone());
    let (recorder, writer) = recorder(client.clone(), LOCAL_PATH);
    let provisioner = Arc::new(Provisioner {
        client,
        node,
        recorder,
        folders: Folders::new(root),
        claims: informers.of(),
        volumes: informers.of(),
        classes: informers.of(),
    });
    let (claims, volumes) = (Arc::new(Queue::new()), Arc::new(Queue::new()));
    let wake = claims.clone();
    provisioner.claims.on_change(move |change| {
        change.new.iter().for_each(|claim| wake.add(ObjectKey::of(&claim.metadata)));
    });
    let wake = volumes.clone();
    provisioner.volumes.on_change(move |change| change.new.iter().for_each(|volume| wake.add(volume.name_any())));
    tokio::join!(
        carob_reconcile::run(Arc::new(Claims(provisioner.clone())), claims, WORKERS),
        carob_reconcile::run(Arc::new(Volumes(provisioner)), volumes, WORKERS),
        writer.run(),
    );
}

struct Provisioner {
    client: Client,
    node: String,
    recorder: Recorder,
    folders: Folders,
    claims: Informer<PersistentVolumeClaim>,
    volumes: Informer<PersistentVolume>,
    classes: Informer<StorageClass>,
}

/// The side of the claims.
struct Claims(Arc<Provisioner>);

/// The side of the volumes.
struct Volumes(Arc<Provisioner>);

impl Reconcile for Claims {
    type Key = ObjectKey;
    const NAME: &'static str = "local-path-claims";

    async fn reconcile(&self, key: ObjectKey) -> kube::Result<Next> {
        let own = &self.0;
        own.classes.synced().await;
        let Some(claim) = own.claims.find(&key) else { return Ok(Next::Done) };
        let class = own.classes.find(&ObjectKey::new("", claim_class(&claim)));
        match (claim_step(&claim, class.as_deref(), &own.node), class) {
            (ClaimStep::Select, _) => own.select(&claim).await?,
            (ClaimStep::Make, Some(class)) => own.make(&claim, &class).await?,
            (ClaimStep::Refuse(why), Some(class)) => {
                let told = format!("failed to provision volume with StorageClass {:?}: {why}", class.name_any());
                own.recorder.event(&*claim, EventType::Warning, "ProvisioningFailed", told);
            }
            _ => {}
        }
        Ok(Next::Done)
    }
}

impl Reconcile for Volumes {
    type Key = String;
    const NAME: &'static str = "local-path-volumes";

    async fn reconcile(&self, name: String) -> kube::Result<Next> {
        let own = &self.0;
        let Some(volume) = own.volumes.find(&ObjectKey::new("", &name)) else { return Ok(Next::Done) };
        match volume_step(&volume, &own.folders.of(&name), &own.node) {
            VolumeStep::Nothing => {}
            VolumeStep::Delete => own.delete(&volume).await?,
            VolumeStep::LetGo { remove } => own.let_go(&volume, remove).await?,
        }
        Ok(Next::Done)
    }
}

impl Provisioner {
    fn volumes(&self) -> Api<PersistentVolume> {
        Api::all(self.client.clone())
    }

    /// Of several nodes the first to write gets the claim.
    async fn select(&self, claim: &PersistentVolumeClaim) -> kube::Result<()> {
        let patch = json!({
            "metadata": { "resourceVersion": claim.resource_version(), "annotations": { SELECTED_NODE: self.node } },
        });
        let api: Api<PersistentVolumeClaim> =
            Api::namespaced(self.client.clone(), &claim.namespace().unwrap_or_default());
        self.claims.observe(api.patch(&claim.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await?);
        Ok(())
    }

    /// The folder first: a volume that anybody can see is there.
    async fn make(&self, claim: &PersistentVolumeClaim, class: &StorageClass) -> kube::Result<()> {
        let name = volume_name(claim);
        let folder = self.folders.make(&name).await.map_err(|error| {
            let told = format!("failed to provision volume with StorageClass {:?}: {error}", class.name_any());
            self.recorder.event(claim, EventType::Warning, "ProvisioningFailed", told);
            kube::Error::Service(Box::new(error))
        })?;
        let wanted = volume(claim, class, &folder, &self.node);
        match self.volumes().create(&PostParams::default(), &wanted).await {
            Ok(made) => {
                self.volumes.observe(made);
                let told = format!("Successfully provisioned volume {name}");
                self.recorder.event(claim, EventType::Normal, "ProvisioningSucceeded", told);
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn delete(&self, volume: &PersistentVolume) -> kube::Result<()> {
        let exactly = Preconditions { uid: volume.uid(), resource_version: volume.resource_version() };
        let params = DeleteParams::default().preconditions(exactly);
        match self.volumes().delete(&volume.name_any(), &params).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            deleted => deleted.map(|_| ()),
        }
    }

    /// Only this node's own finalizer is left.
    async fn let_go(&self, volume: &PersistentVolume, remove: bool) -> kube::Result<()> {
        let name = volume.name_any();
        if remove {
            self.folders.remove(&name).await.map_err(|error| {
                let told = format!("the volume's folder cannot be removed: {error}");
                self.recorder.event(volume, EventType::Warning, "VolumeFailedDelete", told);
                kube::Error::Service(Box::new(error))
            })?;
        }
        let patch = json!({ "metadata": { "resourceVersion": volume.resource_version(), "finalizers": [] } });
        match self.volumes().patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            written => written.map(|_| ()),
        }
    }
}
