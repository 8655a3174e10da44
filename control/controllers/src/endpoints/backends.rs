use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ObjectReference, Pod, Service, ServicePort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;

use crate::pods::{is_over, is_ready, node_name};

/// One Pod behind a Service.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Backend {
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) ports: Ports,
    /// New connections may go to it.
    pub(crate) ready: bool,
    /// It answers, whether or not it is about to end.
    pub(crate) serving: bool,
    pub(crate) terminating: bool,
    pub(crate) hostname: Option<String>,
    pub(crate) node: Option<String>,
    pub(crate) pod: ObjectReference,
}

/// The ports of one group of backends, in the order of the Service's.
pub(crate) type Ports = Vec<Port>;

/// A port of the Service as one Pod offers it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Port {
    pub(crate) name: String,
    pub(crate) number: i32,
    pub(crate) protocol: String,
    pub(crate) application: Option<String>,
}

/// The labels that select the Service's Pods; `None` when somebody else keeps its endpoints.
pub(crate) fn selector(service: &Service) -> Option<&BTreeMap<String, String>> {
    let spec = service.spec.as_ref()?;
    let is_external = spec.type_.as_deref() == Some("ExternalName");
    spec.selector.as_ref().filter(|selector| !selector.is_empty() && !is_external)
}

pub(crate) fn selects(service: &Service, labels: &BTreeMap<String, String>) -> bool {
    selector(service).is_some_and(|selector| selector.iter().all(|(name, value)| labels.get(name) == Some(value)))
}

/// The Service's labels as its endpoints carry them.
pub(crate) fn labels(service: &Service) -> BTreeMap<String, String> {
    let mut labels = service.metadata.labels.clone().unwrap_or_default();
    let cluster_ip = service.spec.as_ref().and_then(|spec| spec.cluster_ip.as_deref());
    labels.remove(HEADLESS);
    if cluster_ip == Some("None") {
        labels.insert(HEADLESS.into(), String::new());
    }
    labels
}

const HEADLESS: &str = "service.kubernetes.io/headless";

/// The Pods of these that stand behind the Service, by name.
pub(crate) fn backends(service: &Service, pods: &[Arc<Pod>]) -> Vec<Backend> {
    pods.iter().filter(|pod| selects(service, pod.labels())).filter_map(|pod| backend(service, pod)).collect()
}

fn backend(service: &Service, pod: &Pod) -> Option<Backend> {
    let addresses = addresses(pod);
    if is_over(pod) || addresses.is_empty() {
        return None;
    }
    let publish = service.spec.as_ref().and_then(|spec| spec.publish_not_ready_addresses).unwrap_or(false);
    let (serving, terminating) = (is_ready(pod), pod.metadata.deletion_timestamp.is_some());
    Some(Backend {
        addresses,
        ports: ports(service, pod),
        ready: publish || serving && !terminating,
        serving,
        terminating,
        hostname: hostname(service, pod),
        node: node_name(pod).map(str::to_owned),
        pod: ObjectReference {
            kind: Some("Pod".into()),
            namespace: pod.namespace(),
            name: Some(pod.name_any()),
            uid: pod.uid(),
            ..ObjectReference::default()
        },
    })
}

fn addresses(pod: &Pod) -> Vec<IpAddr> {
    let Some(status) = &pod.status else { return Vec::new() };
    let all: Vec<IpAddr> = status.pod_ips.iter().flatten().filter_map(|ip| ip.ip.parse().ok()).collect();
    if all.is_empty() { status.pod_ip.iter().filter_map(|ip| ip.parse().ok()).collect() } else { all }
}

/// The Pod's own name in DNS, where it asks for one under this Service.
fn hostname(service: &Service, pod: &Pod) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    let is_here = spec.subdomain.as_deref() == Some(service.name_any().as_str());
    spec.hostname.clone().filter(|name| is_here && !name.is_empty())
}

/// The Service's ports that this Pod offers. A named target port that no container has is left out.
fn ports(service: &Service, pod: &Pod) -> Ports {
    let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_deref()).unwrap_or_default();
    ports
        .iter()
        .filter_map(|port| {
            Some(Port {
                name: port.name.clone().unwrap_or_default(),
                number: target(port, pod)?,
                protocol: protocol(port.protocol.as_deref()).to_owned(),
                application: port.app_protocol.clone(),
            })
        })
        .collect()
}

fn target(port: &ServicePort, pod: &Pod) -> Option<i32> {
    match &port.target_port {
        None | Some(IntOrString::Int(0)) => Some(port.port),
        Some(IntOrString::Int(number)) => Some(*number),
        Some(IntOrString::String(name)) => {
            let containers = &pod.spec.as_ref()?.containers;
            let offered = containers.iter().flat_map(|container| container.ports.iter().flatten());
            let is_meant = |offered: &&k8s_openapi::api::core::v1::ContainerPort| {
                offered.name.as_ref() == Some(name)
                    && protocol(offered.protocol.as_deref()) == protocol(port.protocol.as_deref())
            };
            offered.into_iter().find(is_meant).map(|offered| offered.container_port)
        }
    }
}

fn protocol(protocol: Option<&str>) -> &str {
    protocol.filter(|protocol| !protocol.is_empty()).unwrap_or("TCP")
}
