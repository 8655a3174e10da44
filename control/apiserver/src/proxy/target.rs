//! Whom a proxied request is for.

use std::time::Duration;

use serde_json::Value;

use super::{
    names::{Name, Scheme},
    tls, unreachable,
};
use crate::{
    AsyncReadWrite,
    kubelet::{self, within},
    status::Status,
    verbs::Call,
};

/// How long TLS with a Pod may take to begin.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Whom a request goes on to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The kubelet of a node.
    Node(String),
    /// A port of a Pod.
    Pod { at: PodPort, scheme: Scheme },
}

/// A port of a Pod, and the node that reaches it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PodPort {
    pub(super) node: String,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) port: u16,
}

impl Target {
    pub(super) fn find(call: &Call) -> Result<Self, Status> {
        if call.served.resource.kind == "Node" {
            return call.existing().map(|_| Self::Node(call.address.name.clone()));
        }
        let name = Name::parse(&call.address.name)?;
        let object = call.named(name.name)?.object();
        let at = match call.served.resource.kind {
            "Service" => behind(call, &object, &name)?,
            _ => PodPort::of(&object, pod_port(&object, &name)?)?,
        };
        Ok(Self::Pod { at, scheme: name.scheme })
    }

    /// Whether a connection may become something else on the way.
    pub(super) fn switches(&self) -> bool {
        matches!(self, Self::Pod { .. })
    }

    pub(super) async fn dial(&self, call: &Call) -> Result<Box<dyn AsyncReadWrite>, Status> {
        let (at, scheme) = match self {
            Self::Node(node) => return kubelet::dial(call, node).await,
            Self::Pod { at, scheme } => (at, scheme),
        };
        let stream = kubelet::dial_pod(call, &at.node, &at.namespace, &at.name, at.port).await?;
        match scheme {
            Scheme::Http => Ok(stream),
            Scheme::Https => {
                let spoken = within(HANDSHAKE, tls::connect(stream, &at.name)).await;
                Ok(Box::new(spoken.map_err(|error| unreachable(&error))?))
            }
        }
    }
}

impl PodPort {
    /// A port of a Pod that runs somewhere.
    fn of(pod: &Value, port: u16) -> Result<Self, Status> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (node, name) = (text(&pod["spec"]["nodeName"]), text(&pod["metadata"]["name"]));
        if node.is_empty() || addresses(pod).next().is_none() {
            return Err(unreachable(&format!("pod {name:?} has no address (yet)")));
        }
        Ok(Self { node, namespace: text(&pod["metadata"]["namespace"]), name, port })
    }
}

fn addresses(pod: &Value) -> impl Iterator<Item = &str> {
    pod["status"]["podIPs"].as_array().into_iter().flatten().filter_map(|ip| ip["ip"].as_str())
}

/// The port that was asked for, or the first that the Pod declares, or the one of the scheme.
fn pod_port(pod: &Value, name: &Name<'_>) -> Result<u16, Status> {
    if !name.port.is_empty() {
        let port = name.port.parse().ok().filter(|port| *port > 0);
        return port.ok_or_else(|| Status::bad_request(format!("invalid port {:?}: it is a number", name.port)));
    }
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let declared = containers.flat_map(|one| one["ports"].as_array()).flatten();
    let first = declared.filter_map(|port| port["containerPort"].as_u64()).next();
    Ok(first.and_then(|port| port.try_into().ok()).unwrap_or(if name.scheme == Scheme::Http { 80 } else { 443 }))
}

/// A Pod behind a Service, any of those that are ready.
fn behind(call: &Call, service: &Value, name: &Name<'_>) -> Result<PodPort, Status> {
    let none = || Status::unavailable(format!("no endpoints available for service {:?}", name.name));
    let (namespace, registry) = (&call.address.namespace, call.api.registry());
    let (Some(endpoints), Some(pods)) = (registry.core("endpoints"), registry.core("pods")) else { return Err(none()) };
    let port = service_port(service, name)?;
    let endpoints = endpoints.cache.get(&endpoints.key(namespace, name.name)).ok_or_else(none)?.object();
    let mut found = backends(&endpoints, namespace, port);
    let pod_of = |backend: &Backend| {
        let pod = pods.cache.get(&pods.key(namespace, &backend.pod))?.object();
        // Whoever writes Endpoints by hand does not thereby name the address of another Pod.
        addresses(&pod).any(|ip| ip == backend.ip).then(|| PodPort::of(&pod, backend.port).ok())?
    };
    while !found.is_empty() {
        let one = found.swap_remove(rand::random_range(0..found.len()));
        if let Some(at) = pod_of(&one) {
            return Ok(at);
        }
    }
    Err(none())
}

/// The name of the Service's port that is meant by a number or a name; the one without a name is meant by nothing.
fn service_port<'a>(service: &'a Value, name: &Name<'a>) -> Result<&'a str, Status> {
    let Ok(number) = name.port.parse::<u64>() else { return Ok(name.port) };
    let mut ports = service["spec"]["ports"].as_array().into_iter().flatten();
    let port = ports.find(|port| port["port"].as_u64() == Some(number));
    let port =
        port.ok_or_else(|| Status::unavailable(format!("no service port {number} found for service {:?}", name.name)))?;
    Ok(port["name"].as_str().unwrap_or_default())
}

/// A place at which a Service answers.
#[derive(Debug, PartialEq, Eq)]
struct Backend {
    pod: String,
    ip: String,
    port: u16,
}

/// The Pods of a namespace behind the port of this name.
fn backends(endpoints: &Value, namespace: &str, port: &str) -> Vec<Backend> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut found = Vec::new();
    for subset in list(&endpoints["subsets"]) {
        let number = list(&subset["ports"]).into_iter().find(|one| one["name"].as_str().unwrap_or_default() == port);
        let number = number.and_then(|one| one["port"].as_u64()).and_then(|number| u16::try_from(number).ok());
        let Some(port) = number else { continue };
        for address in list(&subset["addresses"]) {
            let target = &address["targetRef"];
            let is_pod = target["kind"] == "Pod" && target["namespace"] == namespace;
            if let (true, Some(pod), Some(ip)) = (is_pod, target["name"].as_str(), address["ip"].as_str()) {
                found.push(Backend { pod: pod.to_owned(), ip: ip.to_owned(), port });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pods_port_is_the_one_asked_for_or_its_first_or_the_schemes() {
        let pod = json!({"spec": {"containers": [{}, {"ports": [{"containerPort": 8080}, {"containerPort": 9}]}]}});
        let port = |pod: &Value, name: &str| pod_port(pod, &Name::parse(name).unwrap()).ok();
        for (name, expected) in [("p", Some(8080)), ("p:9090", Some(9090)), ("p:http", None), ("p:0", None)] {
            assert_eq!(port(&pod, name), expected, "{name}");
        }
        assert_eq!((port(&json!({}), "p"), port(&json!({}), "https:p:")), (Some(80), Some(443)));
    }

    #[test]
    fn a_services_port_is_known_by_its_number_or_name() {
        let service = json!({"spec": {"ports": [{"port": 80, "name": "web"}, {"port": 81}]}});
        let port = |name: &str| service_port(&service, &Name::parse(name).unwrap()).ok().map(str::to_owned);
        for (name, expected) in [("s:80", Some("web")), ("s:81", Some("")), ("s:web", Some("web")), ("s:82", None)] {
            assert_eq!(port(name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn only_pods_of_the_namespace_are_behind_a_service() {
        let address = |ip: &str, kind: &str, namespace: &str| json!({"ip": ip, "targetRef": {"kind": kind, "namespace": namespace, "name": "p"}});
        let endpoints = json!({"subsets": [
            {"ports": [{"name": "other", "port": 1}], "addresses": [address("10.0.0.1", "Pod", "a")]},
            {"ports": [{"name": "web", "port": 8080}], "addresses": [
                address("10.0.0.2", "Pod", "a"), address("10.0.0.3", "Pod", "b"),
                address("10.0.0.4", "Node", "a"), {"ip": "10.0.0.5"}]},
        ]});
        let expected = Backend { pod: "p".to_owned(), ip: "10.0.0.2".to_owned(), port: 8080 };
        assert_eq!(backends(&endpoints, "a", "web"), [expected]);
        assert_eq!(backends(&endpoints, "a", ""), []);
    }
}
