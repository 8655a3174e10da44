//! The ports of the host that are listened to now for Services. Owns every task that serves one.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use carob_net::Protocol;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::backends::Backends;
use crate::events::Events;
use crate::listener::{self, Shared};
use crate::mesh::{Frontend as Opened, Mesh};
use crate::table::Frontend;
use crate::target::Target;
use crate::udp_port;

/// Open connections to all ports together; more wait to be accepted.
const MAX_CONNECTIONS: usize = 16 * 1024;

/// Opens and closes ports as the table says. Dropping it closes them all at once.
pub(crate) struct HostPorts {
    address: IpAddr,
    mesh: Mesh,
    shared: Arc<Shared>,
    open: HashMap<(Protocol, u16), CancellationToken>,
    tasks: JoinSet<()>,
}

impl HostPorts {
    pub(crate) fn new(address: IpAddr, mesh: Mesh, events: Events) -> Self {
        let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let shared = Arc::new(Shared { connections, events });
        Self { address, mesh, shared, open: HashMap::new(), tasks: JoinSet::new() }
    }

    pub(crate) fn open(&mut self, protocol: Protocol, number: u16, frontend: Frontend, backends: Arc<Backends>) {
        // Ports that have finished since.
        while self.tasks.try_join_next().is_some() {}
        let stop = CancellationToken::new();
        self.open.insert((protocol, number), stop.clone());
        let address = SocketAddr::new(self.address, number);
        let opened = Opened::new(backends, frontend.scope, frontend.affinity);
        let (shared, mesh) = (self.shared.clone(), self.mesh.clone());
        match protocol {
            Protocol::Tcp => {
                let target = Arc::new(Target { mesh, frontend: opened });
                self.tasks.spawn(listener::run(shared, frontend, address, target, stop));
            }
            Protocol::Udp => {
                self.tasks.spawn(udp_port::run(shared, frontend, address, mesh, opened, stop));
            }
        }
    }

    pub(crate) fn close(&mut self, protocol: Protocol, number: u16) {
        if let Some(stop) = self.open.remove(&(protocol, number)) {
            stop.cancel();
        }
    }

    /// Closes every port, and waits for the requests that are under way.
    pub(crate) async fn drain(mut self) {
        self.open.drain().for_each(|(_, stop)| stop.cancel());
        while self.tasks.join_next().await.is_some() {}
    }
}
