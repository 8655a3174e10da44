//! Accepts TLS connections and serves HTTP/1.1 and HTTP/2 on them.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::body::Body;
use http::Request;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

use super::{certificate, pipeline};
use crate::{ApiServer, Identity};

const HANDSHAKE: Duration = Duration::from_secs(10);
/// Longer than clients keep an idle connection, so that it is they who close it and no request meets a closed one.
const IDLE: Duration = Duration::from_secs(120);
const PING: Duration = Duration::from_secs(30);
const DRAIN: Duration = Duration::from_secs(5);

/// Serves until `shutdown`, then lets the requests in flight end, watches at once.
pub(crate) async fn serve(
    api: ApiServer,
    listener: TcpListener,
    mut tls: rustls::ServerConfig,
    shutdown: CancellationToken,
) {
    if tls.alpn_protocols.is_empty() {
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    }
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, most likely: give the others time to close theirs.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            Some(_) = connections.join_next() => continue,
        };
        let watcher = graceful.watcher();
        connections.spawn(connection(api.clone(), acceptor.clone(), stream, watcher));
    }
    drop(listener);
    api.end_watches();
    let _ = timeout(DRAIN, graceful.shutdown()).await;
}

async fn connection(
    api: ApiServer,
    acceptor: TlsAcceptor,
    stream: TcpStream,
    watcher: hyper_util::server::graceful::Watcher,
) {
    let _ = stream.set_nodelay(true);
    let stream = match timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, "TLS handshake failed"),
        Err(_) => return tracing::debug!("TLS handshake took too long"),
    };
    let identity = peer(&stream);
    let service = service_fn(move |request: Request<Incoming>| {
        let (api, identity) = (api.clone(), identity.clone());
        async move { Ok::<_, Infallible>(pipeline::handle(&api, request.map(Body::new), identity).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(IDLE);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(1000).keep_alive_interval(PING);
    let serving = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
    if let Err(error) = watcher.watch(serving).await {
        tracing::debug!(error, "a connection ended early");
    }
}

fn peer(stream: &TlsStream<TcpStream>) -> Option<Identity> {
    certificate::identity(stream.get_ref().1.peer_certificates()?)
}
