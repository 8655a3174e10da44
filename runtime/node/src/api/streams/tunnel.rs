//! SPDY inside of a WebSocket, and for each pair of its streams a connection to the Pod.
//!
//! A client opens two streams for a connection, both with its `requestid` and `port`: one for data, one on which it is told
//! what went wrong.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use carob_net::Network;
use carob_spdy::{Connection, Event, Headers, ResetStatus, StreamId};
use futures::SinkExt;
use futures::stream::SplitSink;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio_websockets::Message;

use super::channels::{beat, beats, gone, halves, next};
use super::forward;
use super::upgrade::Socket;

/// Streams that a client may have open at once: two for each connection.
const STREAMS: usize = 512;
/// Bytes on their way to the client before whoever sends waits.
const UNSENT: usize = 256 * 1024;
/// Pieces on their way to one connection before all of the client's wait: SPDY's clients know no other way to be held back.
const UNDELIVERED: usize = 16;

/// Carries connections until the client goes.
pub(super) async fn run(socket: Socket, network: Arc<dyn Network>) {
    let (sink, mut source) = halves(socket);
    let shared = Arc::new(Shared::default());
    let mut streams =
        Streams { shared: shared.clone(), network, asked: HashMap::new(), open: HashMap::new(), tasks: JoinSet::new() };
    let hear = async {
        while let Some(bytes) = next(&mut source).await {
            if streams.take(&bytes).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = hear => {}
        () = send(sink, &shared) => {}
    }
}

/// Sends what there is to send, and signs of life.
async fn send(mut sink: SplitSink<Socket, Message>, shared: &Shared) {
    let mut beats = beats();
    loop {
        let output = shared.spdy.lock().output();
        shared.sent.notify_waiters();
        let sent = if output.is_empty() {
            tokio::select! {
                () = shared.more.notified() => continue,
                _ = beats.tick() => {}
            }
            beat(&mut sink).await
        } else {
            sink.send(Message::binary(output)).await.map_err(gone)
        };
        if sent.is_err() {
            return;
        }
    }
}

/// What the connections of a client share.
pub(super) struct Shared {
    spdy: Mutex<Connection>,
    /// There is something to send.
    more: Notify,
    /// Something was sent.
    sent: Notify,
}

impl Default for Shared {
    fn default() -> Self {
        Shared { spdy: Mutex::new(Connection::new(STREAMS)), more: Notify::new(), sent: Notify::new() }
    }
}

impl Shared {
    /// Says something to the client.
    pub(super) fn tell(&self, say: impl FnOnce(&mut Connection)) {
        say(&mut self.spdy.lock());
        self.more.notify_one();
    }

    /// Sends data, once enough of what came before has gone.
    pub(super) async fn send(&self, stream: StreamId, bytes: &[u8]) {
        loop {
            let sent = self.sent.notified();
            tokio::pin!(sent);
            sent.as_mut().enable();
            if self.spdy.lock().unsent() < UNSENT {
                break;
            }
            sent.await;
        }
        self.tell(|spdy| spdy.send(stream, bytes));
    }
}

/// The client broke the protocol.
struct Broken;

struct Streams {
    shared: Arc<Shared>,
    network: Arc<dyn Network>,
    /// Streams whose other one is not there yet, by what the client calls the pair.
    asked: HashMap<String, (Role, StreamId)>,
    /// Connections, by their stream of data.
    open: HashMap<StreamId, Open>,
    tasks: JoinSet<()>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Data,
    Error,
}

struct Open {
    /// Until the client ends it.
    data: Option<mpsc::Sender<Bytes>>,
    task: AbortHandle,
}

impl Streams {
    async fn take(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        self.shared.spdy.lock().receive(bytes);
        loop {
            let event = self.shared.spdy.lock().event();
            // Something may be to be sent whatever it was.
            self.shared.more.notify_one();
            match event {
                Ok(Some(event)) => self.happened(event).await,
                Ok(None) => return Ok(()),
                Err(error) => {
                    tracing::debug!(%error, "a port-forward's client does not speak SPDY as it should");
                    return Err(Broken);
                }
            }
        }
    }

    async fn happened(&mut self, event: Event) {
        match event {
            Event::Opened(stream, headers) => self.opened(stream, &headers),
            Event::Data(stream, bytes) => self.data(stream, bytes).await,
            Event::Finished(stream) => {
                if let Some(open) = self.open.get_mut(&stream) {
                    open.data = None;
                }
            }
            Event::Reset(stream) => {
                if let Some(open) = self.open.remove(&stream) {
                    open.task.abort();
                }
                self.asked.retain(|_, (_, waiting)| *waiting != stream);
            }
            Event::GoAway => {}
        }
    }

    fn opened(&mut self, stream: StreamId, headers: &Headers) {
        while self.tasks.try_join_next().is_some() {}
        self.open.retain(|_, open| !open.task.is_finished());
        let role = match headers.value("streamtype") {
            Some("data") => Role::Data,
            Some("error") => Role::Error,
            _ => return self.refuse(stream),
        };
        let port = headers.value("port").and_then(|port| port.parse().ok()).filter(|port| *port > 0);
        let Some(port) = port else { return self.refuse(stream) };
        self.shared.tell(|spdy| spdy.reply(stream));
        // Clients that number nothing open one pair after the other.
        let pair = headers.value("requestid").unwrap_or_default().to_owned();
        match self.asked.remove(&pair) {
            Some((other, waiting)) if other != role => {
                let (data, error) = if role == Role::Data { (stream, waiting) } else { (waiting, stream) };
                self.forward(data, error, port);
            }
            Some((_, waiting)) => {
                self.refuse(waiting);
                self.asked.insert(pair, (role, stream));
            }
            None => drop(self.asked.insert(pair, (role, stream))),
        }
    }

    fn refuse(&self, stream: StreamId) {
        self.shared.tell(|spdy| spdy.reset(stream, ResetStatus::ProtocolError));
    }

    fn forward(&mut self, data: StreamId, error: StreamId, port: u16) {
        let (sender, receiver) = mpsc::channel(UNDELIVERED);
        let way = forward::Way { shared: self.shared.clone(), data, error, incoming: receiver };
        let task = self.tasks.spawn(way.run(self.network.clone(), port));
        self.open.insert(data, Open { data: Some(sender), task });
    }

    /// Waits while the Pod does not take what it was sent before.
    async fn data(&mut self, stream: StreamId, bytes: Bytes) {
        let length = bytes.len();
        let sender = self.open.get(&stream).and_then(|open| open.data.as_ref());
        let taken = match sender {
            Some(sender) => sender.send(bytes).await.is_ok(),
            None => false,
        };
        if !taken {
            self.shared.tell(|spdy| spdy.consumed(stream, length));
        }
    }
}
