//! The addresses of Services.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use carob_net::Protocol;
use parking_lot::RwLock;

use super::affinity::Affinity;
use crate::backends::Backends;

/// What stands behind one address and port of a Service.
#[derive(Debug)]
pub(crate) struct Frontend {
    pub(crate) backends: Arc<Backends>,
    affinity: Option<Affinity>,
}

impl Frontend {
    pub(crate) fn new(backends: Arc<Backends>, affinity: Option<std::time::Duration>) -> Frontend {
        Frontend { backends, affinity: affinity.map(Affinity::new) }
    }

    /// The endpoint that `client` had before, if the Service keeps clients where they are and the endpoint is ready.
    pub(crate) fn kept(&self, client: IpAddr) -> Option<SocketAddr> {
        let kept = self.affinity.as_ref()?.kept(client)?;
        self.backends.contains(kept).then_some(kept)
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
