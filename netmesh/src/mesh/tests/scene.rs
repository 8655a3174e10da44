//! A node with Pods, and what a container does with its network.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Waker;
use std::task::{Context, Poll};

use bytes::Bytes;
use carob_net::{
    Datagram, Network, NetworkError, Networks, Protocol, TcpConnection, TcpListener, TcpOptions, TcpStream, UdpSocket,
    Workload,
};
use futures::future::poll_fn;

use crate::mesh::{Mesh, MeshConfig};

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) fn mesh() -> Mesh {
    Mesh::new(MeshConfig::default())
}

/// The Pod with the address `10.244.0.HOST`.
pub(crate) fn pod(mesh: &Mesh, host: u8) -> Arc<dyn Network> {
    join(mesh, host).unwrap()
}

pub(crate) fn join(mesh: &Mesh, host: u8) -> Result<Arc<dyn Network>, NetworkError> {
    mesh.join(Workload {
        namespace: "default".into(),
        name: format!("pod-{host}"),
        addresses: vec![[10, 244, 0, host].into(), format!("fd00::{host}").parse().unwrap()],
        hosts: vec![],
        names: Default::default(),
    })
}

pub(crate) fn listen(network: &Arc<dyn Network>, at: &str) -> Box<dyn TcpListener> {
    network.bind_tcp(address(at)).unwrap().listen(16).unwrap()
}

/// Connects from any port, of the family of `to`.
pub(crate) async fn connect(network: &Arc<dyn Network>, to: &str) -> Result<TcpConnection, NetworkError> {
    connect_from(network, if address(to).is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }, to).await
}

pub(crate) async fn connect_from(
    network: &Arc<dyn Network>,
    from: &str,
    to: &str,
) -> Result<TcpConnection, NetworkError> {
    network.bind_tcp(address(from))?.connect(address(to), TcpOptions::default()).await
}

pub(crate) async fn accept(listener: &dyn TcpListener) -> TcpConnection {
    poll_fn(|cx| listener.poll_accept(cx)).await.unwrap()
}

/// Whether a connection waits to be accepted now.
pub(crate) fn accept_now(listener: &dyn TcpListener) -> Option<TcpConnection> {
    match listener.poll_accept(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(accepted) => Some(accepted.unwrap()),
        Poll::Pending => None,
    }
}

/// Both ends of a connection to a listener.
pub(crate) async fn meet(client: &Arc<dyn Network>, listener: &dyn TcpListener, to: &str) -> (TcpStream, TcpStream) {
    let client = connect(client, to).await.unwrap();
    (client.into(), accept(listener).await.into())
}

pub(crate) async fn send(socket: &dyn UdpSocket, text: &str, to: &str) -> Result<(), NetworkError> {
    let bytes = Bytes::copy_from_slice(text.as_bytes());
    poll_fn(|cx| socket.poll_send(cx, &bytes, address(to))).await
}

pub(crate) async fn receive(socket: &dyn UdpSocket) -> (String, SocketAddr) {
    let Datagram { from, bytes } = poll_fn(|cx| socket.poll_receive(cx)).await.unwrap();
    (String::from_utf8(bytes.to_vec()).unwrap(), from)
}

pub(crate) fn receive_now(socket: &dyn UdpSocket) -> Option<Datagram> {
    match socket.poll_receive(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(received) => Some(received.unwrap()),
        Poll::Pending => None,
    }
}

/// Flows of this protocol that were denied so far.
pub(crate) fn denied_flows(mesh: &Mesh, protocol: Protocol) -> u64 {
    mesh.denied().iter().filter(|denied| denied.protocol == protocol).map(|denied| denied.flows).sum()
}
