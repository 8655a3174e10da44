//! What a network is, to whoever uses one.
//!
//! [`Network`] is what a workload sees: sockets, names and HTTP, all its own. [`HttpEndpoints`] is the registry through
//! which a request for a workload's address and port reaches the service that answers it, in this process, without a
//! socket.
//!
//! This crate never knows wasmtime or Kubernetes. Start reading at [`Network`].

mod endpoints;
mod http_service;
mod network;
mod unplugged;

pub use endpoints::{HttpEndpoints, Registration};
pub use http_service::{Answer, Body, BoxError, HttpService, Refused};
pub use network::{
    Buffers, Datagram, HttpBound, HttpRoute, Network, NetworkError, Networks, Receive, TcpConnection, TcpListener,
    TcpPort, Traffic, Transmit, UdpSocket, Workload,
};
pub use unplugged::Unplugged;
