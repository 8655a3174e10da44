//! The addresses of Services.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use carob_net::Protocol;
use parking_lot::RwLock;

use super::affinity::Affinity;
use crate::backends::{Backends, Behind, Scope};

/// What stands behind one address and port of a Service.
#[derive(Debug)]
pub(crate) struct Frontend {
    backends: Arc<Backends>,
    scope: Scope,
    affinity: Option<Affinity>,
}

impl Frontend {
    pub(crate) fn new(backends: Arc<Backends>, scope: Scope, affinity: Option<Duration>) -> Frontend {
        Frontend { backends, scope, affinity: affinity.map(Affinity::new) }
    }

    /// Whose endpoints stand here.
    pub(crate) fn behind(&self) -> &Behind {
        self.backends.behind()
    }

    /// Two endpoints drawn at random, different ones if there are two.
    pub(crate) fn draw_two(&self) -> Option<(SocketAddr, Option<SocketAddr>)> {
        self.backends.draw_two(self.scope)
    }

    /// Up to `count` endpoints in random order.
    pub(crate) fn draw(&self, count: usize) -> Vec<SocketAddr> {
        self.backends.draw(self.scope, count)
    }

    /// Whether flows may go to this endpoint now.
    pub(crate) fn has(&self, endpoint: SocketAddr) -> bool {
        self.backends.contains(self.scope, endpoint)
    }

    /// Whether flows stay on this node.
    pub(crate) fn is_local(&self) -> bool {
        self.scope == Scope::Node
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.backends.is_empty(self.scope)
    }

    /// The endpoint that `client` had before, if the Service keeps clients where they are and the endpoint is ready.
    pub(crate) fn kept(&self, client: IpAddr) -> Option<SocketAddr> {
        let kept = self.affinity.as_ref()?.kept(client)?;
        self.has(kept).then_some(kept)
    }

    /// Remembers where `client` went.
    pub(crate) fn keep(&self, client: IpAddr, endpoint: SocketAddr) {
        if let Some(affinity) = &self.affinity {
            affinity.keep(client, endpoint);
        }
    }
}

/// The Services' addresses: changed by the table, read by every flow.
#[derive(Default)]
pub(crate) struct Frontends {
    all: RwLock<HashMap<(Protocol, SocketAddr), Arc<Frontend>>>,
}

impl Frontends {
    pub(crate) fn at(&self, protocol: Protocol, address: SocketAddr) -> Option<Arc<Frontend>> {
        self.all.read().get(&(protocol, address)).cloned()
    }

    pub(crate) fn open(&self, protocol: Protocol, address: SocketAddr, frontend: Frontend) {
        self.all.write().insert((protocol, address), Arc::new(frontend));
    }

    pub(crate) fn close(&self, protocol: Protocol, address: SocketAddr) {
        self.all.write().remove(&(protocol, address));
    }
}
