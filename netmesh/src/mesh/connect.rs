//! Makes connections: to a listener of a Pod by a pipe, to the outside by a socket of the host.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use carob_net::{Account, NetworkError, PipeEnd, Protocol, TcpConnection, TcpOptions, pipes};

use super::frontends::Frontend;
use super::outside;
use super::pod::{Lease, Listener, Pod};
use super::route::{Meaning, NamedBy, Route, Source};
use super::standings::Cost;
use super::tcp::{Held, Port, connection};
use super::{Mesh, Shared};
use crate::peers::protocol::Origin;

/// Endpoints of a Service that one connection is tried at, after the first choice.
const TRIES: usize = 16;

/// Connects a Pod's socket to whatever `remote` means.
pub(crate) async fn connect(
    port: Port,
    remote: SocketAddr,
    options: TcpOptions,
) -> Result<TcpConnection, NetworkError> {
    let (pod, local) = (port.lease.pod.clone(), port.lease.key.address);
    let caller = Caller { held: Arc::new((port.lease, port.socket)), pod, local, remote, options };
    match caller.pod.shared.meaning(Protocol::Tcp, remote) {
        Meaning::Place(place) => caller.connect(place, NamedBy::Guest).await,
        Meaning::Service(frontend) => caller.connect_to_any(&frontend).await,
    }
}

/// A socket that is to be connected.
struct Caller {
    pod: Arc<Pod>,
    local: SocketAddr,
    /// What the guest asked for, and sees as the other end.
    remote: SocketAddr,
    options: TcpOptions,
    held: Held,
}

impl Caller {
    /// One flow goes to one endpoint; a second is tried only if the first was not there at all.
    async fn connect_to_any(&self, frontend: &Frontend) -> Result<TcpConnection, NetworkError> {
        let client = self.pod.source(self.local, self.remote.ip()).ok_or(NetworkError::RemoteUnreachable)?.ip();
        let mut last = NetworkError::ConnectionRefused;
        for endpoint in self.pod.shared.choices(frontend, client) {
            let begun = Instant::now();
            match self.connect(endpoint, NamedBy::Service).await {
                Ok(connection) => {
                    self.pod.shared.standings.answered(endpoint, begun.elapsed());
                    frontend.keep(client, endpoint);
                    return Ok(connection);
                }
                Err(error) => {
                    self.pod.shared.standings.failed(endpoint, &error);
                    last = error;
                }
            }
        }
        Err(last)
    }

    async fn connect(&self, place: SocketAddr, by: NamedBy) -> Result<TcpConnection, NetworkError> {
        let local = self.pod.source(self.local, self.remote.ip()).ok_or(NetworkError::RemoteUnreachable)?;
        let (ends, held) = ((local, self.remote), Some(self.held.clone()));
        match self.pod.shared.route(&Source::Pod(self.pod.clone()), Protocol::Tcp, place, by)? {
            Route::Pod(target, at) if Arc::ptr_eq(&target, &self.pod) => {
                let own = &target.own_account;
                Ok(over_pipe(ends, target.meet(local, at, &self.options, own, own)?, held))
            }
            Route::Pod(target, at) => {
                let end = target.meet(local, at, &self.options, &self.pod.account, &target.account)?;
                Ok(over_pipe(ends, end, held))
            }
            Route::Elsewhere(peer, to, passed) => {
                let end = self.pod.connect_elsewhere(peer, passed, (local, to), &self.options).await?;
                Ok(over_pipe(ends, end, held))
            }
            Route::Outside(to, passed) => {
                let (halves, control) = outside::connect(&self.pod, passed, to, self.options).await?;
                Ok(connection(ends, halves, control, held))
            }
        }
    }
}

pub(crate) fn over_pipe(ends: (SocketAddr, SocketAddr), end: PipeEnd, held: Option<Held>) -> TcpConnection {
    connection(ends, (end.transmit, end.receive), end.control, held)
}

impl Pod {
    /// Gives whatever listens at `at` a connection from `client`, and returns the client's end.
    pub(crate) fn meet(
        &self,
        client: SocketAddr,
        at: SocketAddr,
        options: &TcpOptions,
        near: &Arc<Account>,
        far: &Arc<Account>,
    ) -> Result<PipeEnd, NetworkError> {
        let listener = self.tcp.lock().at(at).cloned().ok_or(NetworkError::ConnectionRefused)?;
        // To the client it does not matter whose sockets have run out.
        let socket = self.sockets.take().map_err(|_| NetworkError::ConnectionRefused)?;
        let (client_end, server_end) = pipes(options, near, far);
        let accepted =
            |lease: &Arc<Lease>| over_pipe((at, client), server_end, Some(Arc::new((lease.clone(), socket))));
        match listener {
            Listener::Socket(backlog) => backlog.offer(accepted(&backlog.lease))?,
            Listener::Http(http) => http.serve(accepted(&http.lease))?,
        }
        Ok(client_end)
    }
}

impl Shared {
    /// The endpoints to try, in order: where the client was before, or the best of two drawn at random; then others, of
    /// which those that have just failed come last.
    pub(crate) fn choices<'a>(
        &'a self,
        frontend: &'a Frontend,
        client: IpAddr,
    ) -> impl Iterator<Item = SocketAddr> + use<'a> {
        let first = frontend.kept(client).or_else(|| self.choose(frontend));
        // They are drawn only if they are needed.
        let others = first.map(|first| std::iter::once_with(move || self.others(frontend, first)).flatten());
        first.into_iter().chain(others.into_iter().flatten())
    }

    fn others(&self, frontend: &Frontend, first: SocketAddr) -> Vec<SocketAddr> {
        let mut others = frontend.draw(TRIES);
        others.retain(|other| *other != first);
        let now = Instant::now();
        others.sort_by_key(|other| self.standings.is_ejected(*other, now));
        others
    }

    /// Power of two choices, by how much is open at each and how soon it has answered. One that has just failed is chosen
    /// only if all have.
    pub(crate) fn choose(&self, frontend: &Frontend) -> Option<SocketAddr> {
        let now = Instant::now();
        let (first, other) = frontend.draw_two()?;
        let chosen = match other {
            Some(other) if self.cost(other, now) < self.cost(first, now) => other,
            _ => first,
        };
        if !self.standings.is_ejected(chosen, now) {
            return Some(chosen);
        }
        let others = frontend.draw(TRIES);
        others.into_iter().find(|other| !self.standings.is_ejected(*other, now)).or(Some(chosen))
    }

    fn cost(&self, endpoint: SocketAddr, now: Instant) -> Cost {
        self.standings.cost(endpoint, self.load(endpoint), now)
    }

    pub(crate) fn load(&self, endpoint: SocketAddr) -> usize {
        match self.endpoints.lookup(endpoint) {
            Some(service) => service.load(),
            None => match self.pod_at(endpoint.ip()) {
                Some(pod) => pod.sockets.open(),
                None => self.elsewhere.towards(endpoint.ip()).map_or(0, |peer| peer.load(endpoint)),
            },
        }
    }
}

impl Mesh {
    /// Connects a client that came in by a port of the host to the socket that listens at a Pod's address. One that only
    /// answers HTTP is not meant: its requests are handed over without a connection.
    pub(crate) async fn connect_inside(
        &self,
        client: SocketAddr,
        to: SocketAddr,
    ) -> Result<TcpConnection, NetworkError> {
        let shared = self.shared();
        let (pod, at) = match shared.route(&Source::Outside(client), Protocol::Tcp, to, NamedBy::Service)? {
            Route::Pod(pod, at) => (pod, at),
            Route::Elsewhere(peer, to, passed) => {
                let end = shared.pass_on(peer, passed, Origin::Outside, (client, to)).await?;
                return Ok(over_pipe((client, to), end, None));
            }
            Route::Outside(..) => return Err(NetworkError::RemoteUnreachable),
        };
        if matches!(pod.tcp.lock().at(at), Some(Listener::Http(_))) {
            return Err(NetworkError::ConnectionRefused);
        }
        let end = pod.meet(client, at, &TcpOptions::default(), &shared.outside, &pod.account)?;
        Ok(over_pipe((client, at), end, None))
    }
}
