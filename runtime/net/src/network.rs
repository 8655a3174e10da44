//! The network of one workload, as whatever runs the workload sees it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;

use crate::{Denied, HttpService, Names, TcpControl, TcpOptions, UdpOptions};

/// Hands out networks to workloads. A node has one, and joins each of its Pods to it.
pub trait Networks: Send + Sync + 'static {
    /// Gives `workload` its place in the network; it leaves when the last handle is dropped.
    ///
    /// # Errors
    /// [`NetworkError::AddressInUse`] if another workload has one of the addresses.
    fn join(&self, workload: Workload) -> Result<Arc<dyn Network>, NetworkError>;

    /// How many flows its decision point has denied so far, of every kind.
    fn denied(&self) -> Vec<Denied>;

    /// What else it has counted, in Prometheus' text format.
    fn metrics(&self) -> String {
        String::new()
    }
}

/// Who joins a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// The group that it belongs to, for policy and short names; a Kubernetes namespace.
    pub namespace: String,
    /// Its name there.
    pub name: String,
    /// Its own addresses: at most one of each family.
    pub addresses: Vec<IpAddr>,
    /// Names that it sees before any others, as a hosts file would give them.
    pub hosts: Vec<(IpAddr, Vec<String>)>,
    /// How it finds all other names.
    pub names: Names,
}

/// One workload's network: its own loopback, its own addresses, one port space for all its parts, and a way out that passes
/// the decision point. Addresses of the host are never meant: `127.0.0.1` is the workload's own.
pub trait Network: Send + Sync + 'static {
    /// Takes a local TCP address; it is free again when what is returned, and what came of it, is dropped.
    ///
    /// Port 0 asks for any free port. The unspecified address stands for loopback and all of the workload's own addresses.
    ///
    /// # Errors
    /// [`NetworkError::AddressInUse`], [`NetworkError::AddressNotBindable`], [`NetworkError::LimitReached`].
    fn bind_tcp(&self, local: SocketAddr) -> Result<Box<dyn TcpPort>, NetworkError>;

    /// Takes a local UDP address, under the same rules as [`Network::bind_tcp`].
    ///
    /// # Errors
    /// As for [`Network::bind_tcp`].
    fn bind_udp(&self, local: SocketAddr) -> Result<Box<dyn UdpSocket>, NetworkError>;

    /// Answers HTTP at a local address by a service of this process, without a connection, until what is returned is
    /// dropped. Whoever connects to the address by TCP is served as well.
    ///
    /// # Errors
    /// As for [`Network::bind_tcp`].
    fn serve_http(&self, local: SocketAddr, service: Arc<dyn HttpService>) -> Result<Box<dyn HttpBound>, NetworkError>;

    /// How an HTTP request for `remote` gets there, once the decision point has let it pass.
    ///
    /// # Errors
    /// [`NetworkError::AccessDenied`], [`NetworkError::ConnectionRefused`], [`NetworkError::RemoteUnreachable`].
    fn http_route(&self, remote: SocketAddr) -> Result<HttpRoute, NetworkError>;

    /// The addresses of a host name, best first. An address written out is its own answer.
    ///
    /// # Errors
    /// [`NetworkError::NameUnresolvable`], [`NetworkError::ResolverFailure`].
    fn resolve(&self, name: &str) -> BoxFuture<'static, Result<Vec<IpAddr>, NetworkError>>;

    /// What has been carried for the workload so far, its loopback left out.
    fn traffic(&self) -> Traffic;
}

/// Bytes that a workload has received and sent: payload, without the headers of any protocol below.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes that the workload has read.
    pub received: u64,
    /// Bytes that the workload has handed over.
    pub sent: u64,
}

/// Holds the address of an HTTP service; dropping it frees the address.
pub trait HttpBound: Send + Sync {
    /// The address that was taken, with its port.
    fn local_address(&self) -> SocketAddr;
}

/// How an HTTP request gets to its destination.
pub enum HttpRoute {
    /// A service of this process answers it.
    InProcess(Arc<dyn HttpService>),
    /// Over a connection to be made with [`TcpPort::connect`].
    Connect,
}

/// A local TCP address that is taken, and not yet used.
pub trait TcpPort: Send + Sync {
    /// The address, with the port that was given.
    fn local_address(&self) -> SocketAddr;

    /// Begins to take connections; `backlog` of them wait to be accepted, one more is refused.
    ///
    /// # Errors
    /// [`NetworkError::AddressInUse`] if another socket of the workload listens there.
    fn listen(self: Box<Self>, backlog: usize) -> Result<Box<dyn TcpListener>, NetworkError>;

    /// Connects to `remote`. Dropping the future gives up.
    ///
    /// # Errors
    /// Whatever keeps a connection from being made.
    fn connect(
        self: Box<Self>,
        remote: SocketAddr,
        options: TcpOptions,
    ) -> BoxFuture<'static, Result<TcpConnection, NetworkError>>;
}

/// Takes connections. Dropping it refuses those that wait.
pub trait TcpListener: Send + Sync {
    /// The address it listens at.
    fn local_address(&self) -> SocketAddr;

    /// Changes how many connections may wait.
    fn set_backlog(&self, backlog: usize);

    /// The next connection. One task at a time waits here.
    ///
    /// # Errors
    /// None that end the listener: [`NetworkError::ConnectionAborted`] tells of one connection, and
    /// [`NetworkError::LimitReached`] passes.
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Result<TcpConnection, NetworkError>>;
}

/// One connection, seen from one end. Its halves are independent.
pub struct TcpConnection {
    /// This end's address.
    pub local: SocketAddr,
    /// The other end's address.
    pub remote: SocketAddr,
    /// What arrives.
    pub receive: Box<dyn Receive>,
    /// What is sent.
    pub transmit: Box<dyn Transmit>,
    /// Its options.
    pub control: Box<dyn TcpControl>,
}

/// What arrives on a connection. Dropping it tells the sender that nobody reads any more: it sees a reset when it goes on.
pub trait Receive: Send + 'static {
    /// The next bytes, at least one and at most `most`; `None` after the sender's last.
    ///
    /// # Errors
    /// [`NetworkError::ConnectionReset`] if the other end was dropped without a [`Transmit::poll_shutdown`].
    fn poll_receive(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<Result<Option<Bytes>, NetworkError>>;

    /// Ready when [`Receive::poll_receive`] is; takes nothing.
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

/// What is sent on a connection. Dropping it without a [`Transmit::poll_shutdown`] resets the connection.
pub trait Transmit: Send + 'static {
    /// How many bytes may be sent now; at least one, once ready. This is the back-pressure of the receiver.
    ///
    /// # Errors
    /// [`NetworkError::ConnectionReset`] if nobody reads at the other end any more.
    fn poll_capacity(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, NetworkError>>;

    /// Sends `bytes`, at most as many as [`Transmit::poll_capacity`] has just allowed.
    ///
    /// # Errors
    /// As for [`Transmit::poll_capacity`].
    fn transmit(&mut self, bytes: Bytes) -> Result<(), NetworkError>;

    /// Hands over all that was sent.
    ///
    /// # Errors
    /// As for [`Transmit::poll_capacity`].
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetworkError>>;

    /// Ends this direction in order: the receiver reads what was sent, and then the end.
    ///
    /// # Errors
    /// As for [`Transmit::poll_capacity`].
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetworkError>>;
}

/// A UDP socket. Datagrams that nobody reads in time are lost.
pub trait UdpSocket: Send + Sync {
    /// Its address, with the port that was given.
    fn local_address(&self) -> SocketAddr;

    /// The next datagram. One task at a time waits here.
    ///
    /// # Errors
    /// Whatever the system says of a socket to the outside.
    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<Result<Datagram, NetworkError>>;

    /// Sends one datagram.
    ///
    /// # Errors
    /// [`NetworkError::DatagramTooLarge`], [`NetworkError::AccessDenied`], [`NetworkError::RemoteUnreachable`].
    fn poll_send(&self, cx: &mut Context<'_>, bytes: &Bytes, to: SocketAddr) -> Poll<Result<(), NetworkError>>;

    /// Applies all options; what has arrived stays.
    ///
    /// # Errors
    /// [`NetworkError::Other`] if the system refuses one of them.
    fn set_options(&self, options: &UdpOptions) -> Result<(), NetworkError>;
}

/// What arrived on a UDP socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Who sent it.
    pub from: SocketAddr,
    /// What was sent.
    pub bytes: Bytes,
}

/// Why a network did not do what was asked. Each has its error code in `wasi:sockets`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NetworkError {
    /// Another socket of the workload has the address, or no ephemeral port is free.
    #[error("the address is in use")]
    AddressInUse,
    /// The address is not one of the workload's own.
    #[error("the address is not one of this workload")]
    AddressNotBindable,
    /// The decision point refused the flow.
    #[error("access denied: {0}")]
    AccessDenied(String),
    /// Nobody listens there, or too many wait already.
    #[error("the connection was refused")]
    ConnectionRefused,
    /// The other end went away without ending the connection.
    #[error("the connection was reset")]
    ConnectionReset,
    /// The connection was given up before it was accepted.
    #[error("the connection was aborted")]
    ConnectionAborted,
    /// There is no way to the address.
    #[error("the address cannot be reached")]
    RemoteUnreachable,
    /// Nothing came back in time.
    #[error("timed out")]
    TimedOut,
    /// The workload has as many sockets, or as many bytes in buffers, as it may.
    #[error("the workload has as many sockets as it may")]
    LimitReached,
    /// Longer than a datagram may be.
    #[error("the datagram is too large")]
    DatagramTooLarge,
    /// No such name, or a name without addresses.
    #[error("the name has no address")]
    NameUnresolvable,
    /// Whoever knows names did not answer; a later try may succeed.
    #[error("the resolver did not answer")]
    ResolverFailure,
    /// The system said something else about a socket to the outside.
    #[error("{0}")]
    Other(String),
}
