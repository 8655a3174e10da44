//! One direction of a connection within this process.
//!
//! Bytes are handed over as they are: no system call, and no copy but of small pieces that wait together. It behaves as TCP
//! does: bounded, in order, ended by a shutdown or a reset; what was sent before either can still be read.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;

use crate::network::{NetworkError, Receive, Transmit};
use crate::{Account, TCP_BUFFER, TcpControl, TcpOptions};

/// The least that a pipe holds, whatever it was made with and however much its sender's other pipes hold.
pub const MIN_PIPE_BYTES: usize = 2 * MIN_BUFFER;
/// The most that a pipe holds.
pub const MAX_PIPE_BYTES: usize = 2 * MAX_BUFFER;

/// The least and the most that one side adds to a pipe.
const MIN_BUFFER: usize = 2 * 1024;
const MAX_BUFFER: usize = 2 * 1024 * 1024;

/// A piece below this size that would wait behind others is copied to the end of the last one: a sender of single bytes
/// costs its bytes, not an allocation for each.
const SMALL: usize = 1024;
/// Small pieces are gathered up to this size.
const GATHERED: usize = 16 * 1024;

/// A pipe of `capacity` bytes, from one workload to another. One that exceeds the limits is brought within them.
pub fn pipe(capacity: usize, from: Arc<Account>, to: Arc<Account>) -> (PipeTransmit, PipeReceive) {
    let capacity = capacity.clamp(MIN_PIPE_BYTES, MAX_PIPE_BYTES);
    let sender = capacity / 2;
    both_ends(Buffers { sender, receiver: capacity - sender }, from, to)
}

/// One end of a connection.
pub struct PipeEnd {
    /// What it sends.
    pub transmit: PipeTransmit,
    /// What arrives.
    pub receive: PipeReceive,
    /// Its options.
    pub control: PipeControl,
}

/// Both directions of a connection: the end of whoever connects, with its options, then the end of whoever accepts.
pub fn pipes(options: &TcpOptions, connecting: &Arc<Account>, accepting: &Arc<Account>) -> (PipeEnd, PipeEnd) {
    let (send, receive) = (buffer(options.send_buffer), buffer(options.receive_buffer));
    let there = Buffers { sender: send, receiver: TCP_BUFFER };
    let back = Buffers { sender: TCP_BUFFER, receiver: receive };
    let (transmit, far_receive) = both_ends(there, connecting.clone(), accepting.clone());
    let (far_transmit, receive) = both_ends(back, accepting.clone(), connecting.clone());
    (PipeEnd::new(transmit, receive), PipeEnd::new(far_transmit, far_receive))
}

fn both_ends(buffers: Buffers, from: Arc<Account>, to: Arc<Account>) -> (PipeTransmit, PipeReceive) {
    let state = State { buffers, ..State::default() };
    let shared = Arc::new(Shared { from, to, state: Mutex::new(state) });
    (PipeTransmit { shared: shared.clone() }, PipeReceive { shared })
}

impl PipeEnd {
    fn new(transmit: PipeTransmit, receive: PipeReceive) -> PipeEnd {
        let control = PipeControl { sends: transmit.shared.clone(), receives: receive.shared.clone() };
        PipeEnd { transmit, receive, control }
    }
}

fn buffer(wanted: Option<usize>) -> usize {
    wanted.unwrap_or(TCP_BUFFER).clamp(MIN_BUFFER, MAX_BUFFER)
}

/// Changes what one end holds: as with TCP, bytes on their way wait in the buffers of both ends.
pub struct PipeControl {
    sends: Arc<Shared>,
    receives: Arc<Shared>,
}

impl TcpControl for PipeControl {
    fn set_options(&self, options: &TcpOptions) -> Result<(), NetworkError> {
        self.sends.resize(|buffers| buffers.sender = buffer(options.send_buffer));
        self.receives.resize(|buffers| buffers.receiver = buffer(options.receive_buffer));
        Ok(())
    }
}

struct Shared {
    from: Arc<Account>,
    to: Arc<Account>,
    state: Mutex<State>,
}

impl Shared {
    /// What is held beyond a smaller window stays until it is read.
    fn resize(&self, change: impl FnOnce(&mut Buffers)) {
        let writer = {
            let mut state = self.state.lock();
            change(&mut state.buffers);
            if state.held < state.window(&self.from) { state.writer.take() } else { None }
        };
        wake(writer);
    }
}

/// What each end adds to what a pipe may hold.
#[derive(Clone, Copy, Default)]
struct Buffers {
    sender: usize,
    receiver: usize,
}

/// Held for a few moves only; wakers are called after it is let go.
#[derive(Default)]
struct State {
    buffers: Buffers,
    queue: VecDeque<Bytes>,
    /// Small pieces that come after the queue.
    tail: BytesMut,
    /// Bytes in both.
    held: usize,
    ending: Ending,
    /// Whether the reader is gone, and if it left bytes unread or more came: whether anything was lost.
    deaf: Option<Lost>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Ending {
    #[default]
    Open,
    Shutdown,
    Reset,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Lost(bool);

impl State {
    /// What the pipe may hold now.
    fn window(&self, from: &Account) -> usize {
        if from.is_spent() { MIN_PIPE_BYTES } else { self.buffers.sender + self.buffers.receiver }
    }

    fn push(&mut self, bytes: Bytes) {
        self.held += bytes.len();
        let waits = !self.queue.is_empty() || !self.tail.is_empty();
        if waits && bytes.len() < SMALL && self.tail.len() + bytes.len() <= GATHERED {
            self.tail.extend_from_slice(&bytes);
            return;
        }
        if !self.tail.is_empty() {
            self.queue.push_back(self.tail.split().freeze());
        }
        self.queue.push_back(bytes);
    }

    /// The next bytes, `most` at most; there are some.
    fn pop(&mut self, most: usize) -> Bytes {
        let mut next = match self.queue.pop_front() {
            Some(next) => next,
            None => self.tail.split().freeze(),
        };
        if next.len() > most {
            self.queue.push_front(next.split_off(most));
        }
        self.held -= next.len();
        next
    }

    /// The writer, if it is worth waking it: it is not for every few bytes, but always before the reader could run dry.
    fn writer_to_wake(&mut self, window: usize) -> Option<Waker> {
        if self.held == 0 || self.held <= window / 2 { self.writer.take() } else { None }
    }

    fn end(&mut self, ending: Ending) -> Option<Waker> {
        self.ending = ending;
        self.reader.take()
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

fn register(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *slot = Some(cx.waker().clone()),
    }
}

/// The sending end.
pub struct PipeTransmit {
    shared: Arc<Shared>,
}

impl PipeTransmit {
    /// Once nobody reads any more, what was sent is lost, unless all of it had been read.
    fn delivered(&self) -> Result<(), NetworkError> {
        match self.shared.state.lock().deaf {
            Some(Lost(true)) => Err(NetworkError::ConnectionReset),
            Some(Lost(false)) | None => Ok(()),
        }
    }
}

impl Transmit for PipeTransmit {
    fn poll_capacity(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, NetworkError>> {
        let mut state = self.shared.state.lock();
        if state.deaf.is_some() || state.ending != Ending::Open {
            return Poll::Ready(Err(NetworkError::ConnectionReset));
        }
        match state.window(&self.shared.from).saturating_sub(state.held) {
            0 => {
                register(&mut state.writer, cx);
                Poll::Pending
            }
            free => Poll::Ready(Ok(free)),
        }
    }

    fn transmit(&mut self, bytes: Bytes) -> Result<(), NetworkError> {
        let length = bytes.len();
        if length == 0 {
            return Ok(());
        }
        let reader = {
            let mut state = self.shared.state.lock();
            if let Some(lost) = &mut state.deaf {
                *lost = Lost(true);
                return Err(NetworkError::ConnectionReset);
            }
            if state.ending != Ending::Open {
                return Err(NetworkError::ConnectionReset);
            }
            self.shared.from.hold(length);
            state.push(bytes);
            state.reader.take()
        };
        self.shared.from.count_sent(length);
        wake(reader);
        Ok(())
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NetworkError>> {
        Poll::Ready(self.delivered())
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NetworkError>> {
        let reader = {
            let mut state = self.shared.state.lock();
            if state.ending == Ending::Open { state.end(Ending::Shutdown) } else { None }
        };
        wake(reader);
        Poll::Ready(self.delivered())
    }
}

impl Drop for PipeTransmit {
    fn drop(&mut self) {
        let reader = {
            let mut state = self.shared.state.lock();
            if state.ending == Ending::Open { state.end(Ending::Reset) } else { None }
        };
        wake(reader);
    }
}

/// The receiving end.
pub struct PipeReceive {
    shared: Arc<Shared>,
}

impl Receive for PipeReceive {
    fn poll_receive(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<Result<Option<Bytes>, NetworkError>> {
        let (bytes, writer) = {
            let mut state = self.shared.state.lock();
            if state.held == 0 {
                return match state.ending {
                    Ending::Open => {
                        register(&mut state.reader, cx);
                        Poll::Pending
                    }
                    Ending::Shutdown => Poll::Ready(Ok(None)),
                    Ending::Reset => Poll::Ready(Err(NetworkError::ConnectionReset)),
                };
            }
            let bytes = state.pop(most.max(1));
            self.shared.from.release(bytes.len());
            let window = state.window(&self.shared.from);
            (bytes, state.writer_to_wake(window))
        };
        self.shared.to.count_received(bytes.len());
        wake(writer);
        Poll::Ready(Ok(Some(bytes)))
    }

    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.shared.state.lock();
        if state.held == 0 && state.ending == Ending::Open {
            register(&mut state.reader, cx);
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}

impl Drop for PipeReceive {
    fn drop(&mut self) {
        let (queue, tail, writer) = {
            let mut state = self.shared.state.lock();
            state.deaf = Some(Lost(state.held > 0));
            self.shared.from.release(std::mem::take(&mut state.held));
            (std::mem::take(&mut state.queue), std::mem::take(&mut state.tail), state.writer.take())
        };
        drop((queue, tail));
        wake(writer);
    }
}

#[cfg(test)]
mod tests;
