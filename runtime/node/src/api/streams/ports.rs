//! Port-forward on numbered channels, `v4.channel.k8s.io`: what kube-rs and the Python client speak.
//!
//! The first byte of each message names its channel. Of the client's ports, the n-th has channel 2n for its data and 2n + 1
//! for what went wrong, and each channel begins with the port, in two bytes, the lower one first. There is one connection
//! for each port, and no way to say that one of them has ended but to close all, once the last has.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use carob_net::{Network, NetworkError, TcpConnection};
use futures::SinkExt;
use futures::future::{Either, join, select};
use futures::stream::{SplitSink, SplitStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_websockets::Message;

use super::channels::{FAREWELL, Gone, beat, beats, gone, halves, next, on};
use super::forward::{connect, deliver, failure, in_order, take};
use super::upgrade::Socket;

/// Pieces on their way to the client before whoever sends waits.
const UNSENT: usize = 8;
/// Pieces on their way to one port before all of the client's wait: it knows no other way to be held back.
const UNDELIVERED: usize = 16;
/// How long the client may go on after the Pod has said its last, as container runtimes have it.
const LINGER: Duration = Duration::from_secs(1);

type Sink = SplitSink<Socket, Message>;

/// Carries connections until all have ended, or the client goes.
pub(super) async fn run(socket: Socket, network: Arc<dyn Network>, ports: Vec<u16>) {
    let (mut sink, source) = halves(socket);
    if greet(&mut sink, &ports).await.is_err() {
        return;
    }
    let (to_client, outgoing) = mpsc::channel(UNSENT);
    let mut tasks = JoinSet::new();
    let mut to_ports = Vec::with_capacity(ports.len());
    for (channel, number) in (0..).step_by(2).zip(ports) {
        let (to_port, incoming) = mpsc::channel(UNDELIVERED);
        let port = Port { number, channel, incoming, to_client: to_client.clone() };
        tasks.spawn(port.run(network.clone()));
        to_ports.push(to_port);
    }
    drop(to_client);
    tokio::select! {
        () = speak(&mut sink, outgoing) => {}
        () = listen(source, to_ports) => {}
    }
    // What the client sent before it went still arrives.
    let farewell = join(tasks.join_all(), sink.close());
    let _ = timeout(FAREWELL, farewell).await;
}

/// Begins every channel.
async fn greet(sink: &mut Sink, ports: &[u16]) -> Result<(), Gone> {
    for (channel, port) in (0..).step_by(2).zip(ports) {
        for channel in [channel, channel + 1] {
            sink.feed(on(channel, &port.to_le_bytes())).await.map_err(gone)?;
        }
    }
    sink.flush().await.map_err(gone)
}

/// Sends what the ports say, and signs of life, until the last port has ended or the client has gone.
async fn speak(sink: &mut Sink, mut outgoing: mpsc::Receiver<Message>) {
    let mut beats = beats();
    loop {
        let sent = tokio::select! {
            said = outgoing.recv() => match said {
                Some(message) => sink.send(message).await.map_err(gone),
                None => return,
            },
            _ = beats.tick() => beat(sink).await,
        };
        if sent.is_err() {
            return;
        }
    }
}

/// Passes on what the client sends until it goes.
async fn listen(mut source: SplitStream<Socket>, to_ports: Vec<mpsc::Sender<Bytes>>) {
    while let Some(message) = next(&mut source).await {
        let Some(channel) = message.first().copied().map(usize::from) else { continue };
        let port = to_ports.get(channel / 2).filter(|_| channel.is_multiple_of(2));
        match port {
            // A port that has ended takes nothing more.
            Some(port) => drop(port.send(message.slice(1..)).await),
            None => tracing::debug!(channel, "a client wrote on a channel that it should not"),
        }
    }
}

/// One port of the client's.
struct Port {
    number: u16,
    /// The one for data; the next is for what went wrong.
    channel: u8,
    incoming: mpsc::Receiver<Bytes>,
    to_client: mpsc::Sender<Message>,
}

impl Port {
    async fn run(mut self, network: Arc<dyn Network>) {
        let outcome = match connect(&*network, self.number).await {
            Ok(connection) => self.carry(connection).await,
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            say(&self.to_client, self.channel + 1, failure(self.number, &error).as_bytes()).await;
        }
    }

    /// Until the Pod has said its last, or the connection has broken.
    async fn carry(&mut self, connection: TcpConnection) -> Result<(), NetworkError> {
        let TcpConnection { mut receive, mut transmit, .. } = connection;
        let Port { channel, incoming, to_client, .. } = self;
        let to_pod = deliver(&mut *transmit, incoming, |_| {});
        let from_pod = async {
            while let Some(bytes) = take(&mut *receive).await? {
                say(to_client, *channel, &bytes).await;
            }
            Ok(())
        };
        let outcome = match select(pin!(to_pod), pin!(from_pod)).await {
            Either::Left((_, from_pod)) => from_pod.await,
            Either::Right((Ok(()), to_pod)) => timeout(LINGER, to_pod).await.unwrap_or(Ok(())),
            Either::Right((broken, _)) => broken,
        };
        in_order(outcome)
    }
}

/// Who has gone already hears nothing more.
async fn say(client: &mpsc::Sender<Message>, channel: u8, bytes: &[u8]) {
    let _ = client.send(on(channel, bytes)).await;
}
