//! Carries bytes between two connections that were upgraded.

use std::{pin::pin, time::Duration};

use futures::future::{Either, select};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy, split},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// How long the two ends have to switch protocols after it was agreed.
pub(crate) const SWITCH: Duration = Duration::from_secs(10);
/// How long the second direction may go on after the first has ended.
const LINGER: Duration = Duration::from_secs(10);

/// The relays of a server. They end with it.
#[derive(Default)]
pub(crate) struct Relays(Mutex<JoinSet<()>>);

impl Relays {
    pub(crate) fn start(&self, relay: impl Future<Output = ()> + Send + 'static) {
        let mut running = self.0.lock();
        while running.try_join_next().is_some() {}
        running.spawn(relay);
    }
}

/// Carries bytes in both directions until one end goes, or the server ends; `driver` is what the node's connection runs on.
pub(crate) async fn carry(client: OnUpgrade, node: OnUpgrade, driver: JoinSet<()>, ending: CancellationToken) {
    let both = async { tokio::try_join!(client, node) };
    let (client, node) = match timeout(SWITCH, both).await {
        Ok(Ok(both)) => both,
        Ok(Err(error)) => return tracing::debug!(%error, "an end went before its connection was upgraded"),
        Err(_) => return tracing::debug!("an end did not switch protocols in time"),
    };
    drop(driver);
    ending.run_until_cancelled(between(TokioIo::new(client), TokioIo::new(node))).await;
}

async fn between(client: impl AsyncRead + AsyncWrite, node: impl AsyncRead + AsyncWrite) {
    let (from_client, to_client) = split(client);
    let (from_node, to_node) = split(node);
    let (up, down) = (pin!(one_way(from_client, to_node)), pin!(one_way(from_node, to_client)));
    let rest = match select(up, down).await {
        Either::Left(((), down)) => Either::Left(down),
        Either::Right(((), up)) => Either::Right(up),
    };
    let _ = timeout(LINGER, rest).await;
}

async fn one_way(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
    if let Err(error) = copy(&mut from, &mut to).await {
        tracing::debug!(%error, "a relayed connection broke off");
    }
    // Who is gone already need not be told.
    let _ = to.shutdown().await;
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bytes_go_both_ways_and_one_end_takes_the_other_with_it() {
        let (mut client, near) = duplex(64);
        let (far, mut node) = duplex(64);
        let relay = tokio::spawn(between(near, far));
        client.write_all(b"ask").await.unwrap();
        let mut bytes = [0; 3];
        node.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"ask");
        drop(client);
        assert_eq!(node.read(&mut bytes).await.unwrap(), 0, "the node sees the end");
        drop(node);
        relay.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_that_does_not_go_is_left_after_a_while() {
        let (client, near) = duplex(64);
        let (far, _node) = duplex(64);
        let relay = tokio::spawn(between(near, far));
        drop(client);
        relay.await.unwrap();
    }
}
