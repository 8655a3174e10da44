//! Reads Kubernetes objects into what the table knows.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Service as ServiceObject, ServicePort as ServicePortObject};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};
use kube::core::ObjectMeta;

use crate::table::{NodePort, ObjectName, Service, ServicePort, Slice};

/// On every EndpointSlice: the Service it belongs to.
const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";

pub(crate) fn name(metadata: &ObjectMeta) -> ObjectName {
    let text = |field: &Option<String>| Arc::from(field.as_deref().unwrap_or_default());
    ObjectName { namespace: text(&metadata.namespace), name: text(&metadata.name) }
}

/// The node ports that a Service asks for. UDP and SCTP are not carried.
pub(crate) fn service(object: &ServiceObject) -> Service {
    let name = name(&object.metadata);
    let uid = Arc::from(object.metadata.uid.as_deref().unwrap_or_default());
    let ports = object.spec.iter().filter_map(|spec| spec.ports.as_ref()).flatten();
    let node_ports = ports.filter(|port| is_tcp(&port.protocol)).filter_map(|port| node_port(&name, &uid, port));
    Service { node_ports: node_ports.collect(), name }
}

fn node_port(service: &ObjectName, uid: &Arc<str>, port: &ServicePortObject) -> Option<NodePort> {
    let number = u16::try_from(port.node_port?).ok().filter(|number| *number != 0)?;
    Some(NodePort { number, target: service_port(service, &port.name), uid: uid.clone() })
}

/// The ready endpoints in a slice: each address with each port. A slice of no Service has none.
pub(crate) fn slice(object: &EndpointSlice) -> Slice {
    let name = name(&object.metadata);
    let owner = object.metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE_NAME_LABEL));
    let ready = owner.map(|owner| {
        let service = ObjectName { namespace: name.namespace.clone(), name: owner.as_str().into() };
        ready_endpoints(&service, object)
    });
    Slice { ready: ready.unwrap_or_default(), name }
}

fn ready_endpoints(service: &ObjectName, object: &EndpointSlice) -> HashSet<(ServicePort, SocketAddr)> {
    let ports = object.ports.iter().flatten().filter(|port| is_tcp(&port.protocol));
    ports.filter_map(|port| Some((service_port(service, &port.name), port_number(port)?))).fold(
        HashSet::new(),
        |mut ready, (port, number)| {
            let addresses = object.endpoints.iter().flatten().filter(|endpoint| is_ready(endpoint)).flat_map(addresses);
            ready.extend(addresses.map(|ip| (port.clone(), SocketAddr::new(ip, number))));
            ready
        },
    )
}

fn service_port(service: &ObjectName, name: &Option<String>) -> ServicePort {
    ServicePort { service: service.clone(), port: name.as_deref().unwrap_or_default().into() }
}

fn port_number(port: &EndpointPort) -> Option<u16> {
    port.port.and_then(|number| u16::try_from(number).ok())
}

fn is_tcp(protocol: &Option<String>) -> bool {
    protocol.as_deref().is_none_or(|protocol| protocol == "TCP")
}

/// What is not said counts as ready, as the API defines it.
fn is_ready(endpoint: &Endpoint) -> bool {
    endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
}

/// A slice of address type FQDN has host names here, which are nobody's Pod.
fn addresses(endpoint: &Endpoint) -> impl Iterator<Item = IpAddr> {
    endpoint.addresses.iter().filter_map(|address| address.parse().ok())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    fn slice_of(ports: Value, endpoints: Value) -> Vec<String> {
        let object = json!({
            "metadata": {"namespace": "default", "name": "web-x", "labels": {SERVICE_NAME_LABEL: "web"}},
            "addressType": "IPv4", "ports": ports, "endpoints": endpoints,
        });
        let slice = slice(&from_value(object).unwrap());
        let mut ready: Vec<_> = slice.ready.iter().map(|(port, address)| format!("{}={address}", port.port)).collect();
        ready.sort();
        ready
    }

    #[test]
    fn only_tcp_node_ports_of_a_service_are_wished_for() {
        let object = json!({
            "metadata": {"namespace": "default", "name": "web", "uid": "u"},
            "spec": {"ports": [
                {"name": "http", "port": 80, "nodePort": 30080, "protocol": "TCP"},
                {"port": 81, "nodePort": 30081},
                {"name": "dns", "port": 53, "nodePort": 30053, "protocol": "UDP"},
                {"name": "inside", "port": 90},
                {"name": "wrong", "port": 91, "nodePort": 70000},
            ]},
        });
        let service = service(&from_value(object).unwrap());
        let ports: Vec<_> = service.node_ports.iter().map(|port| (port.number, &*port.target.port)).collect();
        assert_eq!(ports, [(30080, "http"), (30081, "")]);
    }

    #[test]
    fn each_ready_address_is_listed_with_each_tcp_port() {
        let ports = json!([{"name": "a", "port": 1}, {"port": 2, "protocol": "TCP"}, {"name": "u", "port": 3, "protocol": "UDP"}]);
        let endpoints = json!([
            {"addresses": ["10.0.0.1"], "conditions": {"ready": true}},
            {"addresses": ["10.0.0.2"]},
            {"addresses": ["10.0.0.3"], "conditions": {"ready": false, "serving": true, "terminating": true}},
            {"addresses": ["not-an-address"]},
        ]);
        assert_eq!(slice_of(ports, endpoints), ["=10.0.0.1:2", "=10.0.0.2:2", "a=10.0.0.1:1", "a=10.0.0.2:1"]);
    }

    #[test]
    fn a_slice_of_no_service_has_no_endpoints() {
        let object = json!({
            "metadata": {"namespace": "default", "name": "stray"},
            "addressType": "IPv4", "ports": [{"port": 1}], "endpoints": [{"addresses": ["10.0.0.1"]}],
        });
        assert!(slice(&from_value(object).unwrap()).ready.is_empty());
    }
}
