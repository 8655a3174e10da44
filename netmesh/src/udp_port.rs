//! One port of the host by UDP: datagrams of clients go to an endpoint each, and its answers go back from this port.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::listener::{Shared, bind};
use crate::mesh::{Frontend as Opened, Mesh};
use crate::subject::Subject;
use crate::target::Target;

const LARGEST: usize = 65_536;
/// A client that is silent for so long is given to an endpoint anew.
const IDLE: Duration = Duration::from_secs(120);
/// Clients whose endpoint is remembered; past it those that are silent are forgotten, or all of them.
const MOST: usize = 16 * 1024;
/// The kernel's errors about a socket that is not connected pass.
const PAUSE: Duration = Duration::from_millis(100);

/// Takes datagrams at `address` for `subject` until `stop`.
pub(crate) async fn run(
    shared: Arc<Shared>,
    subject: Subject,
    address: SocketAddr,
    target: Target,
    stop: CancellationToken,
) {
    let binding = bind(&shared.events, &subject, address, UdpSocket::bind);
    let Some(socket) = stop.run_until_cancelled(binding).await else { return };
    let purpose = subject.purpose.field();
    tracing::info!(%address, %subject, purpose, "listening at a port of the host by UDP");
    let (socket, mut clients) = (Arc::new(socket), Clients::default());
    let _ = stop.run_until_cancelled(clients.serve(&socket, &target)).await;
    tracing::info!(%address, %subject, purpose, "closed a port of the host by UDP");
}

/// To which endpoint each client's datagrams go.
#[derive(Default)]
struct Clients {
    endpoints: HashMap<SocketAddr, (SocketAddr, Instant)>,
}

impl Clients {
    async fn serve(&mut self, socket: &Arc<UdpSocket>, Target { mesh, frontend, sources }: &Target) {
        let mut buffer = vec![0; LARGEST];
        loop {
            match socket.recv_from(&mut buffer).await {
                Ok((_, client)) if !sources.admit(client.ip()) => {}
                Ok((length, client)) => {
                    let Some(endpoint) = self.endpoint(client, mesh, frontend) else { continue };
                    let bytes = Bytes::copy_from_slice(&buffer[..length]);
                    mesh.deliver_inside(client, endpoint, bytes, socket);
                }
                Err(error) => {
                    tracing::debug!(%error, "cannot receive at a port by UDP");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// A client stays with its endpoint while that may be given flows.
    fn endpoint(&mut self, client: SocketAddr, mesh: &Mesh, frontend: &Opened) -> Option<SocketAddr> {
        let now = Instant::now();
        let held = self.endpoints.get(&client).filter(|(_, since)| now.duration_since(*since) < IDLE);
        let held = held.map(|(endpoint, _)| *endpoint).filter(|endpoint| frontend.has(*endpoint));
        let chosen = held.or_else(|| frontend.kept(client.ip())).or_else(|| mesh.shared().choose(frontend));
        let Some(endpoint) = chosen else {
            self.endpoints.remove(&client);
            return None;
        };
        frontend.keep(client.ip(), endpoint);
        self.note(client, endpoint, now);
        Some(endpoint)
    }

    fn note(&mut self, client: SocketAddr, endpoint: SocketAddr, now: Instant) {
        if self.endpoints.len() >= MOST && !self.endpoints.contains_key(&client) {
            self.endpoints.retain(|_, (_, since)| now.duration_since(*since) < IDLE);
            if self.endpoints.len() >= MOST {
                self.endpoints.clear();
            }
        }
        self.endpoints.insert(client, (endpoint, now));
    }
}
