//! The ports of the host that are listened to now, for Services and Pods. Owns every task that serves one.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use carob_net::Protocol;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::backends::{Backends, Behind, Scope, Stage};
use crate::events::Events;
use crate::health::HealthCheck;
use crate::listener::{self, Shared};
use crate::mesh::{Frontend as Opened, Mesh};
use crate::objects::{HostPort, HostPorts as PodsPorts};
use crate::subject::{Purpose, Subject};
use crate::table::{Door, Frontend, ObjectName, Sources};
use crate::target::Target;
use crate::udp_port;

/// Open connections to all ports together; more wait to be accepted.
const MAX_CONNECTIONS: usize = 16 * 1024;

/// Opens and closes ports as it is told. Dropping it closes them all at once.
pub(crate) struct HostPorts {
    address: IpAddr,
    mesh: Mesh,
    shared: Arc<Shared>,
    open: HashMap<Asked, CancellationToken>,
    tasks: JoinSet<()>,
}

/// Who asked for a port. Where two ask for the same one, the host has the first listen, and an Event tells the other.
#[derive(PartialEq, Eq, Hash)]
enum Asked {
    Service(Door),
    Pod(ObjectName, HostPort),
}

/// Where a port is listened at, and for whom.
struct Place {
    address: SocketAddr,
    subject: Subject,
    stop: CancellationToken,
}

impl HostPorts {
    pub(crate) fn new(address: IpAddr, mesh: Mesh, events: Events) -> Self {
        let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let shared = Arc::new(Shared { connections, events });
        Self { address, mesh, shared, open: HashMap::new(), tasks: JoinSet::new() }
    }

    /// Opens what a Service asks for.
    pub(crate) fn open(&mut self, frontend: Frontend, backends: Arc<Backends>) {
        let (purpose, protocol, number) = match frontend.door {
            Door::Node(protocol, number) => (Purpose::NodePort, Some(protocol), number),
            Door::Balancer(protocol, number) => (Purpose::LoadBalancer, Some(protocol), number),
            Door::Health(number) => (Purpose::HealthCheck, None, number),
            Door::Cluster(..) => return,
        };
        let address = SocketAddr::new(self.address, number);
        let place = self.place(Asked::Service(frontend.door), address, Subject::service(&frontend, purpose));
        match protocol {
            Some(protocol) => {
                let opened = Opened::new(backends, frontend.scope, frontend.affinity);
                self.take_flows(place, protocol, opened, frontend.sources);
            }
            None => {
                let check = HealthCheck { service: frontend.target.service, backends };
                self.tasks.spawn(listener::run(
                    self.shared.clone(),
                    place.subject,
                    address,
                    Arc::new(check),
                    place.stop,
                ));
            }
        }
    }

    /// Closes what a Service had.
    pub(crate) fn close(&mut self, door: Door) {
        self.stop(&Asked::Service(door));
    }

    /// Opens a port that leads to one of a Pod.
    pub(crate) fn open_to_pod(&mut self, pod: &PodsPorts, port: HostPort) {
        let backends = Arc::new(Backends::new(Behind::Pod(pod.name.clone(), port.to.port())));
        backends.add(port.to, Stage::Ready, true);
        let address = SocketAddr::new(port.ip.unwrap_or(self.address), port.number);
        let place = self.place(Asked::Pod(pod.name.clone(), port), address, Subject::pod(pod, port));
        self.take_flows(place, port.protocol, Opened::new(backends, Scope::Node, None), Sources::default());
    }

    /// Closes a port that led to one of a Pod.
    pub(crate) fn close_to_pod(&mut self, pod: ObjectName, port: HostPort) {
        self.stop(&Asked::Pod(pod, port));
    }

    /// Closes every port, and waits for the requests that are under way.
    pub(crate) async fn drain(mut self) {
        self.open.drain().for_each(|(_, stop)| stop.cancel());
        while self.tasks.join_next().await.is_some() {}
    }

    fn place(&mut self, asked: Asked, address: SocketAddr, subject: Subject) -> Place {
        // Ports that have finished since.
        while self.tasks.try_join_next().is_some() {}
        let stop = CancellationToken::new();
        self.open.insert(asked, stop.clone());
        Place { address, subject, stop }
    }

    fn take_flows(&mut self, place: Place, protocol: Protocol, frontend: Opened, sources: Sources) {
        let (shared, Place { address, subject, stop }) = (self.shared.clone(), place);
        let target = Target { mesh: self.mesh.clone(), frontend, sources };
        match protocol {
            Protocol::Tcp => self.tasks.spawn(listener::run(shared, subject, address, Arc::new(target), stop)),
            Protocol::Udp => self.tasks.spawn(udp_port::run(shared, subject, address, target, stop)),
        };
    }

    fn stop(&mut self, asked: &Asked) {
        if let Some(stop) = self.open.remove(asked) {
            stop.cancel();
        }
    }
}
