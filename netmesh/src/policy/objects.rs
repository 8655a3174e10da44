//! Reads Kubernetes objects into what policies look at.

use carob_net::Protocol;
use k8s_openapi::api::core::v1::{Container, Namespace, Pod};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::ResourceExt;

use super::rules::Policy;
use super::state::{Change, NamedPort, PodFacts};
use crate::follow::Watched;
use crate::objects;
use crate::table::ObjectName;

impl Watched for Pod {
    type Change = Change;

    /// A Pod that has ended has no address any more, and one of the host's network has the host's.
    fn present(&self) -> Change {
        let name = objects::name(&self.metadata);
        let phase = self.status.as_ref().and_then(|status| status.phase.as_deref());
        let is_over = matches!(phase, Some("Succeeded" | "Failed"));
        let is_host = self.spec.as_ref().is_some_and(|spec| spec.host_network == Some(true));
        if is_over || is_host { Change::PodGone(name) } else { Change::Pod(name, facts(self)) }
    }

    fn gone(name: ObjectName) -> Change {
        Change::PodGone(name)
    }
}

impl Watched for Namespace {
    type Change = Change;

    fn present(&self) -> Change {
        Change::Namespace(self.name_any().into(), self.labels().clone())
    }

    fn gone(name: ObjectName) -> Change {
        Change::NamespaceGone(name.name)
    }
}

impl Watched for NetworkPolicy {
    type Change = Change;

    fn present(&self) -> Change {
        Change::Policy(Policy::new(objects::name(&self.metadata), self))
    }

    fn gone(name: ObjectName) -> Change {
        Change::PolicyGone(name)
    }
}

fn facts(pod: &Pod) -> PodFacts {
    let (spec, status) = (pod.spec.as_ref(), pod.status.as_ref());
    let addresses = status.and_then(|status| status.pod_ips.as_deref()).unwrap_or_default();
    // Containers that start first and go on have ports as well.
    let starting = spec.and_then(|spec| spec.init_containers.as_deref()).unwrap_or_default();
    let containers = spec.map(|spec| &*spec.containers).unwrap_or_default();
    PodFacts {
        labels: pod.labels().clone(),
        addresses: addresses.iter().filter_map(|address| address.ip.parse().ok()).collect(),
        ports: containers.iter().chain(starting).flat_map(named_ports).collect(),
    }
}

fn named_ports(container: &Container) -> impl Iterator<Item = NamedPort> {
    container.ports.iter().flatten().filter_map(|port| {
        let protocol = match port.protocol.as_deref() {
            None | Some("TCP") => Protocol::Tcp,
            Some("UDP") => Protocol::Udp,
            _ => return None,
        };
        Some(NamedPort { name: port.name.clone()?, protocol, number: port.container_port.try_into().ok()? })
    })
}
