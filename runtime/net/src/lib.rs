//! What a network is, to whoever uses one.
//!
//! [`Network`] is what a workload sees: sockets, names and HTTP, all its own. [`HttpEndpoints`] is the registry through
//! which a request for a workload's address and port reaches the service that answers it, in this process, without a
//! socket.
//!
//! What whoever builds a network needs is here too: the [`pipe()`] that carries a connection within the process, the
//! [`DecisionPoint`] that every flow passes, and the [`Account`] of what a workload has carried. Whoever knows names is a
//! [`Resolver`].
//!
//! This crate never knows wasmtime or Kubernetes. Start reading at [`Network`].

mod account;
mod decision;
mod endpoints;
mod http_service;
mod names;
mod network;
mod options;
mod pipe;
mod range;
mod stream;
mod unplugged;

pub use account::Account;
pub use decision::{
    DecisionPoint, Denial, Denied, Direction, Flow, HostShield, OwnAddresses, Party, Passed, Protocol, Reason, Rule,
};
pub use endpoints::{HttpEndpoints, Registration};
pub use http_service::{Answer, Body, BoxError, HttpService, Refused};
pub use names::{NameServer, Nameless, Names, Resolver, WorkloadSockets};
pub use network::{
    Datagram, HttpBound, HttpRoute, Network, NetworkError, Networks, Receive, TcpConnection, TcpListener, TcpPort,
    Traffic, Transmit, UdpSocket, Workload,
};
pub use options::{HOP_LIMIT, KeepAlive, TCP_BUFFER, TcpControl, TcpOptions, UDP_RECEIVE_BUFFER, UdpOptions};
pub use pipe::{MAX_PIPE_BYTES, MIN_PIPE_BYTES, PipeControl, PipeEnd, PipeReceive, PipeTransmit, pipe, pipes};
pub use range::Range;
pub use stream::TcpStream;
pub use unplugged::Unplugged;
