//! The node ports that are listened to now. Owns every task that serves one.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::backends::Backends;
use crate::events::Events;
use crate::listener::{self, Shared};
use crate::mesh::{Frontend as Opened, Mesh};
use crate::table::Frontend;
use crate::target::Target;

/// Open connections to all node ports together; more wait to be accepted.
const MAX_CONNECTIONS: usize = 16 * 1024;

/// Opens and closes node ports as the table says. Dropping it closes them all at once.
pub(crate) struct NodePorts {
    address: IpAddr,
    mesh: Mesh,
    shared: Arc<Shared>,
    open: HashMap<u16, CancellationToken>,
    tasks: JoinSet<()>,
}

impl NodePorts {
    pub(crate) fn new(address: IpAddr, mesh: Mesh, events: Events) -> Self {
        let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let shared = Arc::new(Shared { connections, events });
        Self { address, mesh, shared, open: HashMap::new(), tasks: JoinSet::new() }
    }

    pub(crate) fn open(&mut self, number: u16, frontend: Frontend, backends: Arc<Backends>) {
        // Ports that have finished since.
        while self.tasks.try_join_next().is_some() {}
        let stop = CancellationToken::new();
        self.open.insert(number, stop.clone());
        let address = SocketAddr::new(self.address, number);
        let opened = Opened::new(backends, frontend.affinity);
        let target = Arc::new(Target { mesh: self.mesh.clone(), frontend: opened });
        self.tasks.spawn(listener::run(self.shared.clone(), frontend, address, target, stop));
    }

    pub(crate) fn close(&mut self, number: u16) {
        if let Some(stop) = self.open.remove(&number) {
            stop.cancel();
        }
    }

    /// Closes every port, and waits for the requests that are under way.
    pub(crate) async fn drain(mut self) {
        self.open.drain().for_each(|(_, stop)| stop.cancel());
        while self.tasks.join_next().await.is_some() {}
    }
}
