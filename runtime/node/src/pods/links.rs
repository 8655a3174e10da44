//! The Services that a container finds in its environment, in the way of Docker's links.

use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Service, ServicePort};
use kube::api::ResourceExt;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};

/// The cluster's own Service, which every container finds.
const MASTER: (&str, &str) = ("default", "kubernetes");

/// The Services of the cluster. Cloning shares them.
#[derive(Clone)]
pub(crate) struct Links {
    services: Store<Service>,
}

/// Keeps [`Links`] true.
pub(crate) struct ServiceWatch {
    client: Client,
    writer: Writer<Service>,
}

impl ServiceWatch {
    /// Follows the Services. Ends never.
    pub(crate) async fn run(self) {
        let all = watcher(Api::<Service>::all(self.client), watcher::Config::default()).default_backoff();
        let lean = all.modify(|service| service.managed_fields_mut().clear());
        let mut events = reflector::reflector(self.writer, lean).boxed();
        while let Some(event) = events.next().await {
            if let Err(error) = event {
                tracing::warn!(%error, "the watch of Services failed; it is tried again");
            }
        }
    }
}

impl Links {
    /// What is known of the Services, and the watch that has to run for it.
    pub(crate) fn new(client: Client) -> (Links, ServiceWatch) {
        let (services, writer) = reflector::store();
        (Links { services }, ServiceWatch { client, writer })
    }

    /// The variables for a Pod of `namespace`: of that namespace's Services if it wants them, and of the cluster's own.
    pub(crate) async fn variables(&self, namespace: &str, wanted: bool) -> Vec<(String, String)> {
        // It fails only when the node ends.
        let _ = self.services.wait_until_ready().await;
        let seen = |service: &Arc<Service>| {
            let (own, name) = (service.namespace().unwrap_or_default(), service.name_any());
            (wanted && own == namespace) || (own.as_str(), name.as_str()) == MASTER
        };
        let mut services: Vec<_> = self.services.state().into_iter().filter(seen).collect();
        // A Service of the Pod's own namespace comes last, and wins.
        services.sort_by_key(|service| (service.namespace().as_deref() == Some(namespace), service.name_any()));
        services.iter().flat_map(|service| of_service(service)).collect()
    }
}

fn of_service(service: &Service) -> Vec<(String, String)> {
    let spec = service.spec.clone().unwrap_or_default();
    let ip = spec.cluster_ip.filter(|ip| !ip.is_empty() && ip != "None");
    let (Some(ip), Some(ports)) = (ip, spec.ports.filter(|ports| !ports.is_empty())) else { return Vec::new() };
    let name = variable(&service.name_any());
    let mut variables =
        vec![(format!("{name}_SERVICE_HOST"), ip.clone()), (format!("{name}_SERVICE_PORT"), ports[0].port.to_string())];
    for port in &ports {
        if let Some(own) = port.name.as_ref().filter(|own| !own.is_empty()) {
            variables.push((format!("{name}_SERVICE_PORT_{}", variable(own)), port.port.to_string()));
        }
    }
    variables.push((format!("{name}_PORT"), url(&ip, &ports[0])));
    ports.iter().for_each(|port| variables.extend(of_port(&name, &ip, port)));
    variables
}

fn of_port(service: &str, ip: &str, port: &ServicePort) -> [(String, String); 4] {
    let protocol = protocol(port);
    let prefix = format!("{service}_PORT_{}_{}", port.port, protocol.to_uppercase());
    [
        (prefix.clone(), url(ip, port)),
        (format!("{prefix}_PROTO"), protocol),
        (format!("{prefix}_PORT"), port.port.to_string()),
        (format!("{prefix}_ADDR"), ip.to_owned()),
    ]
}

fn url(ip: &str, port: &ServicePort) -> String {
    let host = if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() };
    format!("{}://{host}:{}", protocol(port), port.port)
}

fn protocol(port: &ServicePort) -> String {
    port.protocol.as_deref().unwrap_or("TCP").to_lowercase()
}

fn variable(name: &str) -> String {
    name.replace('-', "_").to_uppercase()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service(spec: serde_json::Value) -> Vec<(String, String)> {
        let service = json!({"metadata": {"namespace": "ns", "name": "my-db"}, "spec": spec});
        of_service(&serde_json::from_value(service).unwrap())
    }

    #[test]
    fn a_service_is_seven_variables_and_five_for_each_further_named_port() {
        let found = service(json!({
            "clusterIP": "10.0.0.1",
            "ports": [{"name": "sql-x", "port": 5432}, {"name": "dns", "port": 53, "protocol": "UDP"}],
        }));
        let expected = [
            ("MY_DB_SERVICE_HOST", "10.0.0.1"),
            ("MY_DB_SERVICE_PORT", "5432"),
            ("MY_DB_SERVICE_PORT_SQL_X", "5432"),
            ("MY_DB_SERVICE_PORT_DNS", "53"),
            ("MY_DB_PORT", "tcp://10.0.0.1:5432"),
            ("MY_DB_PORT_5432_TCP", "tcp://10.0.0.1:5432"),
            ("MY_DB_PORT_5432_TCP_PROTO", "tcp"),
            ("MY_DB_PORT_5432_TCP_PORT", "5432"),
            ("MY_DB_PORT_5432_TCP_ADDR", "10.0.0.1"),
            ("MY_DB_PORT_53_UDP", "udp://10.0.0.1:53"),
            ("MY_DB_PORT_53_UDP_PROTO", "udp"),
            ("MY_DB_PORT_53_UDP_PORT", "53"),
            ("MY_DB_PORT_53_UDP_ADDR", "10.0.0.1"),
        ];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn one_without_an_address_is_none() {
        for spec in [json!({"clusterIP": "None", "ports": [{"port": 1}]}), json!({"ports": [{"port": 1}]}), json!({})] {
            assert_eq!(service(spec), []);
        }
    }
}
