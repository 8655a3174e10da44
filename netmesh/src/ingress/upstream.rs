//! The endpoints of Services as the gateway sees them: those of this process by a call, all others by a connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use carob_net::{Answer, Body, HttpService, NetworkError, Protocol};
use http::Request;

use super::headers;
use super::pool::Pool;
use crate::balance::{Endpoints, Found};
use crate::mesh::{Cost, Mesh, NamedBy, Route, Source};

/// The endpoints for one request of `client`.
pub(crate) struct Upstream<'a> {
    pub(crate) mesh: &'a Mesh,
    pub(crate) pool: &'a Arc<Pool>,
    pub(crate) client: SocketAddr,
}

impl Endpoints for Upstream<'_> {
    fn find(&self, endpoint: SocketAddr) -> Found {
        let shared = self.mesh.shared();
        // Connections are shared by clients, so each request is decided by itself.
        match shared.route(&Source::Outside(self.client), Protocol::Tcp, endpoint, NamedBy::Service) {
            Err(NetworkError::AccessDenied(_)) => Found::Denied,
            Ok(Route::Outside(..)) | Err(_) => Found::Nobody,
            Ok(_) => Found::Service(shared.endpoints.lookup(endpoint).unwrap_or_else(|| self.at_socket(endpoint))),
        }
    }

    fn cost(&self, endpoint: SocketAddr, service: &dyn HttpService) -> Cost {
        self.mesh.shared().standings.cost(endpoint, service.load(), Instant::now())
    }

    fn answered(&self, endpoint: SocketAddr, latency: Duration) {
        self.mesh.shared().standings.answered(endpoint, latency);
    }
}

impl Upstream<'_> {
    fn at_socket(&self, endpoint: SocketAddr) -> Arc<dyn HttpService> {
        let load = self.mesh.shared().load(endpoint);
        Arc::new(AtSocket { pool: self.pool.clone(), client: self.client, endpoint, load })
    }
}

/// An endpoint that answers HTTP/1.1 at a socket.
struct AtSocket {
    pool: Arc<Pool>,
    client: SocketAddr,
    endpoint: SocketAddr,
    load: usize,
}

impl HttpService for AtSocket {
    fn call(&self, mut request: Request<Body>) -> Answer {
        headers::to_http1(&mut request);
        Box::pin(self.pool.clone().send(self.client, self.endpoint, request))
    }

    fn load(&self) -> usize {
        self.load
    }
}
