//! One Pod in the network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use carob_net::{
    Account, HttpBound, HttpRoute, HttpService, Network, NetworkError, TcpPort, Traffic, UdpSocket, Workload,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio_util::task::AbortOnDropHandle;

use super::Shared;
use super::backlog::Backlog;
use super::http::{HttpListener, HttpPort};
use super::ports::{Key, Ports, Sharing};
use super::sockets::Sockets;
use super::tcp::Port;
use super::udp::{Inbox, Udp};

/// What everything that belongs to a Pod shares.
pub(crate) struct Pod {
    pub(crate) shared: Arc<Shared>,
    pub(crate) workload: Workload,
    /// Of what goes to and comes from others.
    pub(crate) account: Arc<Account>,
    /// Of what stays in the Pod, which is carried for nobody and not metered.
    pub(crate) own_account: Arc<Account>,
    /// Of what waits at its UDP sockets.
    pub(crate) datagrams: Arc<Account>,
    /// Of what others on other nodes have sent it: it bounds what waits here.
    pub(crate) senders_account: Arc<Account>,
    pub(crate) sockets: Arc<Sockets>,
    pub(crate) tcp: Mutex<Ports<Listener>>,
    pub(crate) udp: Mutex<Ports<Arc<Inbox>>>,
}

/// What answers connections at an address.
#[derive(Clone)]
pub(crate) enum Listener {
    Socket(Arc<Backlog>),
    Http(Arc<HttpListener>),
}

impl Listener {
    pub(crate) fn close(&self) {
        match self {
            Listener::Socket(backlog) => backlog.close(),
            Listener::Http(listener) => listener.close(),
        }
    }
}

impl Pod {
    pub(crate) fn new(shared: Arc<Shared>, workload: Workload) -> Pod {
        let caps = shared.config.caps;
        let own = &workload.addresses;
        Pod {
            account: Arc::new(Account::new(caps.buffer_bytes)),
            own_account: Arc::new(Account::new(caps.buffer_bytes)),
            datagrams: Arc::new(Account::new(caps.datagram_bytes)),
            senders_account: Arc::new(Account::new(caps.buffer_bytes)),
            sockets: Sockets::new(caps.sockets),
            tcp: Mutex::new(Ports::new(own.clone())),
            udp: Mutex::new(Ports::new(own.clone())),
            shared,
            workload,
        }
    }

    /// Whether the address is the Pod itself: its loopback, or its place in the network.
    pub(crate) fn is_self(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || self.workload.addresses.contains(&ip)
    }

    /// The address that the other end sees of a socket of this Pod that is bound to `local`.
    ///
    /// None if the socket cannot reach `remote` from there: a socket of the loopback stays in it, and the families do not
    /// mix.
    pub(crate) fn source(&self, local: SocketAddr, remote: IpAddr) -> Option<SocketAddr> {
        let ip = match local.ip() {
            ip if ip.is_ipv4() != remote.is_ipv4() => return None,
            ip if ip.is_loopback() && !self.is_self(remote) => return None,
            ip if !ip.is_unspecified() => ip,
            IpAddr::V4(_) if remote.is_loopback() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(_) if remote.is_loopback() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            // To its own address it comes from that address, as in Linux.
            _ if self.is_self(remote) => remote,
            _ => *self.workload.addresses.iter().find(|own| own.is_ipv4() == remote.is_ipv4())?,
        };
        Some(SocketAddr::new(ip, local.port()))
    }

    /// Takes a TCP address, and a place among the sockets.
    pub(crate) fn port(self: &Arc<Self>, local: SocketAddr) -> Result<Port, NetworkError> {
        let socket = self.sockets.take()?;
        Ok(Port { lease: self.bind(local)?, socket })
    }

    fn bind(self: &Arc<Self>, local: SocketAddr) -> Result<Arc<Lease>, NetworkError> {
        let key = self.tcp.lock().bind(local, Sharing::Unopened)?;
        Ok(Arc::new(Lease { pod: self.clone(), key }))
    }

    /// The Pod leaves: whoever still waits for one of its listeners is refused.
    fn leave(&self) {
        self.shared.forget(self);
        let listeners = self.tcp.lock().clear();
        listeners.iter().for_each(Listener::close);
        let inboxes = self.udp.lock().clear();
        drop(inboxes);
    }
}

/// A TCP address of a Pod, taken for as long as a socket or connection uses it.
pub(crate) struct Lease {
    pub(crate) pod: Arc<Pod>,
    pub(crate) key: Key,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.pod.tcp.lock().release(self.key);
    }
}

/// The handle of a Pod; with the last of them the Pod leaves.
pub(crate) struct PodNetwork(pub(crate) Arc<Pod>);

impl Drop for PodNetwork {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl Network for PodNetwork {
    fn bind_tcp(&self, local: SocketAddr) -> Result<Box<dyn TcpPort>, NetworkError> {
        Ok(Box::new(self.0.port(local)?))
    }

    fn bind_udp(&self, local: SocketAddr) -> Result<Box<dyn UdpSocket>, NetworkError> {
        Ok(Box::new(Udp::bind(&self.0, local)?))
    }

    fn serve_http(&self, local: SocketAddr, service: Arc<dyn HttpService>) -> Result<Box<dyn HttpBound>, NetworkError> {
        let socket = self.0.sockets.take()?;
        Ok(Box::new(HttpPort::open(self.0.bind(local)?, socket, service)?))
    }

    fn http_route(&self, remote: SocketAddr) -> Result<HttpRoute, NetworkError> {
        self.0.http_route(remote)
    }

    fn resolve(&self, name: &str) -> BoxFuture<'static, Result<Vec<IpAddr>, NetworkError>> {
        let runtime = &self.0.shared.runtime;
        // On the node's runtime: sockets of the host live there, and the guests have no threads to spare.
        let resolving = self.0.find(name);
        let resolving = AbortOnDropHandle::new(runtime.spawn(resolving));
        async move { resolving.await.unwrap_or(Err(NetworkError::ResolverFailure)) }.boxed()
    }

    fn traffic(&self) -> Traffic {
        self.0.account.traffic()
    }
}
