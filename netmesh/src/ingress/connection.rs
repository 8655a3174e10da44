//! A client's connection from its begin to its end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::answer::Client;
use super::clock::{Clock, Expired};
use super::timed::{Expiry, Timed};
use super::tunnel::Tunnels;

/// Beside the limit of a head, so that one that is a little too large is answered, counted and logged like any other.
const HEAD_SLACK: usize = 16 * 1024;
const MAX_HEADERS: usize = 256;
const MAX_STREAMS: u32 = 256;

/// The server of all connections: it holds only settings. Time is the clock's business, not hyper's.
pub(crate) fn server(head_bytes: usize) -> auto::Builder<TokioExecutor> {
    let most = head_bytes + HEAD_SLACK;
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .header_read_timeout(None)
        .max_headers(MAX_HEADERS)
        .max_buf_size(most)
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(most).unwrap_or(u32::MAX));
    server
}

/// Serves one connection, with TLS if there is an acceptor, until the client or `drain` ends it.
pub(crate) async fn serve(
    gateway: Arc<Shared>,
    stream: TcpStream,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    drain: CancellationToken,
) {
    let clock = Arc::new(Clock::new(gateway.timeouts, Instant::now()));
    let stream = Timed::new(stream, clock.clone());
    let client = |is_tls| Client { gateway, address, is_tls, clock: clock.clone(), tunnels: Tunnels::default() };
    let Some(tls) = tls else { return talk(Arc::new(client(false)), stream, drain).await };
    tokio::select! {
        biased;
        shaken = tls.accept(stream) => match shaken {
            Ok(stream) => talk(Arc::new(client(true)), stream, drain).await,
            Err(error) => tracing::debug!(%error, client = %address, "a client did not agree on TLS"),
        },
        _ = Expiry::new(clock.clone()) => {}
        () = drain.cancelled() => {}
    }
}

async fn talk<S>(client: Arc<Client>, stream: S, drain: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let server = client.gateway.server.clone();
    let service = service_fn(|request: Request<Incoming>| {
        let answered = client.clone().answer(request);
        async move { Ok::<_, Infallible>(answered.await) }
    });
    let mut connection = pin!(server.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let mut expiry = Expiry::new(client.clock.clone());
    let mut drained = pin!(drain.cancelled());
    let mut is_draining = false;
    let ended = loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => break ended,
            () = drained.as_mut(), if !is_draining => {
                is_draining = true;
                connection.as_mut().graceful_shutdown();
            }
            why = &mut expiry => {
                tracing::debug!(client = %client.address, ?why, "a client took too long");
                return;
            }
        }
    };
    match (ended, client.tunnels.take()) {
        (Ok(()), Some(tunnel)) => carry(&client, tunnel, expiry, &drain).await,
        (Ok(()), None) => {}
        (Err(error), _) => tracing::debug!(%error, "a connection to the gateway ended early"),
    }
}

/// What a connection has become ends with itself, with silence, or with the gateway.
async fn carry(
    client: &Client,
    tunnel: impl Future<Output = ()>,
    expiry: impl Future<Output = Expired>,
    drain: &CancellationToken,
) {
    tokio::select! {
        biased;
        () = tunnel => {}
        why = expiry => tracing::debug!(client = %client.address, ?why, "an upgraded connection was silent for too long"),
        () = drain.cancelled() => {}
    }
}
