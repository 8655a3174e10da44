//! Brings each volume of a Pod to what it should be, now.

use std::any::Any;
use std::collections::HashSet;
use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;

use carob_engine::Quota;
use carob_volumes::node_selector::NodeView;
use futures::future::{BoxFuture, select_all};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    EmptyDirVolumeSource, PersistentVolumeClaimVolumeSource, Pod, ProjectedVolumeSource, ServiceAccountTokenProjection,
    Volume as VolumeSpec,
};
use kube::Resource;
use serde::de::DeserializeOwned;

use super::charge::PodMemory;
use super::error::VolumeError;
use super::objects::Watch;
use super::payload::{self, Payload};
use super::projected::Sources;
use super::token::{self, Token};
use super::{
    Claimed, Failed, Inputs, Place, PodVolumes, Volume, atomic, claim, downward_api, empty_dir, host_path, keyed,
    projected,
};
use crate::pods::PodExt;

/// What one look at a Pod's volumes found.
#[derive(Default)]
pub(super) struct Look {
    pub(super) failed: Vec<Failed>,
    /// When a token has to be renewed.
    pub(super) renew_at: Option<Timestamp>,
    changes: Vec<BoxFuture<'static, ()>>,
    watched: Vec<Arc<dyn Any + Send + Sync>>,
}

impl Look {
    /// Ends when an object that was looked at has changed since.
    pub(super) async fn changed(&mut self) {
        if self.changes.is_empty() {
            std::future::pending::<()>().await;
        }
        select_all(&mut self.changes).await;
    }

    /// The object behind a watch; a change after this moment is noticed.
    async fn see<K>(&mut self, watch: Arc<Watch<K>>) -> Result<Option<Arc<K>>, VolumeError>
    where
        K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    {
        self.changes.push(watch.changed());
        self.watched.push(watch.clone());
        watch.get().await
    }
}

impl PodVolumes {
    /// Sets up what is not there yet, and writes what has changed.
    pub(super) async fn look(&self, pod: &Pod) -> Look {
        let mut look = Look::default();
        let mounts = pod.containers().flat_map(|one| one.into_owned().volume_mounts.unwrap_or_default());
        let wanted: HashSet<String> = mounts.map(|mount| mount.name).collect();
        let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
        for volume in volumes.filter(|volume| wanted.contains(&volume.name)) {
            if let Err(error) = self.set_up(pod, volume, &mut look).await {
                look.failed.push(Failed { volume: volume.name.clone(), error });
            }
        }
        // Those that were watched before are let go only now, so that what is watched still is not asked for again.
        self.known.lock().watched = std::mem::take(&mut look.watched);
        look
    }

    async fn set_up(&self, pod: &Pod, volume: &VolumeSpec, look: &mut Look) -> Result<(), VolumeError> {
        let name = volume.name.as_str();
        if self.known.lock().mounted.get(name).is_some_and(|mounted| !mounted.live) {
            return Ok(());
        }
        if let Some(payload) = self.payload(pod, volume, look).await? {
            return self.write(name, payload).await;
        }
        let mounted = self.mount_once(pod, volume, look).await?;
        self.known.lock().mounted.insert(name.to_owned(), mounted);
        Ok(())
    }

    /// The files of a volume that is made of files, if it is.
    async fn payload(&self, pod: &Pod, volume: &VolumeSpec, look: &mut Look) -> Result<Option<Payload>, VolumeError> {
        let objects = &self.context.objects;
        let namespace = &self.pod.namespace;
        let allocatable = |resource: &str| self.context.allocatable.get(resource).cloned();
        let inputs = Inputs { pod, allocatable: &allocatable };
        if let Some(source) = &volume.config_map {
            let found = look.see(objects.config_map(namespace, &source.name)).await?;
            let mode = payload::mode(source.default_mode, super::DEFAULT_MODE);
            let items = source.items.as_deref();
            return keyed::files(found.as_deref(), &source.name, items, source.optional, mode).map(Some);
        }
        if let Some(source) = &volume.secret {
            let found = look.see(objects.secret(namespace, source.secret_name.as_deref().unwrap_or_default())).await?;
            let mode = payload::mode(source.default_mode, super::DEFAULT_MODE);
            let (name, items) = (source.secret_name.as_deref().unwrap_or_default(), source.items.as_deref());
            return keyed::files(found.as_deref(), name, items, source.optional, mode).map(Some);
        }
        if let Some(source) = &volume.downward_api {
            let (items, mode) = (source.items.as_deref().unwrap_or_default(), source.default_mode);
            let mode = payload::mode(mode, super::DEFAULT_MODE);
            return downward_api::files(pod, items, mode, inputs.allocatable).map(Some);
        }
        let Some(source) = &volume.projected else { return Ok(None) };
        let sources = self.sources(pod, &volume.name, source, look).await?;
        projected::volume(source, &sources, &inputs).map(Some)
    }

    async fn sources(
        &self,
        pod: &Pod,
        volume: &str,
        source: &ProjectedVolumeSource,
        look: &mut Look,
    ) -> Result<Sources, VolumeError> {
        let (objects, namespace) = (&self.context.objects, &self.pod.namespace);
        let mut sources = Sources::default();
        for (n, part) in source.sources.iter().flatten().enumerate() {
            if let Some(map) = &part.config_map {
                sources.config_maps.insert(n, look.see(objects.config_map(namespace, &map.name)).await?);
            }
            if let Some(part) = &part.secret {
                sources.secrets.insert(n, look.see(objects.secret(namespace, &part.name)).await?);
            }
            if let Some(part) = &part.service_account_token {
                let token = self.token(pod, (volume.to_owned(), n), part).await?;
                look.renew_at = Some(look.renew_at.map_or(token.renew_at, |at| at.min(token.renew_at)));
                sources.tokens.insert(n, token.text);
            }
        }
        Ok(sources)
    }

    /// The token that is there, or another when it is time.
    async fn token(
        &self,
        pod: &Pod,
        place: (String, usize),
        source: &ServiceAccountTokenProjection,
    ) -> Result<Token, VolumeError> {
        let now = self.context.clock.now();
        let before = self.known.lock().tokens.get(&place).cloned();
        if let Some(current) = before.as_ref().and_then(|token| token.current(now)) {
            return Ok(current.clone());
        }
        let token = match token::request(&self.context.client, pod, source, now).await {
            Ok(token) => token,
            Err(error) => {
                let kept = before.and_then(|token| token.kept(now)).ok_or(error)?;
                tracing::warn!(
                    pod = self.pod.name,
                    "a token could not be renewed; the one before is kept while it holds"
                );
                kept
            }
        };
        self.known.lock().tokens.insert(place, token.clone());
        Ok(token)
    }

    /// Writes the files, unless they are there already.
    async fn write(&self, name: &str, payload: Payload) -> Result<(), VolumeError> {
        let digest = payload::digest(&payload);
        if self.known.lock().written.get(name) == Some(&digest) {
            return Ok(());
        }
        let (dir, now) = (self.own_folder(name), self.context.clock.now());
        let folder = dir.clone();
        blocking(move || atomic::write(&dir, &payload, now).map_err(VolumeError::disk(&dir))).await?;
        let mut known = self.known.lock();
        known.written.insert(name.to_owned(), digest);
        let mounted = known.mounted.entry(name.to_owned());
        mounted.or_insert_with(|| Volume { read_only: true, live: true, ..Volume::at(Place::Folder(folder)) });
        Ok(())
    }

    /// A volume whose content is not the node's.
    async fn mount_once(&self, pod: &Pod, volume: &VolumeSpec, look: &mut Look) -> Result<Volume, VolumeError> {
        if let Some(source) = &volume.empty_dir {
            return self.empty_dir(pod, &volume.name, source).await;
        }
        if let Some(source) = volume.host_path.clone() {
            let place = blocking(move || host_path::place(&source.path, source.type_.as_deref().unwrap_or_default()));
            return Ok(Volume { foreign: true, ..Volume::at(place.await?) });
        }
        if let Some(source) = &volume.persistent_volume_claim {
            return self.claim(source, look).await;
        }
        if volume.ephemeral.is_some() {
            let claim_name = format!("{}-{}", self.pod.name, volume.name);
            return self.claim(&PersistentVolumeClaimVolumeSource { claim_name, read_only: None }, look).await;
        }
        Err(VolumeError::Unsupported(format!(
            "volume {:?} is of a kind that this node does not have; it has emptyDir, configMap, secret, downwardAPI, \
             projected, hostPath and persistentVolumeClaim",
            volume.name
        )))
    }

    async fn empty_dir(&self, pod: &Pod, name: &str, source: &EmptyDirVolumeSource) -> Result<Volume, VolumeError> {
        let is_memory = empty_dir::is_memory(source);
        let in_memory = is_memory.then(|| self.context.memory.pod(&self.pod.uid)).flatten();
        let folder = in_memory.as_ref().map_or_else(|| self.own_folder(name), |dir| dir.join(name));
        let own = empty_dir::bound(name, source, &self.exceeded);
        self.known.lock().bounds.extend(own.clone());
        let pods = self.bound.clone().filter(|_| in_memory.is_none());
        let memory = in_memory.map(|dir| self.charged(pod, dir));
        let bounds = own.into_iter().chain(pods).collect();
        blocking(move || empty_dir::volume(folder, bounds, memory)).await
    }

    /// What is charged for the memory volumes, which are all in `folder`.
    fn charged(&self, pod: &Pod, folder: PathBuf) -> Arc<PodMemory> {
        let new = || PodMemory::new(self.context.node_memory.clone(), pod, folder);
        self.known.lock().memory.get_or_insert_with(new).clone()
    }

    async fn claim(&self, source: &PersistentVolumeClaimVolumeSource, look: &mut Look) -> Result<Volume, VolumeError> {
        let (objects, namespace) = (&self.context.objects, &self.pod.namespace);
        let claim = look.see(objects.claim(namespace, &source.claim_name)).await?;
        let name = claim::volume_name(source, namespace, claim.as_deref())?.to_owned();
        let volume = look.see(objects.volume(&name)).await?;
        let capacity = volume.as_deref().and_then(claim::capacity);
        let context = self.context.clone();
        let place = blocking(move || {
            let node = NodeView { name: &context.node_name, labels: &context.labels };
            claim::place(&name, volume.as_deref(), node)
        });
        let place = place.await?;
        let bound = capacity.map(|bytes| self.context.capacities.of(place.folder(), bytes));
        Ok(Volume {
            read_only: source.read_only == Some(true),
            foreign: true,
            quota: bound.map(|bound| bound as Arc<dyn Quota>),
            claim: Some(Claimed { name: source.claim_name.clone(), capacity }),
            ..Volume::at(place)
        })
    }

    fn own_folder(&self, volume: &str) -> PathBuf {
        self.context.dirs.volumes(&self.pod).join(volume)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, VolumeError> + Send + 'static,
) -> Result<T, VolumeError> {
    // It only fails when the work panicked or the process ends.
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(VolumeError::Field(error.to_string())))
}
