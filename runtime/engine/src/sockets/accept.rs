use std::sync::Arc;
use std::task::{Context, Poll, ready};

use carob_net::{TcpConnection, TcpListener};
use parking_lot::Mutex;

use super::Sockets;
use super::address::Family;
use super::error::Code;
use super::options::TcpOptions;
use super::tcp::TcpSocket;

/// Takes the connections of a listening socket, one after the other.
pub(super) struct Accepting {
    listener: Arc<dyn TcpListener>,
    sockets: Sockets,
    family: Family,
    options: Arc<Mutex<TcpOptions>>,
    /// What was taken for a guest that only asked whether there is one.
    next: Option<Result<TcpConnection, Code>>,
}

impl Accepting {
    pub(super) fn new(
        listener: Arc<dyn TcpListener>,
        sockets: Sockets,
        family: Family,
        options: Arc<Mutex<TcpOptions>>,
    ) -> Accepting {
        Accepting { listener, sockets, family, options, next: None }
    }

    /// Ready when [`Accepting::poll_accept`] is.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.next.is_none() {
            self.next = Some(ready!(self.listener.poll_accept(cx)).map_err(Into::into));
        }
        Poll::Ready(())
    }

    /// The next connection; one that went wrong is a closed socket that says why.
    pub(super) fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<TcpSocket> {
        let connection = match self.next.take() {
            Some(next) => next,
            None => ready!(self.listener.poll_accept(cx)).map_err(Into::into),
        };
        let options = *self.options.lock();
        Poll::Ready(TcpSocket::accepted(self.sockets.clone(), self.family, options, connection))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::net::SocketAddr;

    use carob_net::{Networks, Workload};
    use carob_netmesh::{Mesh, MeshConfig};

    use super::*;

    const AT: &str = "127.0.0.1:80";

    fn sockets() -> Sockets {
        let workload = Workload {
            namespace: "default".into(),
            name: "pod".into(),
            addresses: vec![],
            hosts: vec![],
            names: Default::default(),
        };
        Sockets::new(Mesh::new(MeshConfig::default()).join(workload).unwrap())
    }

    fn socket(sockets: &Sockets) -> TcpSocket {
        TcpSocket::new(sockets.clone(), Family::V4)
    }

    fn bound(sockets: &Sockets, at: SocketAddr) -> Result<TcpSocket, Code> {
        let mut socket = socket(sockets);
        socket.bind(at).map(|()| socket)
    }

    #[tokio::test]
    async fn who_stops_accepting_listens_until_the_socket_is_dropped_and_then_all_is_free() {
        let (sockets, at) = (sockets(), AT.parse().unwrap());
        let mut server = bound(&sockets, at).unwrap();
        drop(server.listen().unwrap());
        assert!(server.is_listening());
        let mut client = socket(&sockets);
        let ended = client.connect(at).unwrap().await;
        client.connected(ended).unwrap();
        assert!(bound(&sockets, at).is_err(), "it is in use");
        drop(server);
        let mut receiver = client.take_receiver().unwrap();
        assert_eq!(poll_fn(|cx| receiver.poll_read(cx, 1)).await, Err(Code::ConnectionReset), "it waited in vain");
        assert!(bound(&sockets, at).is_ok());
    }

    #[tokio::test]
    async fn a_connect_that_is_cancelled_closes_the_socket_and_frees_its_port() {
        let (sockets, at) = (sockets(), AT.parse().unwrap());
        let mut client = bound(&sockets, at).unwrap();
        let connecting = client.connect("127.0.0.1:81".parse().unwrap()).unwrap();
        drop(connecting);
        assert_eq!(client.local_address(), Err(Code::InvalidState));
        assert!(client.listen().is_err() && client.connect(at).is_err(), "it is good for nothing any more");
        assert!(bound(&sockets, at).is_ok());
    }
}
