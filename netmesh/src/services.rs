use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Client;
use kube::runtime::watcher;
use tokio_util::sync::CancellationToken;

use crate::backends::Stage;
use crate::events::Events;
use crate::follow::{Follow, watch, watch_some};
use crate::host_ports::HostPorts;
use crate::mesh::{Frontend as Opened, Mesh};
use crate::objects;
use crate::pod_ports::{PodChange, PodEffect, PodPorts};
use crate::table::{Change, Door, Effect, Listed, ObjectName, ServicePort, Slice, Table};

/// What this node wants of its Services.
#[derive(Debug, Clone)]
pub struct NetmeshConfig {
    /// This node's name, for Events, and to know which endpoints are its own.
    pub node_name: String,
    /// The host's address at which ports are listened to for Services and Pods.
    pub node_port_address: IpAddr,
    /// The address by which clients know this host: load balancers that have it are served here.
    pub host_address: IpAddr,
}

/// Makes the Services of the cluster reachable at this node: at ports of the host, and from its Pods by address and name.
pub struct Services {
    client: Client,
    mesh: Mesh,
    node_name: String,
    host_address: IpAddr,
    host_ports: HostPorts,
}

impl Services {
    /// Prepares to serve; nothing is watched or listened to before [`Services::run`], and whoever looks a name up waits for
    /// that.
    pub fn new(client: Client, mesh: Mesh, config: NetmeshConfig) -> Self {
        mesh.shared().listed.expect();
        let NetmeshConfig { node_name, node_port_address, host_address } = config;
        let events = Events::new(client.clone(), node_name.clone());
        let host_ports = HostPorts::new(node_port_address, mesh.clone(), events);
        Self { client, mesh, node_name, host_address, host_ports }
    }

    /// Watches Services, EndpointSlices and this node's Pods, and keeps the host's ports as they say, until `shutdown`; then
    /// finishes the requests that are under way. Dropping the future closes everything at once.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut slices = pin!(watch::<EndpointSlice>(&self.client));
        let mut services = pin!(watch::<Service>(&self.client));
        let of_this_node = watcher::Config::default().fields(&format!("spec.nodeName={}", self.node_name));
        let mut pods = pin!(watch_some::<Pod>(&self.client, of_this_node));
        let mut slices_seen = Follow::default();
        let mut services_seen = Follow::default();
        let mut pods_seen = Follow::default();
        let mut pod_ports = PodPorts::default();
        let host = self.host_address;
        let mut table = Table::new(&self.node_name);
        self.take_in(&mut table, self.of_this_process());
        loop {
            // A port opens only when its endpoints are known: until then "refused" is truer than "none is ready".
            let changes = tokio::select! {
                () = shutdown.cancelled() => break,
                Some(event) = slices.next() => slices_seen.on(event),
                Some(event) = services.next(), if slices_seen.is_listed() => services_seen.read(
                    event,
                    |service| Change::Service(objects::service(service, host)),
                    Change::ServiceGone,
                ),
                Some(event) = pods.next() => {
                    let present = |pod: &Pod| PodChange::Pod(objects::host_ports(pod));
                    self.take_in_pods(&mut pod_ports, pods_seen.read(event, present, PodChange::Gone));
                    continue;
                }
            };
            self.take_in(&mut table, changes);
            if slices_seen.is_listed() && services_seen.is_listed() {
                self.mesh.shared().listed.complete();
            }
        }
        self.host_ports.drain().await;
    }

    /// The API and DNS, where they listen on this host: endpoints that no slice lists if they are addresses of its loopback.
    fn of_this_process(&self) -> Vec<Change> {
        let config = self.mesh.config();
        let listed = |at: Option<SocketAddr>, (namespace, name): (&str, &str), ports: &[&str]| {
            let at = at?;
            let service = ObjectName { namespace: namespace.into(), name: name.into() };
            let node: Option<Arc<str>> = Some(self.node_name.as_str().into());
            let endpoint = |port: &&str| {
                let port = ServicePort { service: service.clone(), port: Arc::from(*port) };
                Listed { port, address: at, stage: Stage::Ready, node: node.clone() }
            };
            let listed = ports.iter().map(endpoint).collect();
            // No object can have this name.
            let slice = ObjectName { namespace: namespace.into(), name: format!("{name} of this process").into() };
            Some(Change::Slice(Slice { name: slice, listed }))
        };
        let api = listed(config.api, ("default", "kubernetes"), &["https"]);
        let dns = listed(config.dns, ("kube-system", "kube-dns"), &["dns", "dns-tcp"]);
        api.into_iter().chain(dns).collect()
    }

    fn take_in(&mut self, table: &mut Table, changes: Vec<Change>) {
        for change in changes {
            for effect in table.apply(change) {
                self.execute(effect);
            }
        }
    }

    fn execute(&mut self, effect: Effect) {
        let frontends = &self.mesh.shared().frontends;
        match effect {
            Effect::Open(frontend, backends) => match frontend.door {
                Door::Cluster(protocol, address) => {
                    frontends.open(protocol, address, Opened::new(backends, frontend.scope, frontend.affinity));
                }
                _ => self.host_ports.open(frontend, backends),
            },
            Effect::Close(Door::Cluster(protocol, address)) => frontends.close(protocol, address),
            Effect::Ports(service, ports) => self.mesh.shared().ports.replace(service, ports),
            Effect::Close(door) => self.host_ports.close(door),
        }
    }

    fn take_in_pods(&mut self, pod_ports: &mut PodPorts, changes: Vec<PodChange>) {
        for effect in changes.into_iter().flat_map(|change| pod_ports.apply(change)) {
            match effect {
                PodEffect::Open(pod, port) => self.host_ports.open_to_pod(&pod, port),
                PodEffect::Close(pod, port) => self.host_ports.close_to_pod(pod, port),
            }
        }
    }
}
