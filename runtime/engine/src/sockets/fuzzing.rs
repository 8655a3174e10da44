//! Sequences of operations on sockets, as some bytes say, with what must hold after each. `tests/fuzz` and a property test
//! run it.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use carob_net::Network;

use super::accept::Accepting;
use super::address::Family;
use super::halves::{Receiver, Sender};
use super::tcp::{Connect, TcpSocket};
use super::udp::UdpSocket;
use super::{Sockets, glance, lookup};

/// Sockets of each protocol that exist at once.
const SLOTS: usize = 4;

/// Does what `script` says in `network`.
///
/// # Panics
/// If something that must hold does not.
pub fn run(network: Arc<dyn Network>, script: &[u8]) {
    let mut script = Script(script);
    let mut sockets = World::new(network);
    while let Some(step) = script.next() {
        sockets.step(step, &mut script);
        sockets.check();
    }
}

/// Bytes, taken as whatever is wanted next.
struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn byte(&mut self) -> u8 {
        self.next().unwrap_or_default()
    }

    fn number(&mut self) -> u64 {
        (0..8).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }

    fn family(&mut self) -> Family {
        if self.byte().is_multiple_of(2) { Family::V4 } else { Family::V6 }
    }

    /// Likely loopback and a low port, and otherwise anything.
    fn address(&mut self) -> SocketAddr {
        let port = match self.byte() {
            port @ 0..64 => u16::from(port % 8),
            port => u16::from_be_bytes([port, self.byte()]),
        };
        match self.byte() % 8 {
            0 => (Ipv4Addr::UNSPECIFIED, port).into(),
            1 | 2 => (Ipv4Addr::LOCALHOST, port).into(),
            3 => (Ipv6Addr::UNSPECIFIED, port).into(),
            4 | 5 => (Ipv6Addr::LOCALHOST, port).into(),
            6 => (Ipv4Addr::from_octets([self.byte(), self.byte(), self.byte(), self.byte()]), port).into(),
            _ => (Ipv6Addr::from_bits(u128::from(self.number()) << 64 | u128::from(self.number())), port).into(),
        }
    }
}

/// What a socket may be, as far as an onlooker knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Unbound,
    Bound(SocketAddr),
    Listening(SocketAddr),
    Connected(SocketAddr),
    Closed,
}

struct Tcp {
    socket: TcpSocket,
    seen: Seen,
    accepting: Option<Accepting>,
    receiver: Option<Receiver>,
    sender: Option<Sender>,
    /// Bytes that went each way: what arrives is numbered as it was sent.
    sent: u8,
    received: u8,
}

struct World {
    sockets: Sockets,
    tcp: Vec<Tcp>,
    udp: Vec<UdpSocket>,
}

impl Tcp {
    fn new(socket: TcpSocket, seen: Seen) -> Tcp {
        Tcp { socket, seen, accepting: None, receiver: None, sender: None, sent: 0, received: 0 }
    }

    fn bind(&mut self, local: SocketAddr) {
        if self.socket.bind(local).is_ok() {
            assert_eq!(self.seen, Seen::Unbound, "only a new socket is bound");
            let bound = self.socket.local_address().expect("it has an address");
            assert_ne!(bound.port(), 0, "a bound socket has a port");
            assert!(local.port() == 0 || local == bound, "it has the address that it asked for");
            self.seen = Seen::Bound(bound);
        }
    }

    fn listen(&mut self) {
        let may = matches!(self.seen, Seen::Unbound | Seen::Bound(_));
        match self.socket.listen() {
            Ok(accepting) => {
                assert!(may, "{:?} does not listen", self.seen);
                self.accepting = Some(accepting);
                self.seen = Seen::Listening(self.socket.local_address().expect("it has an address"));
            }
            Err(_) if may => self.seen = self.look(),
            Err(_) => {}
        }
    }

    fn connect(&mut self, remote: SocketAddr) {
        let Ok(connect) = self.socket.connect(remote) else {
            self.seen = self.look();
            return;
        };
        assert!(matches!(self.seen, Seen::Unbound | Seen::Bound(_)), "{:?} does not connect", self.seen);
        assert!(self.socket.local_address().is_err() && self.socket.options().is_err(), "it is on its way");
        self.seen = match ended(connect).map(|ended| self.socket.connected(ended)) {
            Some(Ok(())) => Seen::Connected(self.socket.local_address().expect("it has an address")),
            Some(Err(_)) | None => Seen::Closed,
        };
    }

    /// What a failed attempt has left: still what it was, or closed for good.
    fn look(&self) -> Seen {
        match (self.seen, self.socket.local_address()) {
            (Seen::Bound(_), Err(_)) if !self.socket.is_bound() => Seen::Unbound,
            (Seen::Bound(_) | Seen::Unbound, Err(_)) if self.socket.is_bound() => Seen::Closed,
            (seen, _) => seen,
        }
    }

    fn take_halves(&mut self) {
        let may = matches!(self.seen, Seen::Connected(_));
        if let Ok(receiver) = self.socket.take_receiver() {
            assert!(may && self.receiver.replace(receiver).is_none(), "a half is given once");
        }
        if let Ok(sender) = self.socket.take_sender() {
            assert!(may && self.sender.replace(sender).is_none(), "a half is given once");
        }
    }

    fn send(&mut self, most: usize) {
        let Some(sender) = &mut self.sender else { return };
        if let Poll::Ready(Ok(capacity)) = sender.poll_capacity(&mut glance()) {
            assert_ne!(capacity, 0, "ready means that there is room");
            let some = most.min(capacity);
            let bytes: Bytes = (0..some).map(|n| self.sent.wrapping_add(n as u8)).collect();
            if sender.send(bytes).is_ok() {
                self.sent = self.sent.wrapping_add(some as u8);
            }
        }
    }

    fn receive(&mut self, most: usize) {
        let Some(receiver) = &mut self.receiver else { return };
        let ready = receiver.poll_ready(&mut glance()).is_ready();
        match receiver.poll_read(&mut glance(), most.max(1)) {
            Poll::Ready(Ok(Some(bytes))) => {
                assert!(!bytes.is_empty() && bytes.len() <= most.max(1), "as many bytes as were asked for");
                for byte in bytes {
                    assert_eq!(byte, self.received, "what arrives is what was sent, in order");
                    self.received = self.received.wrapping_add(1);
                }
            }
            Poll::Ready(_) => self.receiver = None,
            Poll::Pending => assert!(!ready, "what is ready can be read"),
        }
    }
}

/// What an attempt came to, if it did at once.
fn ended(mut connect: Connect) -> Option<Result<carob_net::TcpConnection, carob_net::NetworkError>> {
    match connect.as_mut().poll(&mut glance()) {
        Poll::Ready(ended) => Some(ended),
        Poll::Pending => None,
    }
}

impl World {
    fn new(network: Arc<dyn Network>) -> World {
        let sockets = Sockets::new(network);
        let tcp = (0..SLOTS).map(|_| Tcp::new(TcpSocket::new(sockets.clone(), Family::V4), Seen::Unbound)).collect();
        let udp = (0..SLOTS).map(|_| UdpSocket::new(sockets.clone(), Family::V4)).collect();
        World { sockets, tcp, udp }
    }

    fn step(&mut self, step: u8, script: &mut Script<'_>) {
        let slot = usize::from(step >> 4) % SLOTS;
        match step % 16 {
            0 => self.tcp[slot] = Tcp::new(TcpSocket::new(self.sockets.clone(), script.family()), Seen::Unbound),
            1 => self.tcp[slot].bind(script.address()),
            2 => self.tcp[slot].listen(),
            3 => self.tcp[slot].connect(script.address()),
            4 => self.connect_to(slot, usize::from(script.byte()) % SLOTS),
            5 => self.accept(slot, usize::from(script.byte()) % SLOTS),
            6 => self.tcp[slot].take_halves(),
            7 => self.tcp[slot].send(usize::from(script.byte()) * 64),
            8 => self.tcp[slot].receive(usize::from(script.byte()) * 64),
            9 => drop(self.tcp[slot].sender.take()),
            10 => drop(self.tcp[slot].receiver.take()),
            11 => self.set_option(slot, script),
            12 => self.udp[slot] = UdpSocket::new(self.sockets.clone(), script.family()),
            13 => self.udp(slot, script),
            14 => self.datagram(slot, script),
            _ => self.look_up(script),
        }
    }

    fn connect_to(&mut self, slot: usize, server: usize) {
        if let Seen::Listening(address) = self.tcp[server].seen
            && !address.ip().is_unspecified()
        {
            self.tcp[slot].connect(address);
        }
    }

    fn accept(&mut self, slot: usize, into: usize) {
        let Some(accepting) = &mut self.tcp[slot].accepting else { return };
        let ready = accepting.poll_ready(&mut glance()).is_ready();
        match accepting.poll_accept(&mut glance()) {
            Poll::Ready(socket) => {
                let seen = socket.local_address().map_or(Seen::Closed, Seen::Connected);
                self.tcp[into] = Tcp::new(socket, seen);
            }
            Poll::Pending => assert!(!ready, "what is ready can be accepted"),
        }
    }

    fn set_option(&mut self, slot: usize, script: &mut Script<'_>) {
        let (which, value) = (script.byte(), script.number());
        let socket = &mut self.tcp[slot].socket;
        let set = match which % 7 {
            0 => socket.set_backlog(value),
            1 => socket.change(|options| options.set_keep_alive_idle(value)),
            2 => socket.change(|options| options.set_keep_alive_interval(value)),
            3 => socket.change(|options| options.set_keep_alive_count(value as u32)),
            4 => socket.change(|options| options.set_hop_limit(value as u8)),
            5 => socket.change(|options| options.set_receive_buffer(value)),
            _ => socket.change(|options| options.set_send_buffer(value)),
        };
        assert!(set.is_err() || value != 0, "zero is no value of any option");
    }

    fn udp(&mut self, slot: usize, script: &mut Script<'_>) {
        let socket = &mut self.udp[slot];
        let was_bound = socket.is_bound();
        match script.byte() % 3 {
            0 => assert!(socket.bind(script.address()).is_err() || !was_bound, "a socket is bound once"),
            1 => {
                let remote = script.address();
                if socket.connect(remote).is_ok() {
                    assert_eq!(socket.remote_address(), Ok(remote));
                }
            }
            _ => {
                let _ = socket.disconnect();
            }
        }
    }

    fn datagram(&mut self, slot: usize, script: &mut Script<'_>) {
        let to = script.byte().is_multiple_of(2).then(|| script.address());
        let bytes = Bytes::from(vec![0; script.number() as u16 as usize]);
        if let Ok(outgoing) = self.udp[slot].outgoing(bytes, to) {
            assert!(self.udp[slot].is_bound(), "who sends has a port");
            let _ = outgoing.poll_send(&mut glance());
        }
        if let Ok(incoming) = self.udp[slot].incoming() {
            let _ = incoming.poll_receive(&mut glance());
        }
    }

    fn look_up(&self, script: &mut Script<'_>) {
        let name: Vec<u8> = (0..script.byte() % 32).map(|_| script.byte()).collect();
        if let Ok(mut lookup) = lookup::resolve(self.sockets.network.as_ref(), &String::from_utf8_lossy(&name)) {
            let _ = lookup.as_mut().poll(&mut glance());
        }
    }

    /// What an onlooker has seen is what each socket says.
    fn check(&self) {
        for tcp in &self.tcp {
            let (local, socket) = (tcp.socket.local_address().ok(), &tcp.socket);
            assert_eq!(socket.is_listening(), matches!(tcp.seen, Seen::Listening(_)));
            assert_eq!(socket.remote_address().is_ok(), matches!(tcp.seen, Seen::Connected(_)));
            match tcp.seen {
                Seen::Unbound | Seen::Closed => assert_eq!(local, None, "{:?}", tcp.seen),
                Seen::Bound(at) | Seen::Listening(at) | Seen::Connected(at) => assert_eq!(local, Some(at)),
            }
            if let Some(local) = local {
                assert_eq!(local.is_ipv4(), socket.family() == Family::V4, "addresses are of the socket's family");
            }
        }
    }
}

#[cfg(test)]
mod tests;
