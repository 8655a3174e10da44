//! HTTP services at Pods' addresses: without a connection where it can be, over one where a client makes one.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use carob_net::{
    Answer, Body, HttpBound, HttpRoute, HttpService, NetworkError, Protocol, Registration, TcpConnection, TcpStream,
};
use http::Request;
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::distant::Distant;
use super::frontends::Frontend;
use super::metered::{Metered, Side};
use super::pod::{Lease, Listener, Pod};
use super::route::{Meaning, NamedBy, Route, Source};
use super::sockets::Socket;
use super::standings::Cost;
use crate::balance::{self, Endpoints, Found};
use crate::connection::{self, SendingEnds};

/// A service that answers at an address, for whoever connects to it.
pub(crate) struct HttpListener {
    pub(crate) lease: Arc<Lease>,
    service: Arc<dyn HttpService>,
    /// `None` once it is closed.
    connections: Mutex<Option<JoinSet<()>>>,
}

impl HttpListener {
    /// Answers the requests of a connection.
    pub(crate) fn serve(&self, connection: TcpConnection) -> Result<(), NetworkError> {
        let mut connections = self.connections.lock();
        let connections = connections.as_mut().ok_or(NetworkError::ConnectionRefused)?;
        while connections.try_join_next().is_some() {}
        let service = self.service.clone();
        let answer = move |request| balance::ask(service.clone(), request);
        // It ends with the client or with the listener, whoever goes first.
        let never = CancellationToken::new();
        let served = connection::serve(TcpStream::from(connection), answer, SendingEnds::Waits, never);
        connections.spawn_on(served, &self.lease.pod.shared.runtime);
        Ok(())
    }

    pub(crate) fn close(&self) {
        let connections = self.connections.lock().take();
        drop(connections);
    }
}

/// Holds the address of a service.
pub(crate) struct HttpPort {
    listener: Arc<HttpListener>,
    _registrations: Vec<Registration>,
    _socket: Socket,
}

impl HttpPort {
    pub(crate) fn open(
        lease: Arc<Lease>,
        socket: Socket,
        service: Arc<dyn HttpService>,
    ) -> Result<HttpPort, NetworkError> {
        let connections = Mutex::new(Some(JoinSet::new()));
        let listener = Arc::new(HttpListener { lease: lease.clone(), service: service.clone(), connections });
        lease.pod.tcp.lock().open(lease.key, Listener::Http(listener.clone()))?;
        // From here on dropping it closes the listener.
        let mut port = HttpPort { listener, _registrations: Vec::new(), _socket: socket };
        let seen = Arc::new(Metered::new(service, lease.pod.account.clone(), Side::Answers));
        for address in lease.pod.seen_at(lease.key.address) {
            let registration = lease.pod.shared.endpoints.register(address, seen.clone());
            port._registrations.push(registration.ok_or(NetworkError::AddressInUse)?);
        }
        Ok(port)
    }
}

impl HttpBound for HttpPort {
    fn local_address(&self) -> SocketAddr {
        self.listener.lease.key.address
    }
}

impl Drop for HttpPort {
    fn drop(&mut self) {
        let lease = &self.listener.lease;
        lease.pod.tcp.lock().close(lease.key);
        self.listener.close();
    }
}

impl Pod {
    /// Where others see what is bound to `local`.
    fn seen_at(&self, local: SocketAddr) -> impl Iterator<Item = SocketAddr> {
        let means = move |own: &&IpAddr| {
            local.ip() == **own || (local.ip().is_unspecified() && own.is_ipv4() == local.is_ipv4())
        };
        self.workload.addresses.iter().filter(means).map(move |ip| SocketAddr::new(*ip, local.port()))
    }

    /// How a request of this Pod for `remote` gets there.
    pub(crate) fn http_route(self: &Arc<Self>, remote: SocketAddr) -> Result<HttpRoute, NetworkError> {
        match self.shared.meaning(Protocol::Tcp, remote) {
            Meaning::Place(place) => self.http_route_to(place),
            Meaning::Service(frontend) => self.http_route_to_any(frontend),
        }
    }

    fn http_route_to(self: &Arc<Self>, place: SocketAddr) -> Result<HttpRoute, NetworkError> {
        match self.shared.route(&Source::Pod(self.clone()), Protocol::Tcp, place, NamedBy::Guest)? {
            Route::Pod(target, at) if Arc::ptr_eq(&target, self) => Ok(self.own_http_route(at)?),
            Route::Pod(target, at) => match self.shared.endpoints.lookup(at) {
                Some(service) => Ok(HttpRoute::InProcess(self.asks(service))),
                None if target.tcp.lock().at(at).is_none() => Err(NetworkError::ConnectionRefused),
                None => Ok(HttpRoute::Connect),
            },
            Route::Elsewhere(..) | Route::Outside(..) => Ok(HttpRoute::Connect),
        }
    }

    fn own_http_route(&self, at: SocketAddr) -> Result<HttpRoute, NetworkError> {
        match self.tcp.lock().at(at) {
            Some(Listener::Http(listener)) => Ok(HttpRoute::InProcess(listener.service.clone())),
            Some(Listener::Socket(_)) => Ok(HttpRoute::Connect),
            None => Err(NetworkError::ConnectionRefused),
        }
    }

    /// A Service is reached in process if one of its endpoints is; which of them answers, here or on another node, is decided for
    /// each request.
    fn http_route_to_any(self: &Arc<Self>, frontend: Arc<Frontend>) -> Result<HttpRoute, NetworkError> {
        let Some((first, other)) = frontend.draw_two() else { return Err(NetworkError::ConnectionRefused) };
        let asking = Asking { shared: &self.shared, source: Source::Pod(self.clone()) };
        let is_here = |endpoint| {
            self.shared.endpoints.lookup(endpoint).is_some() && matches!(asking.find(endpoint), Found::Service(_))
        };
        if !is_here(first) && !other.is_some_and(is_here) {
            return Ok(HttpRoute::Connect);
        }
        Ok(HttpRoute::InProcess(self.asks(Arc::new(Balanced { pod: self.clone(), frontend }))))
    }

    /// What this Pod asks of `service` is carried for it.
    fn asks(&self, service: Arc<dyn HttpService>) -> Arc<dyn HttpService> {
        Arc::new(Metered::new(service, self.account.clone(), Side::Asks))
    }
}

/// The endpoints of Services as somebody who asks them by HTTP sees them.
pub(crate) struct Asking<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) source: Source,
}

impl Endpoints for Asking<'_> {
    fn find(&self, endpoint: SocketAddr) -> Found {
        let here = self.shared.endpoints.lookup(endpoint);
        if here.is_none() && self.shared.elsewhere.towards(endpoint.ip()).is_none() {
            return Found::Nobody;
        }
        match self.shared.route(&self.source, Protocol::Tcp, endpoint, NamedBy::Service) {
            Ok(Route::Pod(..)) => here.map_or(Found::Nobody, Found::Service),
            Ok(Route::Elsewhere(..)) => Found::Service(Arc::new(self.distant(endpoint))),
            Err(NetworkError::AccessDenied(_)) => Found::Denied,
            Ok(Route::Outside(..)) | Err(_) => Found::Nobody,
        }
    }

    fn cost(&self, endpoint: SocketAddr, service: &dyn HttpService) -> Cost {
        self.shared.standings.cost(endpoint, service.load(), Instant::now())
    }

    fn answered(&self, endpoint: SocketAddr, latency: Duration) {
        self.shared.standings.answered(endpoint, latency);
    }
}

impl Asking<'_> {
    /// Endpoints of one Service are alike: where one answers HTTP in this process, those of other nodes do in theirs.
    fn distant(&self, endpoint: SocketAddr) -> Distant {
        Distant { shared: self.shared.clone(), source: self.source.clone(), endpoint }
    }
}

/// Whichever endpoint of a Service is the best for a request.
struct Balanced {
    pod: Arc<Pod>,
    frontend: Arc<Frontend>,
}

impl HttpService for Balanced {
    fn call(&self, request: Request<Body>) -> Answer {
        let (pod, frontend) = (self.pod.clone(), self.frontend.clone());
        Box::pin(async move {
            let asking = Asking { shared: &pod.shared, source: Source::Pod(pod.clone()) };
            let client = pod.workload.addresses.first().copied().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
            Ok(balance::forward(&asking, &frontend, client, request).await)
        })
    }

    fn load(&self) -> usize {
        0
    }
}
