//! The ports of the host that a Pod asks for.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use carob_net::Protocol;
use k8s_openapi::api::core::v1::{Container, ContainerPort, Pod, PodSpec};

use super::{name, number, protocol};
use crate::table::ObjectName;

/// A Pod's ports of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostPorts {
    pub(crate) name: ObjectName,
    pub(crate) uid: Arc<str>,
    pub(crate) ports: BTreeSet<HostPort>,
}

/// A port of the host that leads to one of a Pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct HostPort {
    pub(crate) protocol: Protocol,
    /// Where it is to be listened at; `None` stands for wherever the host listens for all.
    pub(crate) ip: Option<IpAddr>,
    pub(crate) number: u16,
    pub(crate) to: SocketAddr,
}

/// What a Pod asks for: nothing before it has an address, and nothing any more once it is over.
pub(crate) fn host_ports(pod: &Pod) -> HostPorts {
    let uid = Arc::from(pod.metadata.uid.as_deref().unwrap_or_default());
    let status = pod.status.clone().unwrap_or_default();
    let is_over = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
    let ip = status.pod_ip.and_then(|ip| ip.parse().ok());
    let ports = match (&pod.spec, ip) {
        (Some(spec), Some(ip)) if !is_over && spec.host_network != Some(true) => {
            asked(spec).filter_map(|port| host_port(port, ip)).collect()
        }
        _ => BTreeSet::new(),
    };
    HostPorts { name: name(&pod.metadata), uid, ports }
}

/// The ports of the containers that run as long as the Pod does.
fn asked(spec: &PodSpec) -> impl Iterator<Item = &ContainerPort> {
    let stays = |container: &&Container| container.restart_policy.as_deref() == Some("Always");
    let sidecars = spec.init_containers.iter().flatten().filter(stays);
    spec.containers.iter().chain(sidecars).flat_map(|container| container.ports.iter().flatten())
}

fn host_port(port: &ContainerPort, pod: IpAddr) -> Option<HostPort> {
    let ip = port.host_ip.as_deref().and_then(|ip| ip.parse::<IpAddr>().ok()).filter(|ip| !ip.is_unspecified());
    Some(HostPort {
        protocol: protocol(&port.protocol)?,
        ip,
        number: port.host_port.and_then(number)?,
        to: SocketAddr::new(pod, number(port.container_port)?),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    fn ports_of(spec: Value, status: Value) -> Vec<String> {
        let pod =
            json!({"metadata": {"namespace": "default", "name": "web", "uid": "u"}, "spec": spec, "status": status});
        let told = |port: &HostPort| {
            let ip = port.ip.map_or("*".into(), |ip| ip.to_string());
            format!("{} {ip}:{} to {}", port.protocol, port.number, port.to)
        };
        host_ports(&from_value(pod).unwrap()).ports.iter().map(told).collect()
    }

    #[test]
    fn a_pod_has_the_ports_that_its_containers_ask_for_while_it_has_an_address() {
        let spec = json!({
            "containers": [
                {"name": "a", "ports": [
                    {"containerPort": 8080, "hostPort": 80}, {"containerPort": 9},
                    {"containerPort": 53, "hostPort": 53, "protocol": "UDP", "hostIP": "192.0.2.1"},
                ]},
                {"name": "b", "ports": [
                    {"containerPort": 81, "hostPort": 81, "hostIP": "0.0.0.0"},
                    {"containerPort": 5, "hostPort": 5, "protocol": "SCTP"},
                ]},
            ],
            "initContainers": [
                {"name": "once", "ports": [{"containerPort": 1, "hostPort": 1}]},
                {"name": "sidecar", "restartPolicy": "Always", "ports": [{"containerPort": 2, "hostPort": 2}]},
            ],
        });
        let running = json!({"phase": "Running", "podIP": "10.244.0.2"});
        assert_eq!(
            ports_of(spec.clone(), running.clone()),
            [
                "tcp *:2 to 10.244.0.2:2",
                "tcp *:80 to 10.244.0.2:8080",
                "tcp *:81 to 10.244.0.2:81",
                "udp 192.0.2.1:53 to 10.244.0.2:53",
            ]
        );
        for status in [json!({}), json!({"phase": "Failed", "podIP": "10.244.0.2"})] {
            assert_eq!(ports_of(spec.clone(), status), [""; 0]);
        }
        let mut of_the_host = spec;
        of_the_host["hostNetwork"] = json!(true);
        assert_eq!(ports_of(of_the_host, running), [""; 0]);
    }
}
