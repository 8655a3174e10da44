//! One other node, as whoever wants to reach it sees it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use carob_net::{NetworkError, PipeEnd};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, watch};

use super::NodeName;
use super::connected::{Connected, OpenError};
use super::protocol::{Header, Reason};

/// Datagrams that wait for a connection, or are too large for one packet; more of them are lost.
const WAITING_DATAGRAMS: usize = 256;
/// Connections of the other node that wait to be looked at; more of them are dropped.
const WAITING_ARRIVALS: usize = 16;
/// How often a flow is begun again whose connection was given up for another while it was begun.
const TRIES: usize = 3;

/// The way to one other node.
pub(crate) struct Peer {
    pub(crate) name: NodeName,
    wanted: Arc<Notify>,
    address: watch::Sender<SocketAddr>,
    arrivals: mpsc::Sender<quinn::Connection>,
    datagrams: mpsc::Sender<Bytes>,
    standing: watch::Receiver<Standing>,
    load: Mutex<HashMap<SocketAddr, usize>>,
}

/// What there is to a node.
#[derive(Clone)]
pub(crate) enum Standing {
    /// Nothing yet: nobody has wanted it, or it is on its way.
    Idle,
    Up(Arc<Connected>),
    /// Nothing, though it was tried: why. It is tried again, and whoever comes meanwhile does not wait for it.
    Down(Arc<str>),
}

impl Standing {
    /// Whether it says how things are: a connection that has just ended is seen before whoever keeps it has said so.
    fn is_settled(&self) -> bool {
        match self {
            Standing::Idle => false,
            Standing::Up(connected) => connected.quic.close_reason().is_none(),
            Standing::Down(_) => true,
        }
    }
}

/// The other ends of a [`Peer`], for the one who keeps the connection.
pub(crate) struct Ends {
    pub(crate) wanted: Arc<Notify>,
    pub(crate) address: watch::Receiver<SocketAddr>,
    pub(crate) arrivals: mpsc::Receiver<quinn::Connection>,
    pub(crate) standing: watch::Sender<Standing>,
}

impl Peer {
    pub(crate) fn new(name: NodeName, address: SocketAddr) -> (Arc<Peer>, Ends, mpsc::Receiver<Bytes>) {
        let wanted = Arc::new(Notify::new());
        let (address, address_seen) = watch::channel(address);
        let (arrivals, arriving) = mpsc::channel(WAITING_ARRIVALS);
        let (datagrams, datagrams_out) = mpsc::channel(WAITING_DATAGRAMS);
        let (standing_told, standing) = watch::channel(Standing::Idle);
        let ends = Ends { wanted: wanted.clone(), address: address_seen, arrivals: arriving, standing: standing_told };
        let peer = Peer { name, wanted, address, arrivals, datagrams, standing, load: Mutex::default() };
        (Arc::new(peer), ends, datagrams_out)
    }

    /// Carries a flow between a Pod's pipe and its target, once that has been accepted there.
    pub(crate) async fn connect(self: &Arc<Peer>, header: Header, end: PipeEnd) -> Result<(), NetworkError> {
        let counted = self.count(header.target);
        let mut tries = TRIES;
        let opened = loop {
            let connected = self.connection().await?;
            let busy = connected.busy();
            match connected.open(&header).await {
                Err(OpenError::Duplicate) if tries > 1 => tries -= 1,
                opened => break opened.map(|stream| (connected, stream, busy)),
            }
        };
        let (connected, stream, _busy) = opened.map_err(|error| self.refused(&header, error))?;
        connected.carry(end, stream, counted);
        Ok(())
    }

    /// Sends a datagram, if it can be sent now or soon.
    pub(crate) fn send(&self, header: &Header, payload: &[u8]) {
        let datagram = header.datagram(payload);
        let fitting = match &*self.standing.borrow() {
            Standing::Up(connected) => connected.send_if_it_fits(&datagram),
            Standing::Idle | Standing::Down(_) => false,
        };
        if !fitting {
            // It is lost where there is no room, as datagrams are.
            let _ = self.datagrams.try_send(datagram);
        }
    }

    /// The connection with the node; the first who asks has it dialled.
    pub(crate) async fn connection(&self) -> Result<Arc<Connected>, NetworkError> {
        let mut standing = self.standing.clone();
        if let Standing::Idle = *standing.borrow() {
            self.wanted.notify_one();
        }
        let told = standing.wait_for(Standing::is_settled).await;
        match told.as_deref() {
            Ok(Standing::Up(connected)) => Ok(connected.clone()),
            Ok(Standing::Down(why)) => {
                tracing::debug!(node = %self.name, %why, "a flow found its node unreachable");
                Err(NetworkError::RemoteUnreachable)
            }
            Ok(Standing::Idle) | Err(_) => Err(NetworkError::RemoteUnreachable),
        }
    }

    #[cfg(test)]
    pub(super) fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.clone()
    }

    /// Flows from this node to one endpoint there.
    pub(crate) fn load(&self, endpoint: SocketAddr) -> usize {
        self.load.lock().get(&endpoint).copied().unwrap_or(0)
    }

    /// The node's mesh listens there now.
    pub(super) fn move_to(&self, address: SocketAddr) {
        self.address.send_if_modified(|known| std::mem::replace(known, address) != address);
    }

    /// The node has connected to this one.
    pub(super) fn arrive(&self, quic: quinn::Connection) {
        // Where so many wait the node has dialled again and again, and will.
        let _ = self.arrivals.try_send(quic);
    }

    fn count(self: &Arc<Peer>, endpoint: SocketAddr) -> Counted {
        *self.load.lock().entry(endpoint).or_default() += 1;
        Counted { peer: self.clone(), endpoint }
    }

    fn refused(&self, header: &Header, error: OpenError) -> NetworkError {
        let (target, node) = (header.target, &self.name);
        match error {
            OpenError::Refused(refusal) => {
                tracing::debug!(%target, %node, reason = ?refusal.reason, why = refusal.why, "a node refused a flow");
                match refusal.reason {
                    Reason::Refused => NetworkError::ConnectionRefused,
                    Reason::Unreachable => NetworkError::RemoteUnreachable,
                    Reason::Denied | Reason::Forged => NetworkError::AccessDenied(refusal.why),
                    Reason::Malformed => NetworkError::Other(refusal.why),
                }
            }
            OpenError::TimedOut => NetworkError::TimedOut,
            OpenError::Duplicate | OpenError::Lost(_) => NetworkError::RemoteUnreachable,
            OpenError::Malformed(malformed) => {
                tracing::warn!(%target, %node, %malformed, "a node's answer to a flow cannot be read");
                NetworkError::Other(malformed.to_string())
            }
        }
    }
}

/// A flow that counts as load of its endpoint.
pub(crate) struct Counted {
    peer: Arc<Peer>,
    endpoint: SocketAddr,
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Entry::Occupied(mut flows) = self.peer.load.lock().entry(self.endpoint) {
            *flows.get_mut() -= 1;
            if *flows.get() == 0 {
                flows.remove();
            }
        }
    }
}
