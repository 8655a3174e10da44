//! Datagrams: between Pods, to Services, and to the outside.

mod flows;
mod heard;
mod inbox;
mod outside;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use carob_net::{Datagram, NetworkError, Passed, Protocol, UDP_RECEIVE_BUFFER, UdpOptions, UdpSocket};
use parking_lot::Mutex;
use tokio::net::UdpSocket as HostSocket;

use super::Mesh;
use super::pod::Pod;
use super::ports::{Key, Sharing};
use super::route::{Meaning, NamedBy, Route, Source};
use super::sockets::Socket;
use flows::Flows;
use heard::WayBack;
pub(crate) use inbox::Inbox;
use outside::Outside;

/// The most that a datagram of IPv4 holds, and that of IPv6.
const MOST: (usize, usize) = (65_507, 65_527);

/// A UDP socket of a Pod.
pub(crate) struct Udp {
    pod: Arc<Pod>,
    key: Key,
    inbox: Arc<Inbox>,
    outside: Outside,
    flows: Mutex<Flows>,
    _socket: Socket,
}

impl Udp {
    pub(crate) fn bind(pod: &Arc<Pod>, local: SocketAddr) -> Result<Udp, NetworkError> {
        let socket = pod.sockets.take()?;
        let inbox = Arc::new(Inbox::new(pod.datagrams.clone()));
        let mut ports = pod.udp.lock();
        let key = ports.bind(local, Sharing::Never)?;
        ports.open(key, inbox.clone())?;
        drop(ports);
        let outside = Outside::new(local.is_ipv4(), &pod.shared);
        Ok(Udp { pod: pod.clone(), key, inbox, outside, flows: Mutex::default(), _socket: socket })
    }

    fn deliver(&self, to: &Arc<Pod>, at: SocketAddr, from: SocketAddr, bytes: &Bytes) {
        let is_own = Arc::ptr_eq(to, &self.pod);
        if !is_own {
            self.pod.account.count_sent(bytes.len());
        }
        // To nobody is not an error: who sends a datagram never hears of it.
        let inbox = to.udp.lock().at(at).cloned();
        if let Some(inbox) = inbox {
            let account = (!is_own).then(|| to.account.clone());
            inbox.put(Datagram { from, bytes: bytes.clone() }, account);
        }
    }

    /// Whether a datagram to this place answers one, and if so how.
    fn named_by(&self, place: SocketAddr) -> NamedBy {
        match self.inbox.way_back(place) {
            Some(WayBack::Inside) => NamedBy::Asker,
            Some(WayBack::Host(_)) => NamedBy::Client,
            None => NamedBy::Guest,
        }
    }

    /// Answers a client from the port of the host that it came in by. Where that has no room, the answer is lost, and so is
    /// one to a client that has not been heard of for too long.
    fn answer(&self, _: Passed, bytes: &Bytes, to: SocketAddr) -> Result<(), NetworkError> {
        let Some(WayBack::Host(port)) = self.inbox.way_back(to) else { return Ok(()) };
        match port.try_send_to(bytes, to) {
            Ok(_) => self.pod.account.count_sent(bytes.len()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// The place that `to` stands for, for this socket: a Service's address stays the same endpoint while that is ready.
    fn place(&self, to: SocketAddr) -> Option<(SocketAddr, NamedBy)> {
        let frontend = match self.pod.shared.meaning(Protocol::Udp, to) {
            Meaning::Place(place) => return Some((place, self.named_by(place))),
            Meaning::Service(frontend) => frontend,
        };
        let mut flows = self.flows.lock();
        if let Some(endpoint) = flows.endpoint(to).filter(|endpoint| frontend.has(*endpoint)) {
            return Some((endpoint, NamedBy::Service));
        }
        let client = self.pod.source(self.key.address, to.ip())?.ip();
        let endpoint = frontend.kept(client).or_else(|| self.pod.shared.choose(&frontend))?;
        frontend.keep(client, endpoint);
        flows.begin(to, endpoint);
        Some((endpoint, NamedBy::Service))
    }
}

impl Mesh {
    /// Gives a datagram of a client that came in by this port of the host to whoever receives at a Pod's address. To nobody
    /// is not an error.
    pub(crate) fn deliver_inside(&self, client: SocketAddr, to: SocketAddr, bytes: Bytes, port: &Arc<HostSocket>) {
        let route = self.shared().route(&Source::Outside(client), Protocol::Udp, to, NamedBy::Service);
        let Ok(Route::Pod(pod, at)) = route else { return };
        let inbox = pod.udp.lock().at(at).cloned();
        if let Some(inbox) = inbox {
            let back = WayBack::Host(port.clone());
            inbox.put_from(Datagram { from: client, bytes }, Some(pod.account.clone()), back);
        }
    }
}

impl UdpSocket for Udp {
    fn local_address(&self) -> SocketAddr {
        self.key.address
    }

    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<Result<Datagram, NetworkError>> {
        let datagram = match self.inbox.poll_take(cx) {
            Poll::Ready(datagram) => datagram,
            Poll::Pending => ready!(self.outside.poll_receive(cx, &self.pod.account)),
        };
        let from = self.flows.lock().seen_as(datagram.from);
        Poll::Ready(Ok(Datagram { from, ..datagram }))
    }

    fn poll_send(&self, cx: &mut Context<'_>, bytes: &Bytes, to: SocketAddr) -> Poll<Result<(), NetworkError>> {
        if bytes.len() > if to.is_ipv4() { MOST.0 } else { MOST.1 } {
            return Poll::Ready(Err(NetworkError::DatagramTooLarge));
        }
        // A Service without endpoints loses datagrams.
        let Some((place, by)) = self.place(to) else { return Poll::Ready(Ok(())) };
        let Some(from) = self.pod.source(self.key.address, to.ip()) else {
            return Poll::Ready(Err(NetworkError::RemoteUnreachable));
        };
        match self.pod.shared.route(&Source::Pod(self.pod.clone()), Protocol::Udp, place, by) {
            Ok(Route::Pod(pod, at)) => {
                self.deliver(&pod, at, from, bytes);
                Poll::Ready(Ok(()))
            }
            Ok(Route::Elsewhere(peer, to, passed)) => {
                self.inbox.note_asked(to);
                self.pod.send_elsewhere(&peer, passed, (from, to), bytes);
                Poll::Ready(Ok(()))
            }
            Ok(Route::Outside(to, passed)) if by == NamedBy::Client => Poll::Ready(self.answer(passed, bytes, to)),
            Ok(Route::Outside(to, passed)) => {
                self.outside.poll_send(cx, passed, bytes, to, &self.inbox, &self.pod.account)
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn set_options(&self, options: &UdpOptions) -> Result<(), NetworkError> {
        self.inbox.set_most(options.receive_buffer.unwrap_or(UDP_RECEIVE_BUFFER));
        self.outside.set_options(*options)
    }
}

impl Drop for Udp {
    fn drop(&mut self) {
        self.pod.udp.lock().release(self.key);
    }
}
