//! What a connection to a node port gets: HTTP, request by request, or a splice to the socket of one endpoint.

use std::net::SocketAddr;
use std::sync::Arc;

use http::Request;
use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::balance;
use crate::connection::{self, SendingEnds};
use crate::mesh::{Frontend, Mesh, Source};

/// What is read at once in each direction of a splice.
const PIECE: usize = 64 * 1024;

/// What the connections of one node port need.
pub(crate) struct Target {
    pub(crate) mesh: Mesh,
    pub(crate) frontend: Frontend,
}

impl Target {
    /// Serves one connection from `client`.
    ///
    /// An endpoint whose HTTP is answered in this process gets requests without a connection; one that listens at a socket
    /// gets the bytes. Where there is neither, HTTP says why.
    pub(crate) async fn serve(self: Arc<Self>, stream: TcpStream, client: SocketAddr, drain: CancellationToken) {
        match self.socket(client) {
            Some(socket) => splice(stream, socket).await,
            None => {
                let answer = move |request| self.clone().answer(client, request);
                connection::serve(stream, answer, SendingEnds::Gone, drain).await;
            }
        }
    }

    async fn answer(
        self: Arc<Self>,
        client: SocketAddr,
        request: Request<carob_net::Body>,
    ) -> http::Response<carob_net::Body> {
        let source = Source::Outside(client.ip());
        let find = |endpoint| self.mesh.shared().http_at(&source, endpoint);
        balance::forward(&find, &self.frontend, client.ip(), request).await
    }

    /// A connection to the socket of an endpoint, unless one of them answers HTTP in this process.
    fn socket(&self, client: SocketAddr) -> Option<carob_net::TcpStream> {
        let (first, other) = self.frontend.backends.draw_two()?;
        let is_http = |endpoint: SocketAddr| self.mesh.endpoints().lookup(endpoint).is_some();
        if is_http(first) || other.is_some_and(is_http) {
            return None;
        }
        self.mesh.shared().choices(&self.frontend, client.ip()).find_map(|endpoint| {
            let connection = self.mesh.connect_inside(client, endpoint).inspect_err(|error| {
                tracing::debug!(%error, %endpoint, "an endpoint of a node port took no connection");
            });
            let connection = connection.ok()?;
            self.frontend.keep(client.ip(), endpoint);
            Some(connection.into())
        })
    }
}

/// Carries bytes both ways until both ends have finished. What is under way when the port closes has as long as the
/// listener gives it.
async fn splice(mut host: TcpStream, mut inside: carob_net::TcpStream) {
    let copy = copy_bidirectional_with_sizes(&mut host, &mut inside, PIECE, PIECE);
    if let Err(error) = copy.await {
        tracing::debug!(%error, "a connection through a node port was cut off");
        // Both ends are to see that it was.
        let _ = host.set_zero_linger();
    }
}
