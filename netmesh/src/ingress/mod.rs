//! The gateway: serves Ingresses over HTTP and HTTPS at ports of the host.
//!
//! What decides is pure: [`rules`] reads an Ingress, [`state`] says which are ours, [`routes`] where a request goes,
//! [`certificates`] what a client of TLS sees, [`clock`] when it has had enough time. The shell: [`connection`] serves a
//! client, [`answer`] one request; [`upstream`] asks the endpoints, by a call within the process or by a connection of the
//! [`pool`]; [`tunnel`] carries what is HTTP no more. Balancing is the same as for node ports.

mod access_log;
mod announce;
mod answer;
mod body;
mod certificates;
mod clock;
mod connection;
mod figures;
mod headers;
mod pool;
mod routes;
mod rules;
mod secrets;
mod state;
mod timed;
mod tunnel;
mod upstream;

use std::collections::HashSet;
use std::io::Write;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use hyper_util::rt::TokioExecutor;
use hyper_util::server::conn::auto;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use kube::Client;
use parking_lot::RwLock;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

pub use announce::Announcement;
pub use clock::Timeouts;
pub use figures::Figures;

use access_log::AccessLog;
use certificates::{Certificates, Names};
use figures::RouteFigures;
use pool::Pool;
use routes::Routes;
use secrets::Secrets;
use state::State;

use crate::follow::{Follow, watch};
use crate::listener;
use crate::mesh::Mesh;

/// For the requests that are under way when the gateway ends.
const DRAIN: Duration = Duration::from_secs(10);

/// How large things may be, and how many.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Of a request's line and headers; past it the answer is 431.
    pub head_bytes: usize,
    /// Of a request's body; past it the answer is 413.
    pub body_bytes: u64,
    /// Open connections of clients; more wait to be accepted.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { head_bytes: 64 * 1024, body_bytes: 64 * 1024 * 1024, connections: 16 * 1024 }
    }
}

/// What is wanted of a gateway.
pub struct GatewayConfig {
    /// Which controller's IngressClasses it serves, such as `carob.dev/ingress`.
    pub controller: String,
    /// Where it listens for HTTP.
    pub http: Option<TcpListener>,
    /// Where it listens for HTTPS.
    pub https: Option<TcpListener>,
    /// How this is said on the Node.
    pub announcement: Announcement,
    /// How large things may be.
    pub limits: Limits,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// Where a line for each request goes.
    pub access_log: Option<Box<dyn Write + Send>>,
}

/// Why a gateway cannot be.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// No certificate can be made for clients that ask for a name that no Ingress has.
    #[error("cannot make the gateway's default certificate")]
    Certificate(#[from] rcgen::Error),
    /// TLS cannot be served.
    #[error("cannot serve TLS")]
    Tls(#[from] rustls::Error),
}

/// Serves Ingresses.
pub struct Gateway {
    client: Client,
    controller: String,
    http: Option<TcpListener>,
    https: Option<TcpListener>,
    announcement: Announcement,
    shared: Arc<Shared>,
    certificates: Certificates,
    tls: TlsAcceptor,
    /// Whether certificates are shown at all.
    shows_certificates: bool,
    figures: Figures,
}

/// What all connections share.
pub(crate) struct Shared {
    mesh: Mesh,
    limits: Limits,
    timeouts: Timeouts,
    server: auto::Builder<TokioExecutor>,
    routes: RwLock<Arc<Routes>>,
    pool: Arc<Pool>,
    unrouted: Arc<RouteFigures>,
    log: Option<AccessLog>,
}

impl Shared {
    fn routes(&self) -> Arc<Routes> {
        self.routes.read().clone()
    }
}

impl Gateway {
    /// Prepares to serve; nothing is accepted before [`Gateway::run`].
    ///
    /// # Errors
    /// [`GatewayError`], if TLS cannot be served.
    pub fn new(client: Client, mesh: Mesh, config: GatewayConfig) -> Result<Gateway, GatewayError> {
        let figures = Figures::default();
        let certificates = Certificates::new()?;
        let tls = TlsAcceptor::from(Arc::new(certificates.server_config()?));
        let log = config.access_log.map(|to| AccessLog::new(to, figures.clone()));
        let shared = Arc::new(Shared {
            pool: Arc::new(Pool::new(mesh.clone())),
            mesh,
            limits: config.limits,
            timeouts: config.timeouts,
            server: connection::server(config.limits.head_bytes),
            routes: RwLock::default(),
            unrouted: figures.unrouted(),
            log,
        });
        let GatewayConfig { controller, http, https, announcement, .. } = config;
        let shows_certificates = https.is_some();
        Ok(Gateway {
            client,
            controller,
            http,
            https,
            announcement,
            shared,
            certificates,
            tls,
            shows_certificates,
            figures,
        })
    }

    /// What it counts.
    pub fn figures(&self) -> Figures {
        self.figures.clone()
    }

    /// Serves until `shutdown`, then finishes the requests that are under way. Dropping the future closes everything at once.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let room = Arc::new(Semaphore::new(self.shared.limits.connections));
        let (http, https) = (self.http.take(), self.https.take());
        let is_open = http.is_some() || https.is_some();
        let accepting = [(http, None), (https, Some(self.tls.clone()))].map(|(listener, tls)| {
            accept(self.shared.clone(), listener, tls, room.clone(), self.figures.clone(), shutdown.clone())
        });
        let announced = announce::keep(self.client.clone(), self.announcement.clone());
        let following = async {
            tokio::select! {
                // Where nobody asks nothing has to be known.
                () = self.follow(), if is_open => {}
                () = announced => {}
            }
        };
        tokio::select! {
            _ = futures::future::join_all(accepting) => {}
            () = following => {}
        }
    }

    /// Keeps routes and certificates as Ingresses, their classes and Secrets say. Ends never.
    async fn follow(&self) {
        let mut ingresses = pin!(watch::<Ingress>(&self.client));
        let mut classes = pin!(watch::<IngressClass>(&self.client));
        let (mut ingresses_seen, mut classes_seen) = (Follow::default(), Follow::default());
        let mut secrets = Secrets::new(self.client.clone());
        let mut state = State::new(self.controller.clone());
        loop {
            tokio::select! {
                Some(event) = ingresses.next() => {
                    ingresses_seen.on(event).into_iter().for_each(|change| state.ingress(change));
                    // What is there already is taken in at once.
                    while let Some(Some(event)) = ingresses.next().now_or_never() {
                        ingresses_seen.on(event).into_iter().for_each(|change| state.ingress(change));
                    }
                }
                Some(event) = classes.next() => {
                    classes_seen.on(event).into_iter().for_each(|change| state.class(change));
                }
                (name, key) = secrets.next() => {
                    self.certificates.put(name, key);
                    continue;
                }
            }
            // A part of what there is would send requests to the wrong places.
            if ingresses_seen.is_listed() && classes_seen.is_listed() {
                self.publish(&state, &mut secrets);
            }
        }
    }

    fn publish(&self, state: &State, secrets: &mut Secrets) {
        let ours = state.ours();
        let routes = Routes::new(ours.iter().copied(), |name| self.figures.of(name));
        let there = routes.names();
        *self.shared.routes.write() = Arc::new(routes);
        self.figures.keep(|name| there.contains(name));
        self.certificates.name(Names::new(ours.iter().copied()));
        let wanted = if self.shows_certificates { State::secrets(&ours) } else { HashSet::new() };
        for gone in secrets.want(&wanted) {
            self.certificates.put(gone, None);
        }
    }
}

/// Accepts connections until `shutdown`, then lets requests that are under way finish.
async fn accept(
    gateway: Arc<Shared>,
    listener: Option<TcpListener>,
    tls: Option<TlsAcceptor>,
    room: Arc<Semaphore>,
    figures: Figures,
    shutdown: CancellationToken,
) {
    let Some(listener) = listener else { return shutdown.cancelled().await };
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            Some(_) = connections.join_next() => {}
            (stream, client, permit) = listener::accept(&listener, &room) => {
                // Small answers must not wait for acknowledgements. It can only fail when the client has gone.
                let _ = stream.set_nodelay(true);
                let served = connection::serve(gateway.clone(), stream, client, tls.clone(), shutdown.clone());
                let open = figures.connection();
                connections.spawn(async move {
                    served.await;
                    drop((permit, open));
                });
            }
        }
    }
    drop(listener);
    // Those that take longer are cut off as the set is dropped.
    let _ = timeout(DRAIN, connections.join_all()).await;
}

#[cfg(test)]
mod tests;
