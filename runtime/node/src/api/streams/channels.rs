//! Standard streams over a WebSocket: `v5.channel.k8s.io`, and `v4.channel.k8s.io`, which cannot close a stream.
//!
//! The first byte of each message names its channel.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};
use tokio_websockets::Message;

use super::query::Wanted;
use super::upgrade::Socket;
use super::verdict::Verdict;
use crate::console::{Outbox, Terminal, Typed};
use crate::runtime::{Input, Stream};

pub(super) const V5: &str = "v5.channel.k8s.io";
pub(super) const V4: &str = "v4.channel.k8s.io";
/// What is spoken, the best first.
pub(super) const PROTOCOLS: &[&str] = &[V5, V4];

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;
/// The second byte names a channel that ends.
const CLOSE: u8 = 255;

/// Between two signs of life. Clients give up when they hear nothing for a minute.
const BEAT: Duration = Duration::from_secs(15);
/// A client that answers no sign of life for so long is gone.
const SILENCE: Duration = Duration::from_secs(60);
/// How long the last words may take.
pub(super) const FAREWELL: Duration = Duration::from_secs(5);

/// The client has gone, or does not speak as it should.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Gone;

/// The two halves of a session's connection.
pub(super) fn halves(socket: Socket) -> (SplitSink<Socket, Message>, SplitStream<Socket>) {
    socket.split()
}

/// What goes to the client.
pub(super) struct Speaker<'a> {
    pub(super) sink: &'a mut SplitSink<Socket, Message>,
    pub(super) wanted: Wanted,
}

impl Speaker<'_> {
    /// Tells the client that the session is open, as it waits for: an empty message on the first channel that it reads.
    pub(super) async fn greet(&mut self) -> Result<(), Gone> {
        let first = match self.wanted {
            Wanted { output: true, .. } => STDOUT,
            Wanted { error: true, .. } => STDERR,
            _ => ERROR,
        };
        self.say(first, &[]).await
    }

    /// Sends what is printed until the end of it. With `patience`, a client that takes nothing for so long is given up.
    pub(super) async fn output(&mut self, outbox: &Outbox, patience: Option<Duration>) -> Result<(), Gone> {
        let mut beats = beats();
        loop {
            tokio::select! {
                next = outbox.next() => match next {
                    Some((stream, bytes)) => within(patience, self.print(stream, &bytes)).await?,
                    None => return Ok(()),
                },
                _ = beats.tick() => within(patience, beat(self.sink)).await?,
            }
        }
    }

    /// Says how it ended, and closes the connection.
    pub(super) async fn end(&mut self, verdict: Verdict) -> Result<(), Gone> {
        let farewell = async {
            if let Some(words) = verdict.words {
                let ending = if self.wanted.terminal { "\r\n" } else { "\n" };
                self.print(Stream::Stderr, format!("{words}{ending}").as_bytes()).await?;
            }
            self.say(ERROR, verdict.status.to_string().as_bytes()).await?;
            self.sink.close().await.map_err(gone)
        };
        timeout(FAREWELL, farewell).await.unwrap_or(Err(Gone))
    }

    async fn print(&mut self, stream: Stream, bytes: &[u8]) -> Result<(), Gone> {
        let channel = match stream {
            Stream::Stderr if !self.wanted.terminal => STDERR,
            _ => STDOUT,
        };
        let heard = if channel == STDERR { self.wanted.error } else { self.wanted.output };
        if heard { self.say(channel, bytes).await } else { Ok(()) }
    }

    async fn say(&mut self, channel: u8, bytes: &[u8]) -> Result<(), Gone> {
        self.sink.send(on(channel, bytes)).await.map_err(gone)
    }
}

/// A message on a channel.
pub(super) fn on(channel: u8, bytes: &[u8]) -> Message {
    let mut message = BytesMut::with_capacity(1 + bytes.len());
    message.put_u8(channel);
    message.put_slice(bytes);
    Message::binary(message)
}

/// When to give signs of life, the first one at once.
pub(super) fn beats() -> Interval {
    let mut beats = interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beats
}

/// A question and, for a client whose own question waits behind input that nobody reads, an answer.
pub(super) async fn beat(sink: &mut SplitSink<Socket, Message>) -> Result<(), Gone> {
    sink.feed(Message::pong(Bytes::new())).await.map_err(gone)?;
    sink.send(Message::ping(Bytes::new())).await.map_err(gone)
}

async fn within(patience: Option<Duration>, said: impl Future<Output = Result<(), Gone>>) -> Result<(), Gone> {
    match patience {
        Some(patience) => timeout(patience, said).await.unwrap_or(Err(Gone)),
        None => said.await,
    }
}

pub(super) fn gone(error: tokio_websockets::Error) -> Gone {
    tracing::debug!(%error, "a session's client has gone");
    Gone
}

/// What comes from the client.
pub(super) struct Listener {
    pub(super) source: SplitStream<Socket>,
    pub(super) protocol: &'static str,
    pub(super) input: Input,
    /// The terminal that the client types on, and where it shows.
    pub(super) terminal: Option<(Terminal, Arc<Outbox>)>,
}

impl Listener {
    /// Passes on what the client sends until it goes; `interrupt` is called when it asks for the program's end.
    pub(super) async fn listen(mut self, interrupt: impl Fn()) -> Gone {
        while let Some(message) = next(&mut self.source).await {
            self.hear(&message, &interrupt).await;
        }
        Gone
    }

    async fn hear(&mut self, message: &[u8], interrupt: &impl Fn()) {
        match message {
            [STDIN, bytes @ ..] => self.typed(bytes, interrupt).await,
            [CLOSE, STDIN] if self.protocol == V5 => self.input.close(),
            [RESIZE, ..] => {
                // A program has no way to ask for the size of its window in WASI.
            }
            _ => tracing::debug!(channel = message.first(), "a client wrote on a channel that it should not"),
        }
    }

    async fn typed(&mut self, bytes: &[u8], interrupt: &impl Fn()) {
        let Some((terminal, outbox)) = &mut self.terminal else {
            // A program that does not read (any more) leaves what was written, as a closed pipe does.
            let _ = self.input.write(Bytes::copy_from_slice(bytes)).await;
            return;
        };
        let mut screen = Vec::new();
        let typed = terminal.typed(bytes, &mut screen);
        outbox.show(screen);
        for one in typed {
            match one {
                Typed::Line(line) => drop(self.input.write(line.into()).await),
                Typed::End => self.input.close(),
                Typed::Interrupt => interrupt(),
            }
        }
    }
}

/// The client's next message; nothing if it has gone.
pub(super) async fn next(source: &mut SplitStream<Socket>) -> Option<Bytes> {
    loop {
        let message = timeout(SILENCE, source.next()).await.ok()??.map_err(gone).ok()?;
        if message.is_close() {
            return None;
        }
        if message.is_binary() || message.is_text() {
            return Some(message.into_payload().into());
        }
    }
}
