//! Accepts TLS connections and serves HTTP/1.1 and HTTP/2 on them.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::body::Body;
use http::{Request, StatusCode, header::AUTHORIZATION};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

use super::{
    certificate,
    pipeline::{self, Origin},
};
use crate::{ApiServer, Identity};

const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a connection may take to its first whole request.
const FIRST_REQUEST: Duration = Duration::from_secs(30);
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
    let places = Arc::new(Semaphore::new(api.config().limits.connections));
    loop {
        let (stream, client) = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, most likely: give the others time to close theirs.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            Some(_) = connections.join_next() => continue,
        };
        // Closed at once, so that it is the newcomer who waits, and not the listener for somebody to leave.
        let Ok(place) = places.clone().try_acquire_owned() else {
            tracing::warn!("there are as many connections as may be; one is closed");
            continue;
        };
        let watcher = graceful.watcher();
        connections.spawn(connection(api.clone(), acceptor.clone(), stream, client, watcher, place));
    }
    drop(listener);
    api.end_watches();
    let _ = timeout(DRAIN, graceful.shutdown()).await;
}

async fn connection(
    api: ApiServer,
    acceptor: TlsAcceptor,
    stream: TcpStream,
    client: SocketAddr,
    watcher: hyper_util::server::graceful::Watcher,
    _place: OwnedSemaphorePermit,
) {
    let _ = stream.set_nodelay(true);
    let stream = match timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) if is_refusal(&error) => {
            return tracing::warn!(%client, %error, "the certificate of a client is refused");
        }
        Ok(Err(error)) => return tracing::debug!(%client, %error, "TLS handshake failed"),
        Err(_) => return tracing::debug!("TLS handshake took too long"),
    };
    let identity = peer(&stream);
    let begun = Arc::new(AtomicBool::new(false));
    let asked = begun.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        asked.store(true, Ordering::Relaxed);
        let (api, origin) = (api.clone(), Origin::Network(identity.clone()));
        let shows_token = request.headers().contains_key(AUTHORIZATION);
        async move {
            let response = pipeline::handle(&api, request.map(Body::new), origin).await;
            if shows_token && response.status() == StatusCode::UNAUTHORIZED {
                tracing::warn!(%client, "the token of a client is refused: it is wrong or over");
            }
            Ok::<_, Infallible>(response)
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(IDLE);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(1000).keep_alive_interval(PING);
    let serving = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
    tokio::select! {
        ended = watcher.watch(serving) => {
            if let Err(error) = ended {
                tracing::debug!(error, "a connection ended early");
            }
        }
        () = stays_silent(&begun) => tracing::debug!("no request came on a connection"),
    }
}

/// Whether it is we who end it, for the certificate that was shown.
fn is_refusal(error: &std::io::Error) -> bool {
    let reason = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(reason, Some(rustls::Error::InvalidCertificate(_)))
}

/// Ends if nothing was asked in time; else never.
async fn stays_silent(begun: &AtomicBool) {
    tokio::time::sleep(FIRST_REQUEST).await;
    if begun.load(Ordering::Relaxed) {
        std::future::pending().await
    }
}

fn peer(stream: &TlsStream<TcpStream>) -> Option<Identity> {
    certificate::identity(stream.get_ref().1.peer_certificates()?)
}
