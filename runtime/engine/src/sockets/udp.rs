use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use carob_net::Datagram;

use super::Sockets;
use super::address::Family;
use super::error::Code;
use super::options::UdpOptions;

/// The most that the length field of a datagram can say.
const LONGEST: usize = u16::MAX as usize;

/// A UDP socket, in either version of WASI.
pub struct UdpSocket {
    sockets: Sockets,
    family: Family,
    options: UdpOptions,
    state: State,
}

enum State {
    /// To `Bound` or `Connected`.
    Unbound,
    /// To and from `Connected`.
    Bound(Arc<Port>),
    /// Sends to one address and receives from it alone.
    Connected(Arc<Port>, SocketAddr),
}

/// A local address that datagrams come to and go from.
pub(super) struct Port {
    socket: Box<dyn carob_net::UdpSocket>,
    /// The network wakes one task: who receives holds it.
    turn: tokio::sync::Mutex<()>,
}

/// A datagram on its way.
pub(super) struct Outgoing {
    port: Arc<Port>,
    bytes: Bytes,
    to: SocketAddr,
}

/// Where datagrams come from.
#[derive(Clone)]
pub(super) struct Incoming {
    port: Arc<Port>,
    /// Others are not heard.
    from: Option<SocketAddr>,
}

impl UdpSocket {
    pub(super) fn new(sockets: Sockets, family: Family) -> UdpSocket {
        UdpSocket { sockets, family, options: UdpOptions::default(), state: State::Unbound }
    }

    pub(super) fn family(&self) -> Family {
        self.family
    }

    pub(super) fn options(&self) -> &UdpOptions {
        &self.options
    }

    /// Changes the options, also of a socket that is in use.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut UdpOptions) -> Result<(), Code>) -> Result<(), Code> {
        let mut changed = self.options;
        change(&mut changed)?;
        if let State::Bound(port) | State::Connected(port, _) = &self.state {
            port.socket.set_options(&changed.into())?;
        }
        self.options = changed;
        Ok(())
    }

    pub(super) fn is_bound(&self) -> bool {
        !matches!(self.state, State::Unbound)
    }

    pub(super) fn bind(&mut self, local: SocketAddr) -> Result<(), Code> {
        let State::Unbound = self.state else { return Err(Code::InvalidState) };
        self.family.udp_local(local)?;
        self.state = State::Bound(self.take_port(local)?);
        Ok(())
    }

    pub(super) fn connect(&mut self, remote: SocketAddr) -> Result<(), Code> {
        self.family.udp_remote(remote)?;
        let port = self.port()?;
        self.state = State::Connected(port, remote);
        Ok(())
    }

    pub(super) fn disconnect(&mut self) -> Result<(), Code> {
        let State::Connected(port, _) = &self.state else { return Err(Code::InvalidState) };
        self.state = State::Bound(port.clone());
        Ok(())
    }

    pub(super) fn local_address(&self) -> Result<SocketAddr, Code> {
        match &self.state {
            State::Unbound => Err(Code::InvalidState),
            State::Bound(port) => Ok(port.socket.local_address()),
            State::Connected(port, remote) => Ok(towards(port.socket.local_address(), *remote)),
        }
    }

    pub(super) fn remote_address(&self) -> Result<SocketAddr, Code> {
        self.remote().ok_or(Code::InvalidState)
    }

    /// A datagram to `to`, or to where the socket is connected; of the two, the second decides.
    pub(super) fn outgoing(&mut self, bytes: Bytes, to: Option<SocketAddr>) -> Result<Outgoing, Code> {
        if bytes.len() > LONGEST {
            return Err(Code::DatagramTooLarge);
        }
        let to = match (to, self.remote()) {
            (Some(to), Some(remote)) if to != remote => return Err(Code::InvalidArgument),
            (Some(to), _) | (None, Some(to)) => to,
            (None, None) => return Err(Code::InvalidArgument),
        };
        self.family.udp_remote(to)?;
        Ok(Outgoing { port: self.port()?, bytes, to })
    }

    pub(super) fn incoming(&self) -> Result<Incoming, Code> {
        match &self.state {
            State::Unbound => Err(Code::InvalidState),
            State::Bound(port) => Ok(Incoming { port: port.clone(), from: None }),
            State::Connected(port, remote) => Ok(Incoming { port: port.clone(), from: Some(*remote) }),
        }
    }

    fn remote(&self) -> Option<SocketAddr> {
        match &self.state {
            State::Connected(_, remote) => Some(*remote),
            State::Unbound | State::Bound(_) => None,
        }
    }

    /// Where it is bound, or any free port from now on.
    fn port(&mut self) -> Result<Arc<Port>, Code> {
        match &self.state {
            State::Bound(port) | State::Connected(port, _) => Ok(port.clone()),
            State::Unbound => {
                let port = self.take_port(self.family.unspecified())?;
                self.state = State::Bound(port.clone());
                Ok(port)
            }
        }
    }

    fn take_port(&self, local: SocketAddr) -> Result<Arc<Port>, Code> {
        let socket = self.sockets.network.bind_udp(local)?;
        socket.set_options(&self.options.into())?;
        Ok(Arc::new(Port { socket, turn: tokio::sync::Mutex::new(()) }))
    }
}

/// What a socket that is bound to all addresses calls itself once it is connected: to loopback only loopback leads.
fn towards(local: SocketAddr, remote: SocketAddr) -> SocketAddr {
    if local.ip().is_unspecified() && remote.ip().is_loopback() {
        return SocketAddr::new(remote.ip(), local.port());
    }
    local
}

impl Outgoing {
    /// Ready when the network has taken it.
    pub(super) fn poll_send(&self, cx: &mut Context<'_>) -> Poll<Result<(), Code>> {
        self.port.socket.poll_send(cx, &self.bytes, self.to).map_err(Into::into)
    }
}

impl Incoming {
    /// The next datagram.
    pub(super) fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<Result<Datagram, Code>> {
        loop {
            let datagram = ready!(self.port.socket.poll_receive(cx))?;
            if self.from.is_none_or(|from| from == datagram.from) {
                return Poll::Ready(Ok(datagram));
            }
        }
    }

    /// The next datagram, when it is this caller's turn.
    pub(super) async fn receive(self) -> Result<Datagram, Code> {
        let _turn = self.port.turn.lock().await;
        std::future::poll_fn(|cx| self.poll_receive(cx)).await
    }
}
