//! One port of the host: a listening socket and the connections that came through it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::events::Events;
use crate::subject::Subject;

/// A port that another Service has just given up is free a moment later.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LONGEST_RETRY: Duration = Duration::from_secs(10);
/// When the process is out of file descriptors, accepting at once would only fail again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// For the requests that are under way when a port closes.
const DRAIN: Duration = Duration::from_secs(10);

/// What all ports of the host share.
pub(crate) struct Shared {
    /// Bounds the open connections of all ports together.
    pub(crate) connections: Arc<Semaphore>,
    pub(crate) events: Events,
}

/// What becomes of the connections to a port.
pub(crate) trait Serve: Send + Sync + 'static {
    /// Serves one connection from `client`, and only finishes what is under way once `drain` is cancelled.
    fn serve(
        self: Arc<Self>,
        stream: TcpStream,
        client: SocketAddr,
        drain: CancellationToken,
    ) -> impl Future<Output = ()> + Send;
}

/// Listens at `address` for `subject` until `stop`, then lets requests that are under way finish.
pub(crate) async fn run(
    shared: Arc<Shared>,
    subject: Subject,
    address: SocketAddr,
    target: Arc<impl Serve>,
    stop: CancellationToken,
) {
    let binding = bind(&shared.events, &subject, address, TcpListener::bind);
    let Some(listener) = stop.run_until_cancelled(binding).await else { return };
    let purpose = subject.purpose.field();
    tracing::info!(%address, %subject, purpose, "listening at a port of the host");
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => {}
            (stream, client, permit) = accept(&listener, &shared.connections) => {
                connections.spawn(serve(stream, client, target.clone(), stop.clone(), permit));
            }
        }
    }
    drop(listener);
    tracing::info!(%address, %subject, purpose, "closed a port of the host");
    // Those that take longer are cut off as the set is dropped.
    let _ = timeout(DRAIN, connections.join_all()).await;
}

/// Tries until the port is free. The first failure may be the port's last owner, who is about to close it.
pub(crate) async fn bind<T, F: Future<Output = io::Result<T>>>(
    events: &Events,
    subject: &Subject,
    address: SocketAddr,
    open: impl Fn(SocketAddr) -> F,
) -> T {
    let mut retry = FIRST_RETRY;
    let mut told = false;
    loop {
        match open(address).await {
            Ok(socket) => return socket,
            Err(error) if retry > FIRST_RETRY && !told => {
                tracing::warn!(%address, %subject, %error, "cannot listen at a port of the host; trying again");
                events.cannot_listen(subject, address, &error).await;
                told = true;
            }
            Err(error) => tracing::debug!(%address, %error, "cannot listen at a port of the host yet"),
        }
        sleep(retry).await;
        retry = LONGEST_RETRY.min(retry * 2);
    }
}

/// The next connection, once there is room for it. Waiting clients stay in the kernel's queue.
pub(crate) async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    let permit = room.clone().acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, client)) => return (stream, client, permit),
            Err(error) if is_of_the_client(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection to a port of the host");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The client went away before its connection was accepted.
fn is_of_the_client(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

async fn serve(
    stream: TcpStream,
    client: SocketAddr,
    target: Arc<impl Serve>,
    drain: CancellationToken,
    _room: OwnedSemaphorePermit,
) {
    // Small responses must not wait for acknowledgements. It can only fail when the client has gone.
    let _ = stream.set_nodelay(true);
    target.serve(stream, client, drain).await;
}
