//! One forwarded connection, between a client's streams and a Pod's port.

use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use carob_net::{Network, NetworkError, Receive, TcpConnection, TcpOptions, Transmit};
use carob_spdy::StreamId;
use futures::future::{Either, select};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::tunnel::Shared;

/// How long a Pod may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// The most that is taken from a Pod at once.
const PIECE: usize = 32 * 1024;

/// The client's end of a connection.
pub(super) struct Way {
    pub(super) shared: Arc<Shared>,
    pub(super) data: StreamId,
    /// On which the client is told what went wrong; it waits for its end in any case.
    pub(super) error: StreamId,
    pub(super) incoming: mpsc::Receiver<Bytes>,
}

impl Way {
    pub(super) async fn run(mut self, network: Arc<dyn Network>, port: u16) {
        let outcome = match connect(&*network, port).await {
            Ok(connection) => self.carry(connection).await,
            Err(error) => Err(error),
        };
        self.shared.tell(|spdy| {
            if let Err(error) = &outcome {
                spdy.send(self.error, failure(port, error).as_bytes());
            }
            spdy.finish(self.error);
            spdy.finish(self.data);
        });
    }

    /// Until both directions have ended, or one has broken.
    async fn carry(&mut self, connection: TcpConnection) -> Result<(), NetworkError> {
        let TcpConnection { mut receive, mut transmit, .. } = connection;
        let Way { shared, data, incoming, .. } = self;
        let to_pod = deliver(&mut *transmit, incoming, |length| shared.tell(|spdy| spdy.consumed(*data, length)));
        let from_pod = async {
            while let Some(bytes) = take(&mut *receive).await? {
                shared.send(*data, &bytes).await;
            }
            shared.tell(|spdy| spdy.finish(*data));
            Ok(())
        };
        let outcome = match select(pin!(to_pod), pin!(from_pod)).await {
            Either::Left((_, from_pod)) => from_pod.await,
            Either::Right((Ok(()), to_pod)) => to_pod.await,
            Either::Right((broken, _)) => broken,
        };
        in_order(outcome)
    }
}

/// Hands the Pod what comes for it, and then the end; tells `taken` of each piece. After a failure it takes nothing more:
/// the Pod may still have something to say.
pub(super) async fn deliver(
    transmit: &mut dyn Transmit,
    incoming: &mut mpsc::Receiver<Bytes>,
    taken: impl Fn(usize),
) -> Result<(), NetworkError> {
    let delivered = async {
        while let Some(bytes) = incoming.recv().await {
            let length = bytes.len();
            send(transmit, bytes).await?;
            taken(length);
        }
        poll_fn(|cx| transmit.poll_shutdown(cx)).await
    }
    .await;
    incoming.close();
    delivered
}

/// A Pod may end a connection in its own way: the client sees its data end.
pub(super) fn in_order(outcome: Result<(), NetworkError>) -> Result<(), NetworkError> {
    match outcome {
        Err(NetworkError::ConnectionReset) => Ok(()),
        other => other,
    }
}

/// What the client is told when a port cannot be forwarded, or no longer.
pub(super) fn failure(port: u16, error: &NetworkError) -> String {
    format!("error forwarding port {port} to pod: {error}")
}

/// Connects over the Pod's loopback, of either family.
pub(super) async fn connect(network: &dyn Network, port: u16) -> Result<TcpConnection, NetworkError> {
    let v4 = connect_to(network, Ipv4Addr::LOCALHOST.into(), port).await;
    match v4 {
        Err(NetworkError::ConnectionRefused) => connect_to(network, Ipv6Addr::LOCALHOST.into(), port).await.or(v4),
        connected => connected,
    }
}

/// Connects to one of the Pod's own addresses, as the Pod itself would.
pub(super) async fn connect_to(network: &dyn Network, ip: IpAddr, port: u16) -> Result<TcpConnection, NetworkError> {
    let own = network.bind_tcp(SocketAddr::new(ip, 0))?;
    let connecting = own.connect(SocketAddr::new(ip, port), TcpOptions::default());
    timeout(CONNECT, connecting).await.unwrap_or(Err(NetworkError::TimedOut))
}

pub(super) async fn take(receive: &mut dyn Receive) -> Result<Option<Bytes>, NetworkError> {
    poll_fn(|cx| receive.poll_receive(cx, PIECE)).await
}

async fn send(transmit: &mut dyn Transmit, mut bytes: Bytes) -> Result<(), NetworkError> {
    while !bytes.is_empty() {
        let capacity = poll_fn(|cx| transmit.poll_capacity(cx)).await?;
        transmit.transmit(bytes.split_to(bytes.len().min(capacity)))?;
    }
    poll_fn(|cx| transmit.poll_flush(cx)).await
}
