//! Reads Kubernetes objects into what the table knows.

mod balancer;
mod pod;

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use carob_net::Protocol;
use k8s_openapi::api::core::v1::{Service as ServiceObject, ServicePort as ServicePortObject, ServiceSpec};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use kube::core::ObjectMeta;

use crate::backends::{Scope, Stage};
use crate::table::{Door, Frontend, Listed, ObjectName, Port, Service, ServicePort, Slice, Sources};
use balancer::Balancer;
pub(crate) use pod::{HostPort, HostPorts, host_ports};

/// On every EndpointSlice: the Service it belongs to.
const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";

/// Three hours, as the API has it.
const DEFAULT_AFFINITY_SECONDS: u64 = 3 * 3600;

pub(crate) fn name(metadata: &ObjectMeta) -> ObjectName {
    let text = |field: &Option<String>| Arc::from(field.as_deref().unwrap_or_default());
    ObjectName { namespace: text(&metadata.namespace), name: text(&metadata.name) }
}

/// Where a Service asks to be reached, at a host that is known by the address `host`. SCTP is not carried.
///
/// `externalIPs` are not served: whoever may write a Service could take the traffic for any address by them
/// (CVE-2020-8554), which is why Kubernetes deprecates them as well.
pub(crate) fn service(object: &ServiceObject, host: IpAddr) -> Service {
    let name = name(&object.metadata);
    let Some(spec) = &object.spec else {
        return Service { name, frontends: Vec::new(), ports: Vec::new() };
    };
    let uid: Arc<str> = Arc::from(object.metadata.uid.as_deref().unwrap_or_default());
    let cluster_ips = cluster_ips(spec);
    let affinity = affinity(spec);
    let (internal, external) = (scope(&spec.internal_traffic_policy), scope(&spec.external_traffic_policy));
    let balancer = Balancer::of(object, host);
    let mut frontends = Vec::new();
    for port in spec.ports.iter().flatten() {
        let (Some(protocol), Some(own)) = (protocol(&port.protocol), number(port.port)) else { continue };
        let target = service_port(&name, &port.name);
        let frontend = |door, scope, sources: Sources| Frontend {
            door,
            target: target.clone(),
            uid: uid.clone(),
            affinity,
            scope,
            sources,
        };
        let at = |ip: &IpAddr| Door::Cluster(protocol, SocketAddr::new(*ip, own));
        let inside = cluster_ips.iter().map(|ip| frontend(at(ip), internal, Sources::default()));
        let node = port.node_port.and_then(number).map(|number| Door::Node(protocol, number));
        let node = node.map(|door| frontend(door, external, Sources::default()));
        frontends.extend(inside.chain(node));
        if let Some(balancer) = &balancer {
            let here = balancer.is_here.then_some(Door::Balancer(protocol, own));
            frontends.extend(here.map(|door| frontend(door, external, balancer.sources.clone())));
            // From Pods it is only another name of the Service.
            frontends.extend(balancer.from_pods.iter().map(|ip| frontend(at(ip), Scope::Cluster, Sources::default())));
        }
    }
    let health = spec.health_check_node_port.and_then(number).map(Door::Health);
    let health = health.zip(frontends.first().cloned());
    frontends.extend(health.map(|(door, of)| Frontend { door, sources: Sources::default(), ..of }));
    let is_external = spec.type_.as_deref() == Some("ExternalName");
    let ports = if is_external { Vec::new() } else { tcp_ports(&name, spec) };
    Service { name, frontends, ports }
}

fn scope(policy: &Option<String>) -> Scope {
    if policy.as_deref() == Some("Local") { Scope::Node } else { Scope::Cluster }
}

fn tcp_ports(name: &ObjectName, spec: &ServiceSpec) -> Vec<Port> {
    let tcp = spec.ports.iter().flatten().filter(|port| protocol(&port.protocol) == Some(Protocol::Tcp));
    let affinity = affinity(spec);
    let port = |port: &ServicePortObject| {
        Some(Port { number: number(port.port)?, target: service_port(name, &port.name), affinity })
    };
    tcp.filter_map(port).collect()
}

fn cluster_ips(spec: &ServiceSpec) -> Vec<IpAddr> {
    let all = spec.cluster_ips.as_deref().unwrap_or_default().iter().chain(&spec.cluster_ip);
    let mut ips: Vec<IpAddr> = all.filter_map(|ip| ip.parse().ok()).collect();
    ips.sort_unstable();
    ips.dedup();
    ips
}

fn affinity(spec: &ServiceSpec) -> Option<Duration> {
    let config = spec.session_affinity_config.as_ref().and_then(|config| config.client_ip.as_ref());
    let seconds = config.and_then(|config| config.timeout_seconds).and_then(|seconds| seconds.try_into().ok());
    let timeout = Duration::from_secs(seconds.unwrap_or(DEFAULT_AFFINITY_SECONDS));
    (spec.session_affinity.as_deref() == Some("ClientIP")).then_some(timeout)
}

/// The endpoints in a slice that flows may go to: each address with each port. A slice of no Service has none.
pub(crate) fn slice(object: &EndpointSlice) -> Slice {
    let name = name(&object.metadata);
    let owner = object.metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE_NAME_LABEL));
    let owner = owner.map(|owner| ObjectName { namespace: name.namespace.clone(), name: owner.as_str().into() });
    let listed = owner.map(|service| listed(&service, object)).unwrap_or_default();
    Slice { name, listed }
}

fn listed(service: &ObjectName, object: &EndpointSlice) -> HashSet<Listed> {
    let ports = object.ports.iter().flatten().filter(|port| protocol(&port.protocol).is_some());
    let ports = ports.filter_map(|port| Some((service_port(service, &port.name), number(port.port?)?)));
    let on = |(port, number): (ServicePort, u16)| {
        let staged = object.endpoints.iter().flatten().filter_map(|endpoint| Some((endpoint, stage(endpoint)?)));
        staged.flat_map(move |(endpoint, stage)| {
            let (port, node) = (port.clone(), endpoint.node_name.as_deref().map(Arc::from));
            addresses(endpoint).into_iter().map(move |ip| Listed {
                port: port.clone(),
                address: SocketAddr::new(ip, number),
                stage,
                node: node.clone(),
            })
        })
    };
    ports.flat_map(on).collect()
}

fn service_port(service: &ObjectName, name: &Option<String>) -> ServicePort {
    ServicePort { service: service.clone(), port: name.as_deref().unwrap_or_default().into() }
}

fn number(port: i32) -> Option<u16> {
    u16::try_from(port).ok().filter(|number| *number != 0)
}

fn protocol(protocol: &Option<String>) -> Option<Protocol> {
    match protocol.as_deref() {
        None | Some("TCP") => Some(Protocol::Tcp),
        Some("UDP") => Some(Protocol::Udp),
        _ => None,
    }
}

/// What is not said counts as ready, as the API defines it.
fn is_ready(endpoint: &Endpoint) -> bool {
    endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
}

/// What the endpoint is good for, if for anything.
fn stage(endpoint: &Endpoint) -> Option<Stage> {
    let is = |condition: Option<bool>| condition == Some(true);
    let conditions = endpoint.conditions.clone().unwrap_or_default();
    match is_ready(endpoint) {
        true => Some(Stage::Ready),
        false => (is(conditions.serving) && is(conditions.terminating)).then_some(Stage::Terminating),
    }
}

/// A slice of address type FQDN has host names here, which are nobody's Pod.
fn addresses(endpoint: &Endpoint) -> Vec<IpAddr> {
    endpoint.addresses.iter().filter_map(|address| address.parse().ok()).collect()
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
        let text = |listed: &Listed| match (listed.stage, listed.node.as_deref()) {
            (Stage::Ready, None) => format!("{}={}", listed.port.port, listed.address),
            (stage, node) => format!("{}={} {stage:?} {}", listed.port.port, listed.address, node.unwrap_or_default()),
        };
        let mut ready: Vec<_> = slice.listed.iter().map(text).collect();
        ready.sort();
        ready
    }

    const HOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn doors_of(spec: Value) -> Vec<String> {
        doors_with(spec, json!([]))
    }

    fn doors_with(spec: Value, ingress: Value) -> Vec<String> {
        let object = json!({
            "metadata": {"namespace": "default", "name": "web", "uid": "u"}, "spec": spec,
            "status": {"loadBalancer": {"ingress": ingress}},
        });
        let service = service(&from_value(object).unwrap(), HOST);
        let door = |frontend: &Frontend| match frontend.door {
            Door::Node(protocol, number) => format!("{}={protocol:?} host:{number}", frontend.target.port),
            Door::Balancer(protocol, number) => format!("{}={protocol:?} balancer:{number}", frontend.target.port),
            Door::Health(number) => format!("health:{number}"),
            Door::Cluster(protocol, address) => format!("{}={protocol:?} {address}", frontend.target.port),
        };
        let door = |frontend: &Frontend| match frontend.scope {
            Scope::Cluster => door(frontend),
            Scope::Node => format!("{} here", door(frontend)),
        };
        service.frontends.iter().map(door).collect()
    }

    #[test]
    fn a_service_is_reached_at_its_cluster_ips_and_at_its_node_ports() {
        let ports = json!([
            {"name": "http", "port": 80, "nodePort": 30080, "protocol": "TCP"},
            {"port": 81, "nodePort": 30081},
            {"name": "dns", "port": 53, "nodePort": 30053, "protocol": "UDP"},
            {"name": "inside", "port": 90},
            {"name": "wrong", "port": 91, "nodePort": 70000},
            {"name": "other", "port": 92, "protocol": "SCTP"},
        ]);
        let doors = doors_of(json!({"clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9"], "ports": ports}));
        assert_eq!(
            doors,
            [
                "http=Tcp 10.96.0.9:80",
                "http=Tcp host:30080",
                "=Tcp 10.96.0.9:81",
                "=Tcp host:30081",
                "dns=Udp 10.96.0.9:53",
                "dns=Udp host:30053",
                "inside=Tcp 10.96.0.9:90",
                "wrong=Tcp 10.96.0.9:91",
            ]
        );
    }

    #[test]
    fn each_way_in_has_its_own_policy() {
        let doors = |internal: &str, external: &str| {
            doors_of(json!({"type": "NodePort", "clusterIP": "10.96.0.9", "ports": [{"port": 80, "nodePort": 30080}],
                "internalTrafficPolicy": internal, "externalTrafficPolicy": external}))
        };
        assert_eq!(doors("Local", "Cluster"), ["=Tcp 10.96.0.9:80 here", "=Tcp host:30080"]);
        assert_eq!(doors("Cluster", "Local"), ["=Tcp 10.96.0.9:80", "=Tcp host:30080 here"]);
    }

    #[test]
    fn a_load_balancer_is_reached_at_the_hosts_that_its_status_names() {
        let doors = |more: Value, ips: &[&str]| {
            let mut spec = json!({"type": "LoadBalancer", "ports": [{"port": 80}]});
            spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            doors_with(spec, ips.iter().map(|ip| json!({"ip": ip})).collect())
        };
        let here = "=Tcp balancer:80";
        assert_eq!(doors(json!({}), &[]), [""; 0], "nobody has said yet who balances it");
        assert_eq!(doors(json!({}), &["192.0.2.1"]), [here, "=Tcp 192.0.2.1:80"]);
        assert_eq!(doors(json!({}), &["192.0.2.9"]), ["=Tcp 192.0.2.9:80"], "other hosts do");
        assert_eq!(doors(json!({}), &["127.0.0.1"]), [""; 0], "a Pod's loopback is its own");
        let others = json!({"loadBalancerClass": "example.com/other"});
        assert_eq!(doors(others, &["192.0.2.1"]), ["=Tcp 192.0.2.1:80"], "whoever does that listens there");
        let local = json!({"externalTrafficPolicy": "Local", "healthCheckNodePort": 30999});
        let told = [here.to_owned() + " here", "=Tcp 192.0.2.1:80".into(), "health:30999 here".into()];
        assert_eq!(doors(local, &["192.0.2.1"]), told);
        let some = json!({"loadBalancerSourceRanges": ["192.0.2.0/24"]});
        assert_eq!(doors(some, &["192.0.2.1"]), [here], "Pods are none of those who may");
    }

    #[test]
    fn a_headless_or_external_service_has_no_door() {
        let headless = json!({"clusterIP": "None", "clusterIPs": ["None"], "ports": [{"port": 80}]});
        assert_eq!(doors_of(headless), [] as [String; 0]);
        let external = json!({"type": "ExternalName", "externalName": "db.example", "ports": [{"port": 80}]});
        let object = json!({"metadata": {"namespace": "default", "name": "db"}, "spec": external});
        let service = service(&from_value(object).unwrap(), HOST);
        assert!(service.frontends.is_empty());
    }

    #[test]
    fn tcp_ports_are_known_by_number_and_name_also_of_a_headless_service() {
        let ports = json!([
            {"name": "http", "port": 80}, {"port": 81, "protocol": "TCP"}, {"name": "dns", "port": 53, "protocol": "UDP"},
        ]);
        let ports_of = |spec: Value| -> Vec<String> {
            let object = json!({"metadata": {"namespace": "default", "name": "web"}, "spec": spec});
            let service = service(&from_value(object).unwrap(), HOST);
            service.ports.iter().map(|port| format!("{}={}", port.target.port, port.number)).collect()
        };
        assert_eq!(ports_of(json!({"clusterIP": "None", "ports": ports})), ["http=80", "=81"]);
        let external = json!({"type": "ExternalName", "externalName": "db.example", "ports": ports});
        assert_eq!(ports_of(external), [""; 0]);
    }

    #[test]
    fn clients_are_kept_for_as_long_as_the_service_says() {
        let kept = |spec: Value| affinity(&from_value(spec).unwrap()).map(|timeout| timeout.as_secs());
        assert_eq!(kept(json!({})), None);
        assert_eq!(kept(json!({"sessionAffinity": "None"})), None);
        assert_eq!(kept(json!({"sessionAffinity": "ClientIP"})), Some(10800));
        let config = json!({"clientIP": {"timeoutSeconds": 60}});
        assert_eq!(kept(json!({"sessionAffinity": "ClientIP", "sessionAffinityConfig": config})), Some(60));
    }

    #[test]
    fn each_ready_address_is_listed_with_each_port_that_is_carried() {
        let ports = json!([
            {"name": "a", "port": 1}, {"port": 2, "protocol": "TCP"}, {"name": "u", "port": 3, "protocol": "UDP"},
            {"name": "s", "port": 4, "protocol": "SCTP"},
        ]);
        let endpoints = json!([
            {"addresses": ["10.0.0.1"], "conditions": {"ready": true}},
            {"addresses": ["10.0.0.2"]},
            {"addresses": ["10.0.0.3"], "conditions": {"ready": false}},
            {"addresses": ["not-an-address"]},
        ]);
        assert_eq!(
            slice_of(ports, endpoints),
            ["=10.0.0.1:2", "=10.0.0.2:2", "a=10.0.0.1:1", "a=10.0.0.2:1", "u=10.0.0.1:3", "u=10.0.0.2:3"]
        );
    }

    #[test]
    fn who_is_about_to_end_is_listed_while_it_serves() {
        let on = |serving: bool, terminating: bool| {
            let conditions = json!({"ready": false, "serving": serving, "terminating": terminating});
            slice_of(
                json!([{"port": 1}]),
                json!([{"addresses": ["10.0.0.1"], "conditions": conditions, "nodeName": "a"}]),
            )
        };
        assert_eq!(on(true, true), ["=10.0.0.1:1 Terminating a"]);
        assert_eq!([on(false, true), on(true, false), on(false, false)].concat(), [""; 0]);
    }

    #[test]
    fn a_slice_of_no_service_has_no_endpoints() {
        let object = json!({
            "metadata": {"namespace": "default", "name": "stray"},
            "addressType": "IPv4", "ports": [{"port": 1}], "endpoints": [{"addresses": ["10.0.0.1"]}],
        });
        assert!(slice(&from_value(object).unwrap()).listed.is_empty());
    }
}
