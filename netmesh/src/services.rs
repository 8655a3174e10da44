use std::net::IpAddr;
use std::pin::pin;

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
        self.take_in(&mut table, self.api().into_iter().collect());
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

    /// The API, where it listens on this host: an endpoint that no slice lists if it is an address of the host's loopback.
    fn api(&self) -> Option<Change> {
        let service = ObjectName { namespace: "default".into(), name: "kubernetes".into() };
        let port = ServicePort { service: service.clone(), port: "https".into() };
        let node = Some(self.node_name.as_str().into());
        let listed = [Listed { port, address: self.mesh.api()?, stage: Stage::Ready, node }].into();
        // No object can have this name.
        let name = ObjectName { namespace: "default".into(), name: "the API of this process".into() };
        Some(Change::Slice(Slice { name, owner: Some(service), listed, hosts: Vec::new() }))
    }

    fn take_in(&mut self, table: &mut Table, changes: Vec<Change>) {
        for change in changes {
            self.mesh.shared().directory.apply(&change);
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
        }
    }
}
