//! The kubelet's API for others than this process: over TLS, for the API server.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use http::StatusCode;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// Who may ask a kubelet for anything: the API server, whose certificate says so, and administrators.
const MASTERS: &str = "system:masters";
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Serves until it is dropped, and every connection with it. `tls` demands a certificate of the cluster from every client;
/// those of nodes and of people without all rights are turned away.
pub async fn serve_kubelet(listener: TcpListener, tls: rustls::ServerConfig, kubelet: Router) {
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(connection(acceptor.clone(), stream, kubelet.clone()))),
                Err(error) => {
                    tracing::warn!(%error, "the kubelet's API cannot accept a connection");
                    // Out of file descriptors, most likely: give the others time to close theirs.
                    sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(acceptor: TlsAcceptor, stream: TcpStream, kubelet: Router) {
    stream.set_nodelay(true).ok();
    let stream = match timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::warn!(%error, "a client of the kubelet's API was refused"),
        Err(_) => return tracing::debug!("a client of the kubelet's API did not finish its handshake"),
    };
    let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let groups = certificates.first().map(|shown| carob_pki::groups(shown)).unwrap_or_default();
    let router = if groups.iter().any(|group| group == MASTERS) { kubelet } else { turned_away() };
    let server = auto::Builder::new(TokioExecutor::new());
    let served = server.serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Err(error) = served.await {
        tracing::debug!(error, "a connection to the kubelet's API ended early");
    }
}

fn turned_away() -> Router {
    Router::new().fallback(async || (StatusCode::FORBIDDEN, "Forbidden: only the API server asks a kubelet\n"))
}
