//! What a connection to a port of the host gets: HTTP, request by request, or a splice to the socket of one endpoint.

use std::net::SocketAddr;
use std::sync::Arc;

use carob_net::NetworkError;
use http::Request;
use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::balance;
use crate::connection::{self, SendingEnds};
use crate::listener::Serve;
use crate::mesh::{Asking, Frontend, Mesh, Source};
use crate::table::Sources;

/// What is read at once in each direction of a splice.
const PIECE: usize = 64 * 1024;

/// What flows to one port of the host need.
pub(crate) struct Target {
    pub(crate) mesh: Mesh,
    pub(crate) frontend: Frontend,
    pub(crate) sources: Sources,
}

/// What is to become of a connection.
enum Way {
    /// Its bytes go to the socket of an endpoint.
    Splice(carob_net::TcpStream),
    /// Its requests go to whoever answers HTTP in this process, and where nobody does, the answers say so.
    Http,
    /// The client may not come in here, or each endpoint listens at a socket and it may reach none.
    Denied,
}

impl Serve for Target {
    /// An endpoint whose HTTP is answered in this process gets requests without a connection; one that listens at a socket
    /// gets the bytes. Where there is neither, HTTP says why.
    async fn serve(self: Arc<Self>, stream: TcpStream, client: SocketAddr, drain: CancellationToken) {
        match self.way(client).await {
            Way::Splice(socket) => splice(stream, socket).await,
            Way::Http => {
                let answer = move |request| self.clone().answer(client, request);
                connection::serve(stream, answer, SendingEnds::Gone, drain).await;
            }
            Way::Denied => reset(&stream),
        }
    }
}

impl Target {
    async fn answer(
        self: Arc<Self>,
        client: SocketAddr,
        request: Request<carob_net::Body>,
    ) -> http::Response<carob_net::Body> {
        let asking = Asking { shared: self.mesh.shared(), source: Source::Outside(client) };
        balance::forward(&asking, &self.frontend, client.ip(), request).await
    }

    async fn way(&self, client: SocketAddr) -> Way {
        if !self.sources.admit(client.ip()) {
            tracing::debug!(%client, service = %self.frontend.behind(), "a client is in none of loadBalancerSourceRanges");
            return Way::Denied;
        }
        let Some((first, other)) = self.frontend.draw_two() else { return Way::Http };
        let is_http = |endpoint: SocketAddr| self.mesh.endpoints().lookup(endpoint).is_some();
        if is_http(first) || other.is_some_and(is_http) {
            return Way::Http;
        }
        let mut all_denied = true;
        for endpoint in self.mesh.shared().choices(&self.frontend, client.ip()) {
            match self.mesh.connect_inside(client, endpoint).await {
                Ok(connection) => {
                    self.frontend.keep(client.ip(), endpoint);
                    return Way::Splice(connection.into());
                }
                Err(error) => {
                    all_denied &= matches!(error, NetworkError::AccessDenied(_));
                    self.mesh.shared().standings.failed(endpoint, &error);
                    tracing::debug!(%error, %endpoint, "an endpoint took no connection");
                }
            }
        }
        if all_denied { Way::Denied } else { Way::Http }
    }
}

/// Carries bytes both ways until both ends have finished. What is under way when the port closes has as long as the
/// listener gives it.
async fn splice(mut host: TcpStream, mut inside: carob_net::TcpStream) {
    let copy = copy_bidirectional_with_sizes(&mut host, &mut inside, PIECE, PIECE);
    if let Err(error) = copy.await {
        tracing::debug!(%error, "a connection through a port of the host was cut off");
        reset(&host);
    }
}

/// Has the client see that its connection was cut off, rather than that all was said.
fn reset(stream: &TcpStream) {
    // It can only fail when the client has gone.
    let _ = stream.set_zero_linger();
}
