//! A connection with another node that is up, and the flows on it.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use carob_net::PipeEnd;
use parking_lot::Mutex;
use quinn::{Connection, ConnectionError, ReadExactError, RecvStream, SendDatagramError, VarInt};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::flow::{self, Receiving, Sending, Stream};
use super::link::Id;
use super::peer::Counted;
use super::protocol::{Answer, Close, Decoded, Header, Malformed, Refusal};

/// How long the other node may take to say whether it accepts a flow, and how long a stream may be without a header.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A connection that is up. Its flows are cut off when it is dropped.
pub(crate) struct Connected {
    pub(crate) id: Id,
    pub(crate) quic: Connection,
    runtime: Handle,
    tasks: Mutex<JoinSet<()>>,
    /// How many flows there are.
    flows: watch::Sender<usize>,
}

/// Why a flow was not begun.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// The other node does not want it.
    #[error("refused")]
    Refused(Refusal),
    /// The connection was given up for another before the other node could answer.
    #[error("the connection was given up for another")]
    Duplicate,
    #[error("the connection was lost")]
    Lost(#[source] ConnectionError),
    #[error("no answer in time")]
    TimedOut,
    #[error("the answer cannot be read")]
    Malformed(#[from] Malformed),
}

impl From<ConnectionError> for OpenError {
    fn from(error: ConnectionError) -> OpenError {
        let duplicate = VarInt::from_u32(Close::Duplicate.code());
        let closed = match &error {
            ConnectionError::ApplicationClosed(close) => close.error_code == duplicate,
            ConnectionError::LocallyClosed => true,
            _ => false,
        };
        if closed { OpenError::Duplicate } else { OpenError::Lost(error) }
    }
}

impl Connected {
    pub(crate) fn new(id: Id, quic: Connection, runtime: Handle) -> Arc<Connected> {
        Arc::new(Connected { id, quic, runtime, tasks: Mutex::default(), flows: watch::Sender::new(0) })
    }

    /// Counts as a flow until what is returned is dropped: a connection is not given up under a flow that is being begun, of
    /// which the other node may have told its Pod already.
    pub(crate) fn busy(&self) -> Flow {
        Flow::begin(&self.flows)
    }

    /// Asks the other node for a connection to the header's target.
    pub(crate) async fn open(&self, header: &Header) -> Result<Stream, OpenError> {
        timeout(PATIENCE, self.ask(header)).await.unwrap_or(Err(OpenError::TimedOut))
    }

    async fn ask(&self, header: &Header) -> Result<Stream, OpenError> {
        let (send, receive) = self.quic.open_bi().await?;
        let (mut send, mut receive) = (Sending::new(send), Receiving::new(receive));
        let mut bytes = BytesMut::with_capacity(header.length());
        header.encode(&mut bytes);
        // The answer says more than a failure to write does.
        let _ = send.stream.write_chunk(bytes.freeze()).await;
        match read(&mut receive.stream, Answer::decode).await {
            Ok(Answer::Accepted) => Ok((send, receive)),
            Ok(Answer::Refused(refusal)) => Err(OpenError::Refused(refusal)),
            Err(ReadError::Malformed(malformed)) => Err(malformed.into()),
            Err(ReadError::Cut) => Err(self.quic.close_reason().map_or(Malformed::Short.into(), OpenError::from)),
        }
    }

    /// Carries the bytes of a flow until it has ended.
    pub(crate) fn carry(&self, end: PipeEnd, stream: Stream, counted: Counted) {
        self.spawn(async move {
            flow::carry(end, stream).await;
            drop(counted);
        });
    }

    /// Runs something that is done for one flow.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let flow = Flow::begin(&self.flows);
        let mut tasks = self.tasks.lock();
        while tasks.try_join_next().is_some() {}
        let task = async move {
            task.await;
            drop(flow);
        };
        tasks.spawn_on(task, &self.runtime);
    }

    /// Waits until there is no flow.
    pub(crate) async fn idle(&self) {
        // The sender is here: it cannot be gone.
        let _ = self.flows.subscribe().wait_for(|flows| *flows == 0).await;
    }

    /// Sends a datagram unless it is larger than the path allows. On a connection that is ending it is lost.
    pub(crate) fn send_if_it_fits(&self, datagram: &Bytes) -> bool {
        self.quic.max_datagram_size().is_some_and(|most| datagram.len() <= most)
            && !matches!(self.quic.send_datagram(datagram.clone()), Err(SendDatagramError::TooLarge))
    }

    /// Sends a datagram that is larger than the path allows.
    pub(crate) async fn send_by_stream(&self, datagram: Bytes) {
        let Ok(stream) = self.quic.open_uni().await else { return };
        let mut sending = Sending::new(stream);
        if sending.stream.write_chunk(datagram).await.is_ok() {
            sending.finish();
        }
    }
}

/// One of the flows that a connection has.
pub(crate) struct Flow(watch::Sender<usize>);

impl Flow {
    fn begin(flows: &watch::Sender<usize>) -> Flow {
        flows.send_modify(|flows| *flows += 1);
        Flow(flows.clone())
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.0.send_modify(|flows| *flows -= 1);
    }
}

/// Why a message could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The stream or its connection ended before the message did.
    #[error("the stream was cut off")]
    Cut,
}

/// Reads one message, and not a byte of what follows it.
pub(crate) async fn read<T>(
    stream: &mut RecvStream,
    decode: fn(&[u8]) -> Result<Decoded<T>, Malformed>,
) -> Result<T, ReadError> {
    let mut bytes = Vec::new();
    loop {
        match decode(&bytes)? {
            Decoded::Whole(message) => return Ok(message),
            Decoded::Needs(length) => {
                let known = bytes.len();
                bytes.resize(length, 0);
                stream.read_exact(&mut bytes[known..]).await.map_err(|error| match error {
                    ReadExactError::FinishedEarly(_) => ReadError::Malformed(Malformed::Short),
                    ReadExactError::ReadError(_) => ReadError::Cut,
                })?;
            }
        }
    }
}
