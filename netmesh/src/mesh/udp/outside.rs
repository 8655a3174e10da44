use std::collections::{HashSet, VecDeque};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use carob_net::{Account, Datagram, NetworkError, Passed, UdpOptions};
use parking_lot::Mutex;
use socket2::SockRef;
use tokio::net::UdpSocket;
use tokio::runtime::Handle;

use super::Inbox;
use crate::mesh::Shared;
use crate::mesh::outside::{fitted, set_hop_limit};
use crate::mesh::sockets::{Socket, Sockets};

/// Places whose answers one socket waits for; past it the oldest is forgotten.
const MOST_PEERS: usize = 1024;
const LARGEST: usize = 65_536;

/// A Pod's socket as the outside sees it: a socket of the host, made when it is first needed, that takes answers only.
pub(crate) struct Outside {
    is_ipv4: bool,
    runtime: Handle,
    /// Those that all Pods have.
    sockets: Arc<Sockets>,
    socket: OnceLock<(UdpSocket, Socket)>,
    options: Mutex<UdpOptions>,
    peers: Mutex<Peers>,
}

#[derive(Default)]
struct Peers {
    known: HashSet<SocketAddr>,
    oldest: VecDeque<SocketAddr>,
}

impl Peers {
    fn add(&mut self, peer: SocketAddr) {
        if self.known.insert(peer) {
            self.oldest.push_back(peer);
        }
        if self.oldest.len() > MOST_PEERS
            && let Some(oldest) = self.oldest.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

impl Outside {
    pub(crate) fn new(is_ipv4: bool, shared: &Shared) -> Outside {
        Outside {
            is_ipv4,
            runtime: shared.runtime.clone(),
            sockets: shared.host_sockets.clone(),
            socket: OnceLock::new(),
            options: Mutex::default(),
            peers: Mutex::default(),
        }
    }

    /// Applies them now, or when the socket is made.
    pub(crate) fn set_options(&self, options: UdpOptions) -> Result<(), NetworkError> {
        *self.options.lock() = options;
        match self.socket.get() {
            Some((socket, _)) => Ok(self.apply(&SockRef::from(socket))?),
            None => Ok(()),
        }
    }

    fn apply(&self, socket: &SockRef<'_>) -> io::Result<()> {
        let options = *self.options.lock();
        if let Some(bytes) = options.receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        if let Some(bytes) = options.send_buffer {
            socket.set_send_buffer_size(bytes)?;
        }
        set_hop_limit(socket, options.hop_limit, self.is_ipv4)
    }

    pub(crate) fn poll_send(
        &self,
        cx: &mut Context<'_>,
        _: Passed,
        bytes: &Bytes,
        to: SocketAddr,
        inbox: &Inbox,
        account: &Account,
    ) -> Poll<Result<(), NetworkError>> {
        let socket = self.socket_or_new(inbox)?;
        self.peers.lock().add(to);
        // Before anything is waited for: a socket that was just made is not known to be writable yet, and a guest that then
        // waits for the answer would not come back to send.
        let mut attempt = SockRef::from(socket).send_to(bytes, &to.into());
        loop {
            match attempt {
                Ok(_) => {
                    account.count_sent(bytes.len());
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
            ready!(socket.poll_send_ready(cx))?;
            attempt = socket.try_send_to(bytes, to);
        }
    }

    /// The next answer. What nobody asked for is not let in.
    pub(crate) fn poll_receive(&self, cx: &mut Context<'_>, account: &Account) -> Poll<Datagram> {
        let Some((socket, _)) = self.socket.get() else { return Poll::Pending };
        loop {
            if ready!(socket.poll_recv_ready(cx)).is_err() {
                return Poll::Pending;
            }
            let mut into = BytesMut::with_capacity(LARGEST);
            if let Ok((length, from)) = socket.try_recv_buf_from(&mut into)
                && self.peers.lock().known.contains(&from)
            {
                account.count_received(length);
                return Poll::Ready(Datagram { from, bytes: fitted(into) });
            }
        }
    }

    /// Whoever waits for a datagram already has to wait for this socket as well.
    fn socket_or_new(&self, inbox: &Inbox) -> Result<&UdpSocket, NetworkError> {
        if let Some((socket, _)) = self.socket.get() {
            return Ok(socket);
        }
        let counted = self.sockets.take()?;
        let opened = self.open()?;
        let (socket, _) = self.socket.get_or_init(|| (opened, counted));
        // Options that were set in the meantime.
        self.apply(&SockRef::from(socket))?;
        inbox.nudge();
        Ok(socket)
    }

    fn open(&self) -> io::Result<UdpSocket> {
        let any: SocketAddr =
            if self.is_ipv4 { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
        let socket = std::net::UdpSocket::bind(any)?;
        socket.set_nonblocking(true)?;
        let _on = self.runtime.enter();
        UdpSocket::from_std(socket)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use carob_net::{DecisionPoint, Flow, Party, Protocol, Workload};

    use super::*;
    use crate::mesh::{Mesh, MeshConfig};

    fn send(outside: &Outside, to: SocketAddr) -> Poll<Result<(), NetworkError>> {
        let workload = Workload {
            namespace: "default".into(),
            name: "pod".into(),
            addresses: vec![],
            hosts: vec![],
            names: Default::default(),
        };
        let (from, port) = (Party::Workload(&workload), to.port());
        let flow = Flow { protocol: Protocol::Udp, from, to: Party::Outside(to.ip()), port, is_answer: false };
        let passed = DecisionPoint::new(vec![]).decide(&flow).unwrap();
        let account = Arc::new(Account::new(usize::MAX));
        let inbox = Inbox::new(account.clone());
        outside.poll_send(&mut Context::from_waker(Waker::noop()), passed, &"x".into(), to, &inbox, &account)
    }

    fn hops(outside: &Outside) -> u32 {
        SockRef::from(&outside.socket.get().unwrap().0).ttl_v4().unwrap()
    }

    #[tokio::test]
    async fn options_are_those_of_the_hosts_socket_also_if_they_were_set_before_there_was_one() {
        let mesh = Mesh::new(MeshConfig { host_sockets: 1, ..MeshConfig::default() });
        let host = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let outside = Outside::new(true, mesh.shared());
        let options = UdpOptions { hop_limit: 9, receive_buffer: Some(10_000), ..UdpOptions::default() };
        outside.set_options(options).unwrap();
        assert_eq!(send(&outside, host.local_addr().unwrap()), Poll::Ready(Ok(())), "the first is sent at once");
        assert_eq!(hops(&outside), 9);
        assert_eq!(SockRef::from(&outside.socket.get().unwrap().0).recv_buffer_size().unwrap(), 20_000);
        outside.set_options(UdpOptions { hop_limit: 99, ..options }).unwrap();
        assert_eq!(hops(&outside), 99);
        let second = Outside::new(true, mesh.shared());
        assert_eq!(send(&second, host.local_addr().unwrap()), Poll::Ready(Err(NetworkError::LimitReached)));
    }
}
