//! What a Pod's spec says, with the defaults filled in.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};

use crate::logs::PodRef;

/// A container by its place: init containers first, then the others, each in the spec's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Slot(pub(crate) usize);

/// When an ended container is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RestartPolicy {
    Always,
    OnFailure,
    Never,
}

impl RestartPolicy {
    pub(crate) fn restarts(self, exit_code: i32) -> bool {
        match self {
            RestartPolicy::Always => true,
            RestartPolicy::OnFailure => exit_code != 0,
            RestartPolicy::Never => false,
        }
    }
}

/// A Pod is read through this.
pub(crate) trait PodExt {
    fn spec(&self) -> Option<&PodSpec>;
    fn reference(&self) -> PodRef;
    fn deletion(&self) -> Option<Timestamp>;

    fn init_count(&self) -> usize {
        self.spec().and_then(|spec| spec.init_containers.as_ref()).map_or(0, Vec::len)
    }

    /// All containers, in the order of their [`Slot`]s.
    fn containers(&self) -> impl Iterator<Item = &Container> {
        let spec = self.spec();
        let init = spec.and_then(|spec| spec.init_containers.as_deref()).unwrap_or_default();
        init.iter().chain(spec.map(|spec| &spec.containers[..]).unwrap_or_default())
    }

    fn container(&self, slot: Slot) -> Option<&Container> {
        self.containers().nth(slot.0)
    }

    fn slot(&self, name: &str) -> Option<Slot> {
        self.containers().position(|container| container.name == name).map(Slot)
    }

    /// When a container is started again: an init container that fails is tried again unless the Pod says never.
    fn restart_policy(&self, slot: Slot) -> RestartPolicy {
        let policy = match self.spec().and_then(|spec| spec.restart_policy.as_deref()) {
            Some("Never") => RestartPolicy::Never,
            Some("OnFailure") => RestartPolicy::OnFailure,
            _ => RestartPolicy::Always,
        };
        match policy {
            RestartPolicy::Always if slot.0 < self.init_count() => RestartPolicy::OnFailure,
            other => other,
        }
    }

    fn grace(&self) -> Duration {
        let seconds = self.spec().and_then(|spec| spec.termination_grace_period_seconds).unwrap_or(30);
        Duration::from_secs(seconds.try_into().unwrap_or(0))
    }
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
