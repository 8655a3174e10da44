//! The Pods of other nodes: one QUIC connection to each node, and in it a stream for each TCP flow.
//!
//! - [`protocol`] is what nodes say to each other, [`link`] how their connection is come by, [`table`] which node has which
//!   Pods: all pure;
//! - [`Peers`] runs the endpoint; a [`keeper`] keeps the connection with one node, [`incoming`] serves what comes on it,
//!   [`flow`] carries the bytes of one flow;
//! - [`elsewhere`] is what the Pods' network sees of all this: the way to an address;
//! - [`tls`], [`credentials`] and [`identity`] prove who is who.
//!
//! What a flow may hold is bounded on both sides, by pipes at its ends and the stream's window between. See [`Limits`].

mod connected;
mod credentials;
mod elsewhere;
mod endpoint;
mod flow;
mod identity;
mod incoming;
mod keeper;
mod link;
mod nodes;
mod peer;
pub(crate) mod protocol;
mod socket;
mod table;
mod tls;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use quinn::{ConnectionError, Incoming};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub use credentials::{Credentials, CredentialsError};
pub use endpoint::{Limits, PeersConfig, PeersError};
pub use identity::IdentityError;
pub use nodes::{MESH_ADDRESS, follow_nodes};
pub use table::{Conflict, Place, Routes};

pub(crate) use elsewhere::Elsewhere;
pub(crate) use peer::Peer;

use crate::mesh::Mesh;
use endpoint::Endpoint;
use keeper::Keeper;
use protocol::Close;

/// The name of a node's object in the API.
pub type NodeName = Arc<str>;

/// Handshakes that others have begun; past it they have to prove first that they are where they say.
const UNPROVEN: usize = 64;
/// Past it they have to come again.
const MOST_HANDSHAKES: usize = 1024;

/// The mesh of this node: reaches the Pods of others, and lets theirs reach those of this one.
pub struct Peers {
    mesh: Mesh,
    endpoint: Endpoint,
    keepers: HashMap<NodeName, CancellationToken>,
    keeping: JoinSet<()>,
}

impl Peers {
    /// Listens for other nodes; nothing is dialled or accepted before [`Peers::run`].
    ///
    /// # Errors
    /// If the address cannot be bound.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn bind(
        mesh: Mesh,
        config: &PeersConfig,
        credentials: watch::Receiver<Arc<Credentials>>,
    ) -> Result<Peers, PeersError> {
        let endpoint = Endpoint::bind(config, credentials)?;
        mesh.shared().elsewhere.set_me(endpoint.me.clone());
        Ok(Peers { mesh, endpoint, keepers: HashMap::new(), keeping: JoinSet::new() })
    }

    /// Where other nodes reach this one, by UDP.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.endpoint.quic.local_addr()
    }

    /// Keeps a connection with every node of `routes` that there is a flow to, until `shutdown`; then tells the others that
    /// it stops. Dropping the future leaves them to find out.
    pub async fn run(mut self, mut routes: watch::Receiver<Arc<Routes>>, shutdown: CancellationToken) {
        let mut handshakes = JoinSet::new();
        let current = routes.borrow_and_update().clone();
        self.take_in(current);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                Ok(()) = routes.changed() => {
                    let current = routes.borrow_and_update().clone();
                    self.take_in(current);
                }
                Some(incoming) = self.endpoint.quic.accept() => self.answer(incoming, &mut handshakes),
                Some(done) = handshakes.join_next() => {
                    if let Ok((from, outcome)) = done {
                        self.welcome(from, outcome);
                    }
                }
                Some(_) = self.keeping.join_next() => {}
            }
        }
        self.stop().await;
    }

    /// Begins to keep connections with nodes that are new, and ends those with nodes that are gone.
    fn take_in(&mut self, routes: Arc<Routes>) {
        let me = self.endpoint.me.clone();
        let others: HashMap<NodeName, SocketAddr> =
            routes.reachable().filter(|(name, _)| **name != me).map(|(name, at)| (name.clone(), at)).collect();
        self.mesh.shared().elsewhere.set_routes(routes);
        self.keepers.retain(|name, stop| {
            let stays = others.contains_key(name);
            if !stays {
                stop.cancel();
            }
            stays
        });
        for (name, address) in others {
            match self.mesh.shared().elsewhere.peer(&name).filter(|_| self.keepers.contains_key(&name)) {
                Some(peer) => peer.move_to(address),
                None => self.keep(name, address),
            }
        }
        self.mesh.shared().elsewhere.forget_all_but(&self.keepers);
    }

    fn keep(&mut self, name: NodeName, address: SocketAddr) {
        let stop = CancellationToken::new();
        let (peer, ends, datagrams) = Peer::new(name.clone(), address);
        self.mesh.shared().elsewhere.add(peer.clone());
        let keeper = Keeper::new(self.mesh.shared().clone(), self.endpoint.clone(), peer, ends);
        self.keeping.spawn(keeper.run(datagrams, stop.clone()));
        self.keepers.insert(name, stop);
    }

    fn answer(&self, incoming: Incoming, handshakes: &mut JoinSet<(SocketAddr, Outcome)>) {
        if handshakes.len() >= MOST_HANDSHAKES {
            return incoming.refuse();
        }
        if handshakes.len() >= UNPROVEN && !incoming.remote_address_validated() {
            // It fails only where the address is validated already.
            let _ = incoming.retry();
            return;
        }
        let (from, patience) = (incoming.remote_address(), self.endpoint.limits.dial_timeout);
        handshakes.spawn(async move {
            let handshake = async { incoming.accept()?.await };
            (from, timeout(patience, handshake).await.unwrap_or(Err(ConnectionError::TimedOut)))
        });
    }

    /// Hands a connection to whoever keeps those with its node.
    fn welcome(&self, from: SocketAddr, outcome: Outcome) {
        let quic = match outcome {
            Ok(quic) => quic,
            Err(error) => return tracing::warn!(%from, %error, "a node could not connect to the mesh"),
        };
        let name = match endpoint::peer_of(&quic) {
            Ok(name) => name,
            Err(error) => {
                tracing::warn!(%from, %error, "the certificate of a connection of the mesh is no node's");
                return endpoint::close(&quic, Close::UnknownNode);
            }
        };
        match self.mesh.shared().elsewhere.peer(&name) {
            Some(peer) => peer.arrive(quic),
            None => {
                tracing::warn!(%from, node = %name, "a node connected that is not in the mesh's table of nodes");
                endpoint::close(&quic, Close::UnknownNode);
            }
        }
    }

    /// Tells the others, and cuts off all flows.
    async fn stop(&mut self) {
        self.mesh.shared().elsewhere.clear();
        self.endpoint.quic.close(Close::Stopping.code().into(), Close::Stopping.phrase().as_bytes());
        self.keepers.values().for_each(CancellationToken::cancel);
        while self.keeping.join_next().await.is_some() {}
        self.endpoint.quic.wait_idle().await;
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        self.mesh.shared().elsewhere.clear();
    }
}

type Outcome = Result<quinn::Connection, ConnectionError>;

#[cfg(test)]
mod tests;
