//! The network of the Pods of this node, in user space.
//!
//! - [`Mesh`] joins Pods ([`pod`]); each has its ports ([`ports`]: pure), of which some listen ([`backlog`], [`http`]);
//! - [`route`] says where a flow goes, and is the one place that asks the decision point;
//! - [`connect`] and [`udp`] go there: to a Pod by a pipe of `carob-net`, to a Pod of another node ([`elsewhere`]) by that
//!   node's peer, to the outside ([`outside`]) by a host socket; [`distant`] asks there by HTTP;
//! - [`standings`] are how endpoints have done lately, by which they are chosen;
//! - [`frontends`] are the Services' addresses, [`named_ports`] their ports by name; [`names`] how Pods find names.

mod affinity;
mod backlog;
mod connect;
mod distant;
mod elsewhere;
mod frontends;
mod http;
mod listed;
mod metered;
mod named_ports;
mod names;
mod outside;
mod pod;
mod ports;
mod route;
mod sockets;
mod standings;
mod tcp;
mod udp;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use carob_net::{
    Account, DecisionPoint, Denied, HostShield, HttpEndpoints, Nameless, Network, NetworkError, Networks, Protocol,
    Resolver, Rule, Workload,
};
use parking_lot::RwLock;
use tokio::runtime::Handle;

pub(crate) use self::http::Asking;
pub use carob_net::Range;
pub(crate) use frontends::{Frontend, Frontends};
pub(crate) use named_ports::{Missing, NamedPorts};
pub(crate) use route::{NamedBy, Route, Source};
pub(crate) use standings::Cost;

use crate::peers::Elsewhere;

use listed::Listed;
use pod::{Pod, PodNetwork};
use sockets::Sockets;
use standings::Standings;

/// How the Pods of a node are connected.
#[derive(Debug, Clone)]
pub struct MeshConfig {
    /// Addresses of Pods, of this node and others: no packet to one of them leaves the process.
    pub pods: Range,
    /// Addresses of Services, of which the same is true.
    pub services: Range,
    /// Where the cluster's API listens on the host. It and DNS are the only places there that Pods may reach, through their
    /// Services.
    pub api: Option<SocketAddr>,
    /// Where the cluster's DNS listens on the host.
    pub dns: Option<SocketAddr>,
    /// What one Pod may have.
    pub caps: Caps,
    /// Who knows the names that Pods ask for.
    pub resolver: Arc<dyn Resolver>,
    /// Sockets of the host that all Pods together may have to the outside: each is an open file of this process.
    pub host_sockets: usize,
}

/// What one Pod may have, so that none exhausts the node.
#[derive(Debug, Clone, Copy)]
pub struct Caps {
    /// Sockets that listen or may be used, and connections.
    pub sockets: usize,
    /// Bytes on their way to other Pods and in its loopback, each. Past it every connection gets the smallest buffer
    /// instead of what it asked for.
    pub buffer_bytes: usize,
    /// Bytes that wait to be received at its UDP sockets; past it datagrams are lost.
    pub datagram_bytes: usize,
}

impl Default for Caps {
    fn default() -> Caps {
        Caps { sockets: 4096, buffer_bytes: 32 * 1024 * 1024, datagram_bytes: 8 * 1024 * 1024 }
    }
}

impl Default for MeshConfig {
    /// The ranges that a cluster of Carob has by default.
    fn default() -> MeshConfig {
        MeshConfig {
            pods: Range::new(IpAddr::V4(Ipv4Addr::new(10, 244, 0, 0)), 16),
            services: Range::new(IpAddr::V4(Ipv4Addr::new(10, 96, 0, 0)), 16),
            api: None,
            dns: None,
            caps: Caps::default(),
            resolver: Arc::new(Nameless),
            host_sockets: 16 * 1024,
        }
    }
}

impl MeshConfig {
    /// Places of the host that Pods may reach.
    fn doors(&self) -> Vec<(Protocol, SocketAddr)> {
        let by = |protocol, at: Option<SocketAddr>| at.map(|at| (protocol, at));
        let doors = [by(Protocol::Tcp, self.api), by(Protocol::Tcp, self.dns), by(Protocol::Udp, self.dns)];
        doors.into_iter().flatten().collect()
    }
}

/// The network of the Pods of a node. Cloning shares it.
#[derive(Clone)]
pub struct Mesh {
    shared: Arc<Shared>,
}

/// What all Pods of the node share.
pub(crate) struct Shared {
    /// Where sockets of the host are looked after, and connections to HTTP components served.
    runtime: Handle,
    config: MeshConfig,
    pods: RwLock<HashMap<IpAddr, Arc<Pod>>>,
    pub(crate) endpoints: HttpEndpoints,
    pub(crate) frontends: Frontends,
    pub(crate) ports: NamedPorts,
    /// Whether the frontends have been filled once.
    pub(crate) listed: Listed,
    pub(crate) elsewhere: Elsewhere,
    decision: DecisionPoint,
    host_sockets: Arc<Sockets>,
    pub(crate) standings: Standings,
    /// Of whatever is not a Pod.
    outside: Arc<Account>,
}

impl Mesh {
    /// A network without Pods, whose sockets of the host live on the current tokio runtime.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn new(config: MeshConfig) -> Mesh {
        Mesh::with_rules(config, Vec::new())
    }

    /// The same, with rules beside the one that shields the host.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn with_rules(config: MeshConfig, rules: Vec<Box<dyn Rule>>) -> Mesh {
        let shield: Box<dyn Rule> = Box::new(HostShield::except(config.doors()));
        let shared = Shared {
            runtime: Handle::current(),
            outside: Arc::new(Account::new(usize::MAX)),
            host_sockets: Sockets::new(config.host_sockets),
            config,
            pods: RwLock::default(),
            endpoints: HttpEndpoints::default(),
            frontends: Frontends::default(),
            ports: NamedPorts::default(),
            listed: Listed::default(),
            standings: Standings::default(),
            elsewhere: Elsewhere::default(),
            decision: DecisionPoint::new(std::iter::once(shield).chain(rules).collect()),
        };
        Mesh { shared: Arc::new(shared) }
    }

    /// The HTTP services that answer at Pods' addresses.
    pub fn endpoints(&self) -> &HttpEndpoints {
        &self.shared.endpoints
    }

    pub(crate) fn config(&self) -> &MeshConfig {
        &self.shared.config
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Networks for Mesh {
    fn join(&self, workload: Workload) -> Result<Arc<dyn Network>, NetworkError> {
        let mut pods = self.shared.pods.write();
        if workload.addresses.iter().any(|ip| pods.contains_key(ip)) {
            return Err(NetworkError::AddressInUse);
        }
        let pod = Arc::new(Pod::new(self.shared.clone(), workload));
        for ip in &pod.workload.addresses {
            pods.insert(*ip, pod.clone());
        }
        Ok(Arc::new(PodNetwork(pod)))
    }

    fn denied(&self) -> Vec<Denied> {
        self.shared.decision.denied()
    }

    fn metrics(&self) -> String {
        self.shared.config.resolver.metrics()
    }
}

impl Shared {
    /// Where whatever is done for Pods runs; they have their own.
    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    pub(crate) fn pod_at(&self, ip: IpAddr) -> Option<Arc<Pod>> {
        self.pods.read().get(&ip).cloned()
    }

    /// Every address of the Pod is free again.
    fn forget(&self, pod: &Pod) {
        let mut pods = self.pods.write();
        for ip in &pod.workload.addresses {
            pods.remove(ip);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
