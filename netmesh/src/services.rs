use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Client;
use tokio_util::sync::CancellationToken;

use crate::backends::Stage;
use crate::events::Events;
use crate::follow::{Follow, watch};
use crate::host_ports::HostPorts;
use crate::mesh::{Frontend as Opened, Mesh};
use crate::table::{Change, Door, Effect, Listed, ObjectName, ServicePort, Slice, Table};

/// What this node wants of its Services.
#[derive(Debug, Clone)]
pub struct NetmeshConfig {
    /// This node's name, for Events, and to know which endpoints are its own.
    pub node_name: String,
    /// The host's address at which node ports are listened to.
    pub node_port_address: IpAddr,
}

/// Makes the Services of the cluster reachable at this node: at ports of the host, and from its Pods by address and name.
pub struct Services {
    client: Client,
    mesh: Mesh,
    node_name: String,
    host_ports: HostPorts,
}

impl Services {
    /// Prepares to serve; nothing is watched or listened to before [`Services::run`], and whoever looks a name up waits for
    /// that.
    pub fn new(client: Client, mesh: Mesh, config: NetmeshConfig) -> Self {
        mesh.shared().listed.expect();
        let NetmeshConfig { node_name, node_port_address } = config;
        let events = Events::new(client.clone(), node_name.clone());
        let host_ports = HostPorts::new(node_port_address, mesh.clone(), events);
        Self { client, mesh, node_name, host_ports }
    }

    /// Watches Services and EndpointSlices, and keeps the node ports as they say, until `shutdown`; then finishes the
    /// requests that are under way. Dropping the future closes everything at once.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut slices = pin!(watch::<EndpointSlice>(&self.client));
        let mut services = pin!(watch::<Service>(&self.client));
        let mut slices_seen = Follow::default();
        let mut services_seen = Follow::default();
        let mut table = Table::new(&self.node_name);
        self.take_in(&mut table, self.of_this_process());
        loop {
            // A port opens only when its endpoints are known: until then "refused" is truer than "none is ready".
            let changes = tokio::select! {
                () = shutdown.cancelled() => break,
                Some(event) = slices.next() => slices_seen.on(event),
                Some(event) = services.next(), if slices_seen.is_listed() => services_seen.on(event),
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
                Door::Host(protocol, number) => self.host_ports.open(protocol, number, frontend, backends),
                Door::Cluster(protocol, address) => {
                    frontends.open(protocol, address, Opened::new(backends, frontend.scope, frontend.affinity));
                }
            },
            Effect::Close(Door::Host(protocol, number)) => self.host_ports.close(protocol, number),
            Effect::Close(Door::Cluster(protocol, address)) => frontends.close(protocol, address),
            Effect::Ports(service, ports) => self.mesh.shared().ports.replace(service, ports),
        }
    }
}
