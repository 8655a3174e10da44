//! Pure: a Service's backends and its slices go in, writes come out. What stays the same stays where it is, so that a
//! change of one endpoint rewrites one slice.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;

use crate::claim::controller_reference;
use crate::endpoints::backends::{Backend, Port, Ports, labels};

pub(crate) const SERVICE_NAME: &str = "kubernetes.io/service-name";
pub(crate) const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const MANAGER: &str = "endpointslice-controller.k8s.io";
const PER_SLICE: usize = 100;

/// One write.
#[derive(Debug)]
pub(crate) enum Action {
    /// A slice that is not there yet.
    Create(Box<EndpointSlice>),
    /// What the slice should be now.
    Update(Box<EndpointSlice>),
    /// A slice that nothing is left of.
    Delete(Arc<EndpointSlice>),
}

/// Plans the slices of one Service, for each of its IP families.
pub(crate) fn plan(service: &Service, backends: &[Backend], existing: &[Arc<EndpointSlice>]) -> Vec<Action> {
    let families = families(service);
    let is_foreign = |slice: &&Arc<EndpointSlice>| !families.contains(&slice.address_type.as_str());
    let mut actions: Vec<_> = existing.iter().filter(is_foreign).cloned().map(Action::Delete).collect();
    for family in families {
        let existing: Vec<_> = existing.iter().filter(|slice| slice.address_type == family).cloned().collect();
        actions.extend(plan_family(service, family, backends, &existing));
    }
    actions
}

fn families(service: &Service) -> Vec<&str> {
    let families = service.spec.as_ref().and_then(|spec| spec.ip_families.as_deref()).unwrap_or_default();
    if families.is_empty() { vec!["IPv4"] } else { families.iter().map(String::as_str).collect() }
}

fn plan_family(service: &Service, family: &str, backends: &[Backend], existing: &[Arc<EndpointSlice>]) -> Vec<Action> {
    let mut groups: BTreeMap<Ports, Vec<Endpoint>> = BTreeMap::new();
    for backend in backends {
        if let Some(endpoint) = endpoint(backend, family) {
            groups.entry(backend.ports.clone()).or_default().push(endpoint);
        }
    }
    if groups.is_empty() {
        // One empty slice says that the Service is known and has nobody.
        groups.insert(Ports::new(), Vec::new());
    }
    let (mut actions, mut kept) = (Vec::new(), Vec::new());
    for (ports, endpoints) in groups {
        let here: Vec<_> = existing.iter().filter(|slice| slice_ports(slice) == ports).cloned().collect();
        actions.extend(plan_group(service, family, &ports, endpoints, &here));
        kept.push(ports);
    }
    let is_left_over = |slice: &&Arc<EndpointSlice>| !kept.contains(&slice_ports(slice));
    actions.extend(existing.iter().filter(is_left_over).cloned().map(Action::Delete));
    actions
}

/// Endpoints stay in the slice where they are; new ones fill what has room, then new slices.
fn plan_group(
    service: &Service,
    family: &str,
    ports: &[Port],
    endpoints: Vec<Endpoint>,
    existing: &[Arc<EndpointSlice>],
) -> Vec<Action> {
    let is_empty = endpoints.is_empty();
    let mut wanted: HashMap<String, Endpoint> = HashMap::new();
    let mut order = Vec::new();
    for endpoint in endpoints {
        order.push(identity(&endpoint));
        wanted.insert(identity(&endpoint), endpoint);
    }
    let mut contents: Vec<Vec<Endpoint>> = existing
        .iter()
        .map(|slice| {
            let present = slice.endpoints.iter().flatten();
            present.filter_map(|endpoint| wanted.remove(&identity(endpoint))).take(PER_SLICE).collect()
        })
        .collect();
    let mut rest = order.iter().filter_map(|identity| wanted.remove(identity)).peekable();
    for content in &mut contents {
        while content.len() < PER_SLICE && rest.peek().is_some() {
            content.extend(rest.next());
        }
    }
    while rest.peek().is_some() {
        contents.push(rest.by_ref().take(PER_SLICE).collect());
    }
    if is_empty && contents.is_empty() {
        contents.push(Vec::new());
    }
    writes(service, family, ports, contents, existing)
}

fn writes(
    service: &Service,
    family: &str,
    ports: &[Port],
    contents: Vec<Vec<Endpoint>>,
    existing: &[Arc<EndpointSlice>],
) -> Vec<Action> {
    let mut actions = Vec::new();
    let all_empty = contents.iter().all(Vec::is_empty);
    for (index, content) in contents.into_iter().enumerate() {
        // Of slices that all are empty, the first remains.
        let is_needed = !content.is_empty() || all_empty && index == 0;
        match existing.get(index) {
            Some(slice) if !is_needed => actions.push(Action::Delete(slice.clone())),
            Some(slice) => actions.extend(update(service, slice, content)),
            None => actions.push(Action::Create(Box::new(new_slice(service, family, ports, content)))),
        }
    }
    actions
}

fn update(service: &Service, slice: &Arc<EndpointSlice>, content: Vec<Endpoint>) -> Option<Action> {
    let labels = slice_labels(service);
    let is_same = slice.endpoints.as_deref().unwrap_or_default() == content && slice.labels() == &labels;
    let mut slice = slice.as_ref().clone();
    slice.endpoints = Some(content);
    slice.metadata.labels = Some(labels);
    (!is_same).then(|| Action::Update(Box::new(slice)))
}

fn new_slice(service: &Service, family: &str, ports: &[Port], endpoints: Vec<Endpoint>) -> EndpointSlice {
    EndpointSlice {
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-", service.name_any())),
            namespace: service.namespace(),
            labels: Some(slice_labels(service)),
            owner_references: Some(vec![controller_reference(service)]),
            ..ObjectMeta::default()
        },
        address_type: family.to_owned(),
        endpoints: Some(endpoints),
        ports: Some(ports.iter().map(endpoint_port).collect()),
    }
}

fn slice_labels(service: &Service) -> BTreeMap<String, String> {
    let mut labels = labels(service);
    labels.insert(SERVICE_NAME.into(), service.name_any());
    labels.insert(MANAGED_BY.into(), MANAGER.into());
    labels
}

/// Whether this slice is ours to plan.
pub(crate) fn is_ours(slice: &EndpointSlice) -> bool {
    slice.labels().get(MANAGED_BY).is_some_and(|manager| manager == MANAGER)
}

fn identity(endpoint: &Endpoint) -> String {
    let pod = endpoint.target_ref.as_ref().and_then(|target| target.uid.clone()).unwrap_or_default();
    format!("{pod} {}", endpoint.addresses.join(","))
}

fn endpoint(backend: &Backend, family: &str) -> Option<Endpoint> {
    let is_of_family = |address: &&IpAddr| address.is_ipv6() == (family == "IPv6");
    let address = backend.addresses.iter().find(is_of_family)?;
    Some(Endpoint {
        addresses: vec![address.to_string()],
        conditions: Some(EndpointConditions {
            ready: Some(backend.ready),
            serving: Some(backend.serving),
            terminating: Some(backend.terminating),
        }),
        hostname: backend.hostname.clone(),
        node_name: backend.node.clone(),
        target_ref: Some(backend.pod.clone()),
        ..Endpoint::default()
    })
}

pub(crate) fn endpoint_port(port: &Port) -> EndpointPort {
    EndpointPort {
        name: Some(port.name.clone()),
        port: Some(port.number),
        protocol: Some(port.protocol.clone()),
        app_protocol: port.application.clone(),
    }
}

pub(crate) fn slice_ports(slice: &EndpointSlice) -> Ports {
    let ports = slice.ports.iter().flatten();
    ports
        .map(|port| Port {
            name: port.name.clone().unwrap_or_default(),
            number: port.port.unwrap_or_default(),
            protocol: port.protocol.clone().unwrap_or_else(|| "TCP".into()),
            application: port.app_protocol.clone(),
        })
        .collect()
}

#[cfg(test)]
#[path = "slices_tests.rs"]
mod tests;
