//! Reads Kubernetes objects into what the zone knows.

use std::net::IpAddr;

use carob_net::Protocol;
use k8s_openapi::api::core::v1::{Namespace, Service as ServiceObject, ServiceSpec};
use k8s_openapi::api::discovery::v1::{Endpoint as EndpointObject, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::zone::{Change, Endpoint, Namespaced, Service, ServicePort, Slice};

/// On every EndpointSlice: the Service it belongs to.
const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";

/// A kind of object that gives names.
pub(crate) trait Named {
    /// What it says as long as it is there.
    fn present(&self) -> Change;
    /// What is so when it is gone.
    fn gone(&self) -> Change;
}

impl Named for Namespace {
    fn present(&self) -> Change {
        Change::Namespace(text(&self.metadata.name))
    }

    fn gone(&self) -> Change {
        Change::NamespaceGone(text(&self.metadata.name))
    }
}

impl Named for ServiceObject {
    fn present(&self) -> Change {
        match self.spec.as_ref().and_then(service) {
            Some(service) => Change::Service(name(&self.metadata), service),
            None => self.gone(),
        }
    }

    fn gone(&self) -> Change {
        Change::ServiceGone(name(&self.metadata))
    }
}

impl Named for EndpointSlice {
    fn present(&self) -> Change {
        match slice(self) {
            Some(slice) => Change::Slice(name(&self.metadata), slice),
            None => self.gone(),
        }
    }

    fn gone(&self) -> Change {
        Change::SliceGone(name(&self.metadata))
    }
}

fn text(field: &Option<String>) -> String {
    field.as_deref().unwrap_or_default().to_ascii_lowercase()
}

fn name(metadata: &ObjectMeta) -> Namespaced {
    Namespaced { namespace: text(&metadata.namespace), name: text(&metadata.name) }
}

/// A Service that waits for its address has no name yet.
fn service(spec: &ServiceSpec) -> Option<Service> {
    if spec.type_.as_deref() == Some("ExternalName") {
        let other = text(&spec.external_name);
        return Some(Service::External(other.trim_end_matches('.').to_owned())).filter(|_| !other.is_empty());
    }
    if spec.cluster_ip.as_deref() == Some("None") {
        return Some(Service::Headless { publish_not_ready: spec.publish_not_ready_addresses == Some(true) });
    }
    let all = spec.cluster_ips.iter().flatten().chain(&spec.cluster_ip);
    let mut addresses: Vec<IpAddr> = all.filter_map(|ip| ip.parse().ok()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    let ports = spec.ports.iter().flatten().filter_map(|port| named_port(&port.name, &port.protocol, Some(port.port)));
    (!addresses.is_empty()).then(|| Service::Cluster { addresses, ports: ports.collect() })
}

fn slice(object: &EndpointSlice) -> Option<Slice> {
    let service = object.metadata.labels.as_ref()?.get(SERVICE_NAME_LABEL)?;
    let service = Namespaced { namespace: text(&object.metadata.namespace), name: service.to_ascii_lowercase() };
    let ports = object.ports.iter().flatten();
    let ports = ports.filter_map(|port| named_port(&port.name, &port.protocol, port.port)).collect();
    Some(Slice { service, ports, endpoints: object.endpoints.iter().flatten().flat_map(endpoints).collect() })
}

/// One for each address. A slice of address type FQDN has host names there, which are nobody's address.
fn endpoints(object: &EndpointObject) -> impl Iterator<Item = Endpoint> {
    let hostname = object.hostname.as_deref().filter(|name| !name.is_empty()).map(str::to_ascii_lowercase);
    // What is not said counts as ready, as the API defines it.
    let ready = object.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true);
    let addresses = object.addresses.iter().filter_map(|address| address.parse().ok());
    addresses.map(move |address| Endpoint { address, hostname: hostname.clone(), ready })
}

/// A port without a name has no SRV record. SCTP is not carried.
fn named_port(name: &Option<String>, protocol: &Option<String>, port: Option<i32>) -> Option<ServicePort> {
    let name = text(name);
    let protocol = match protocol.as_deref() {
        None | Some("TCP") => Protocol::Tcp,
        Some("UDP") => Protocol::Udp,
        _ => return None,
    };
    let port = u16::try_from(port?).ok().filter(|port| *port != 0)?;
    (!name.is_empty()).then_some(ServicePort { name, protocol, port })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    fn service_of(spec: Value) -> Change {
        let object = json!({"metadata": {"namespace": "shop", "name": "web"}, "spec": spec});
        from_value::<ServiceObject>(object).unwrap().present()
    }

    fn named() -> Namespaced {
        Namespaced { namespace: "shop".into(), name: "web".into() }
    }

    #[test]
    fn a_service_is_what_its_type_and_its_addresses_say() {
        let port = |name: &str, protocol, port| ServicePort { name: name.into(), protocol, port };
        let ports = json!([
            {"name": "http", "port": 80}, {"port": 81}, {"name": "dns", "port": 53, "protocol": "UDP"},
            {"name": "s", "port": 1, "protocol": "SCTP"},
        ]);
        let cluster = Service::Cluster {
            addresses: vec!["10.96.0.9".parse().unwrap(), "fd00::9".parse().unwrap()],
            ports: vec![port("http", Protocol::Tcp, 80), port("dns", Protocol::Udp, 53)],
        };
        for (spec, expected) in [
            (json!({"clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9", "fd00::9"], "ports": ports}), Some(cluster)),
            (json!({"clusterIP": "None"}), Some(Service::Headless { publish_not_ready: false })),
            (
                json!({"clusterIP": "None", "publishNotReadyAddresses": true}),
                Some(Service::Headless { publish_not_ready: true }),
            ),
            (
                json!({"type": "ExternalName", "externalName": "DB.Example."}),
                Some(Service::External("db.example".into())),
            ),
            (json!({"ports": []}), None),
        ] {
            let expected = expected.map_or(Change::ServiceGone(named()), |service| Change::Service(named(), service));
            assert_eq!(service_of(spec.clone()), expected, "{spec}");
        }
    }

    #[test]
    fn a_slice_lists_every_address_with_its_name_and_readiness() {
        let object = json!({
            "metadata": {"namespace": "shop", "name": "web-x", "labels": {SERVICE_NAME_LABEL: "web"}},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080}, {"port": 1}],
            "endpoints": [
                {"addresses": ["10.0.0.1"], "hostname": "First", "conditions": {"ready": true}},
                {"addresses": ["10.0.0.2"]},
                {"addresses": ["10.0.0.3"], "conditions": {"ready": false}},
                {"addresses": ["host.example"]},
            ],
        });
        let endpoint = |ip: &str, hostname: Option<&str>, ready| Endpoint {
            address: ip.parse().unwrap(),
            hostname: hostname.map(str::to_owned),
            ready,
        };
        let expected = Slice {
            service: named(),
            ports: vec![ServicePort { name: "http".into(), protocol: Protocol::Tcp, port: 8080 }],
            endpoints: vec![
                endpoint("10.0.0.1", Some("first"), true),
                endpoint("10.0.0.2", None, true),
                endpoint("10.0.0.3", None, false),
            ],
        };
        let name = Namespaced { namespace: "shop".into(), name: "web-x".into() };
        assert_eq!(from_value::<EndpointSlice>(object).unwrap().present(), Change::Slice(name.clone(), expected));
        let stray = json!({
            "metadata": {"namespace": "shop", "name": "web-x"},
            "addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"]}],
        });
        assert_eq!(from_value::<EndpointSlice>(stray).unwrap().present(), Change::SliceGone(name));
    }
}
