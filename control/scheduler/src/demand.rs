use std::collections::BTreeSet;

use carob_reconcile::{ObjectKey, controller_of};
use k8s_openapi::api::core::v1::{Pod, PodSpec, PodStatus};

use crate::resources::{Resources, requests, requests_for_score};

/// What a Pod takes on a node: computed once, counted on the node while the Pod is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    pub(crate) key: ObjectKey,
    pub(crate) uid: String,
    pub(crate) requests: Resources,
    pub(crate) requests_for_score: Resources,
    pub(crate) host_ports: BTreeSet<HostPort>,
    /// The uid of the Pod's controller: its siblings should stand on other nodes.
    pub(crate) siblings: Option<String>,
}

/// A port of the host that a container wants for itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HostPort {
    pub(crate) port: i32,
    pub(crate) protocol: String,
    /// `0.0.0.0` when any address is meant.
    pub(crate) address: String,
}

impl HostPort {
    pub(crate) fn conflicts(&self, other: &Self) -> bool {
        const ANY: &str = "0.0.0.0";
        self.port == other.port
            && self.protocol == other.protocol
            && (self.address == other.address || self.address == ANY || other.address == ANY)
    }
}

impl Demand {
    pub(crate) fn of(pod: &Pod) -> Self {
        let (no_spec, no_status) = (PodSpec::default(), PodStatus::default());
        let (spec, status) = (pod.spec.as_ref().unwrap_or(&no_spec), pod.status.as_ref().unwrap_or(&no_status));
        Self {
            key: ObjectKey::of(&pod.metadata),
            uid: pod.metadata.uid.clone().unwrap_or_default(),
            requests: requests(spec, status),
            requests_for_score: requests_for_score(spec),
            host_ports: host_ports(spec),
            siblings: controller_of(&pod.metadata).map(|owner| owner.uid.clone()),
        }
    }
}

fn host_ports(spec: &PodSpec) -> BTreeSet<HostPort> {
    let sidecars = spec.init_containers.iter().flatten();
    let sidecars = sidecars.filter(|container| container.restart_policy.as_deref() == Some("Always"));
    let ports = spec.containers.iter().chain(sidecars).flat_map(|container| container.ports.iter().flatten());
    ports
        .filter_map(|port| {
            Some(HostPort {
                port: port.host_port.filter(|port| *port > 0)?,
                protocol: port.protocol.clone().unwrap_or_else(|| "TCP".into()),
                address: port.host_ip.clone().filter(|ip| !ip.is_empty()).unwrap_or_else(|| "0.0.0.0".into()),
            })
        })
        .collect()
}
