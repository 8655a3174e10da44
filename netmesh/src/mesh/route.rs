//! Where a flow goes. The one place that asks the decision point.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use carob_net::{Denial, Direction, Flow, NetworkError, Party, Passed, Protocol, Reason};

use super::Shared;
use super::frontends::Frontend;
use super::pod::Pod;
use crate::peers::Peer;

/// Who begins a flow.
#[derive(Clone)]
pub(crate) enum Source {
    Pod(Arc<Pod>),
    /// Somebody at this address who came in by a port of the host.
    Outside(SocketAddr),
    /// Somebody at this address whose flow another node sends.
    Elsewhere(IpAddr),
}

impl Source {
    fn party(&self) -> Party<'_> {
        match self {
            Source::Pod(pod) => Party::Workload(&pod.workload),
            Source::Outside(client) => Party::Outside(client.ip()),
            Source::Elsewhere(ip) => Party::Outside(*ip),
        }
    }
}

/// Where a flow goes that was let pass.
pub(crate) enum Route {
    /// To a Pod of this node, or back to where it came from.
    Pod(Arc<Pod>, SocketAddr),
    /// To a Pod of another node, which decides as well.
    Elsewhere(Arc<Peer>, SocketAddr, Passed),
    /// Out of the cluster.
    Outside(SocketAddr, Passed),
}

/// Who named a place: the loopback that a guest names is its Pod's, the one that a Service's endpoint names would be the
/// host's. Who asked has named itself, and is answered: a Pod, or a client that came in by a port of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NamedBy {
    Guest,
    Service,
    Asker,
    Client,
}

/// What an address stands for.
pub(crate) enum Meaning {
    /// One place.
    Place(SocketAddr),
    /// Any of a Service's endpoints.
    Service(Arc<Frontend>),
}

impl Shared {
    /// What `address` stands for. An address that is IPv4 written as IPv6 is the IPv4 address.
    pub(crate) fn meaning(&self, protocol: Protocol, address: SocketAddr) -> Meaning {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        match self.frontends.at(protocol, address) {
            Some(frontend) => Meaning::Service(frontend),
            None => Meaning::Place(address),
        }
    }

    /// The way to one place, once the decision point has let the flow pass.
    ///
    /// # Errors
    /// [`NetworkError::AccessDenied`]; [`NetworkError::RemoteUnreachable`] for a Pod that there is not, and
    /// [`NetworkError::ConnectionRefused`] for an address or port of no Service, as in other clusters.
    pub(crate) fn route(
        &self,
        from: &Source,
        protocol: Protocol,
        to: SocketAddr,
        by: NamedBy,
    ) -> Result<Route, NetworkError> {
        if to.port() == 0 {
            return Err(NetworkError::ConnectionRefused);
        }
        let pod = match from {
            Source::Pod(own) if matches!(by, NamedBy::Guest | NamedBy::Asker) && to.ip().is_loopback() => {
                Some(own.clone())
            }
            _ => self.pod_at(to.ip()),
        };
        if let Some(pod) = pod {
            self.pass(from, protocol, Party::Workload(&pod.workload), to.port(), by)?;
            return Ok(Route::Pod(pod, to));
        }
        if self.config.services.contains(to.ip()) {
            return Err(NetworkError::ConnectionRefused);
        }
        // What came from another node is not sent on.
        let peer = self.elsewhere.towards(to.ip()).filter(|_| !matches!(from, Source::Elsewhere(_)));
        if let Some(peer) = peer {
            let passed = self.pass(from, protocol, Party::Outside(to.ip()), to.port(), by)?;
            return Ok(Route::Elsewhere(peer, to, passed));
        }
        if self.config.pods.contains(to.ip()) {
            return Err(NetworkError::RemoteUnreachable);
        }
        let passed = self.pass(from, protocol, Party::Outside(to.ip()), to.port(), by)?;
        Ok(Route::Outside(to, passed))
    }

    /// Refuses a flow that a node sends for an address that is not its own.
    pub(crate) fn deny_forged(&self, from: &Source, protocol: Protocol, to: SocketAddr, why: String) {
        let flow =
            Flow { protocol, from: from.party(), to: Party::Outside(to.ip()), port: to.port(), is_answer: false };
        self.decision.deny(&flow, Denial { direction: Direction::Ingress, reason: Reason::Forged, why });
    }

    fn pass(
        &self,
        from: &Source,
        protocol: Protocol,
        to: Party<'_>,
        port: u16,
        by: NamedBy,
    ) -> Result<Passed, NetworkError> {
        let is_answer = matches!(by, NamedBy::Asker | NamedBy::Client);
        self.decision.decide(&Flow { protocol, from: from.party(), to, port, is_answer })
    }
}
