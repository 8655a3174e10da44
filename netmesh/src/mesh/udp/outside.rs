use std::collections::{HashSet, VecDeque};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use carob_net::{Account, Datagram, NetworkError, Passed};
use parking_lot::Mutex;
use tokio::net::UdpSocket;
use tokio::runtime::Handle;

use super::Inbox;
use crate::mesh::outside::fitted;

/// Places whose answers one socket waits for; past it the oldest is forgotten.
const MOST_PEERS: usize = 1024;
const LARGEST: usize = 65_536;

/// A Pod's socket as the outside sees it: a socket of the host, made when it is first needed, that takes answers only.
pub(crate) struct Outside {
    is_ipv4: bool,
    runtime: Handle,
    socket: OnceLock<Arc<UdpSocket>>,
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
    pub(crate) fn new(is_ipv4: bool, runtime: Handle) -> Outside {
        Outside { is_ipv4, runtime, socket: OnceLock::new(), peers: Mutex::default() }
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
        loop {
            ready!(socket.poll_send_ready(cx))?;
            match socket.try_send_to(bytes, to) {
                Ok(_) => {
                    account.count_sent(bytes.len());
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    /// The next answer. What nobody asked for is not let in.
    pub(crate) fn poll_receive(&self, cx: &mut Context<'_>, account: &Account) -> Poll<Datagram> {
        let Some(socket) = self.socket.get() else { return Poll::Pending };
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
    fn socket_or_new(&self, inbox: &Inbox) -> Result<Arc<UdpSocket>, NetworkError> {
        if let Some(socket) = self.socket.get() {
            return Ok(socket.clone());
        }
        let socket = Arc::new(self.open()?);
        let socket = self.socket.get_or_init(|| socket).clone();
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
