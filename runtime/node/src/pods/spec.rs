//! What a Pod's spec says, with the defaults filled in.

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};

use super::probe::ProbeKind;
use super::slot::{Role, Slot, as_container};
use crate::logs::PodRef;

/// A Pod is read through this.
pub(crate) trait PodExt {
    fn spec(&self) -> Option<&PodSpec>;
    fn reference(&self) -> PodRef;
    fn deletion(&self) -> Option<Timestamp>;

    fn init_count(&self) -> usize {
        self.spec().and_then(|spec| spec.init_containers.as_ref()).map_or(0, Vec::len)
    }

    /// How many containers are not ephemeral.
    fn lasting_count(&self) -> usize {
        self.init_count() + self.spec().map_or(0, |spec| spec.containers.len())
    }

    /// All containers, in the order of their [`Slot`]s.
    fn containers(&self) -> impl Iterator<Item = Cow<'_, Container>> {
        let spec = self.spec();
        let init = spec.and_then(|spec| spec.init_containers.as_deref()).unwrap_or_default();
        let main = spec.map(|spec| &spec.containers[..]).unwrap_or_default();
        let ephemeral = spec.and_then(|spec| spec.ephemeral_containers.as_deref()).unwrap_or_default();
        let lasting = init.iter().chain(main).map(Cow::Borrowed);
        lasting.chain(ephemeral.iter().map(|container| Cow::Owned(as_container(container))))
    }

    /// Whether any container mounts a volume.
    fn mounts_any(&self) -> bool {
        self.containers().any(|container| container.volume_mounts.as_ref().is_some_and(|mounts| !mounts.is_empty()))
    }

    fn container(&self, slot: Slot) -> Option<Cow<'_, Container>> {
        self.containers().nth(slot.0)
    }

    fn slot(&self, name: &str) -> Option<Slot> {
        self.containers().position(|container| container.name == name).map(Slot)
    }

    fn role(&self, slot: Slot) -> Role {
        let init = self.spec().and_then(|spec| spec.init_containers.as_ref()?.get(slot.0));
        match init {
            Some(container) if container.restart_policy.as_deref() == Some("Always") => Role::Sidecar,
            Some(_) => Role::Init,
            None if slot.0 < self.lasting_count() => Role::Main,
            None => Role::Ephemeral,
        }
    }

    fn has_pre_stop(&self, slot: Slot) -> bool {
        let lifecycle = self.container(slot).and_then(|container| container.lifecycle.clone());
        lifecycle.is_some_and(|lifecycle| lifecycle.pre_stop.is_some())
    }

    /// How long a container may take to end.
    fn grace(&self) -> Duration {
        seconds(self.spec().and_then(|spec| spec.termination_grace_period_seconds).unwrap_or(30))
    }

    /// How long a container may take to end that failed this probe.
    fn grace_after(&self, slot: Slot, failed: ProbeKind) -> Duration {
        let container = self.container(slot);
        let own = container.and_then(|container| failed.of(&container)?.termination_grace_period_seconds);
        own.map_or_else(|| self.grace(), seconds)
    }

    /// How long it may be on a node at all.
    fn active_deadline(&self) -> Option<Duration> {
        self.spec()?.active_deadline_seconds.map(seconds)
    }
}

fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(seconds.try_into().unwrap_or(0))
}

impl PodExt for Pod {
    fn spec(&self) -> Option<&PodSpec> {
        self.spec.as_ref()
    }

    fn reference(&self) -> PodRef {
        PodRef {
            namespace: self.metadata.namespace.clone().unwrap_or_default(),
            name: self.metadata.name.clone().unwrap_or_default(),
            uid: self.metadata.uid.clone().unwrap_or_default(),
        }
    }

    /// When it must be gone, if it is being deleted.
    fn deletion(&self) -> Option<Timestamp> {
        self.metadata.deletion_timestamp.as_ref().map(|time| time.0)
    }
}

/// The ports on which a container that serves HTTP answers: those it declares; where it declares none, 8080, as
/// `wasmtime serve` does.
pub(crate) fn http_ports(container: &Container) -> Vec<u16> {
    let declared: Vec<u16> = container
        .ports
        .iter()
        .flatten()
        .filter(|port| port.protocol.as_deref().unwrap_or("TCP") == "TCP")
        .filter_map(|port| port.container_port.try_into().ok())
        .collect();
    if declared.is_empty() { vec![8080] } else { declared }
}
