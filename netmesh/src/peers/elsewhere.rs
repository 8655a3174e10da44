use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use parking_lot::RwLock;

use super::{NodeName, Peer, Routes};

/// The other nodes as the Pods' network sees them: changed by [`super::Peers`], read by every flow.
#[derive(Default)]
pub(crate) struct Elsewhere {
    me: OnceLock<NodeName>,
    routes: RwLock<Arc<Routes>>,
    peers: RwLock<HashMap<NodeName, Arc<Peer>>>,
}

impl Elsewhere {
    /// The node whose Pods have addresses like this one, this node included.
    pub(crate) fn node_of(&self, ip: IpAddr) -> Option<NodeName> {
        self.routes.read().node_of(ip).cloned()
    }

    /// The other node that a flow to this address goes to.
    pub(crate) fn towards(&self, ip: IpAddr) -> Option<Arc<Peer>> {
        self.peer(&self.node_of(ip)?)
    }

    /// The address by which clients on this host itself are known to other nodes.
    pub(crate) fn host(&self, like: IpAddr) -> Option<IpAddr> {
        self.routes.read().host_of(self.me.get()?, like)
    }

    pub(crate) fn peer(&self, name: &str) -> Option<Arc<Peer>> {
        self.peers.read().get(name).cloned()
    }

    /// The other nodes that there is a way to.
    #[cfg(test)]
    pub(super) fn names(&self) -> std::collections::BTreeSet<NodeName> {
        self.peers.read().keys().cloned().collect()
    }

    pub(super) fn set_me(&self, me: NodeName) {
        // A node has one name for as long as it runs.
        let _ = self.me.set(me);
    }

    pub(super) fn set_routes(&self, routes: Arc<Routes>) {
        *self.routes.write() = routes;
    }

    pub(super) fn add(&self, peer: Arc<Peer>) {
        self.peers.write().insert(peer.name.clone(), peer);
    }

    pub(super) fn forget_all_but<T>(&self, kept: &HashMap<NodeName, T>) {
        self.peers.write().retain(|name, _| kept.contains_key(name));
    }

    /// No other node can be reached from here on.
    pub(super) fn clear(&self) {
        self.set_routes(Arc::default());
        self.peers.write().clear();
    }
}
