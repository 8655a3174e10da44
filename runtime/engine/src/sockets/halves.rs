//! The two halves of a connection, as a guest holds them.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use carob_net::{NetworkError, Receive, Transmit};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::error::Code;
use super::{Fate, glance};

/// How much is taken from the network ahead of a guest that only asked whether there is something to read.
const AHEAD: usize = 64 * 1024;

/// How long what a guest has sent may take to go out after it closed the connection.
const LINGER: Duration = Duration::from_secs(60);

/// What arrives. Dropping it tells the other end that nobody reads any more.
pub(super) struct Receiver {
    half: Box<dyn Receive>,
    /// What was taken from the network and not read yet, or how it ended.
    next: Option<Result<Option<Bytes>, NetworkError>>,
}

impl Receiver {
    pub(super) fn new(half: Box<dyn Receive>) -> Receiver {
        Receiver { half, next: None }
    }

    /// Ready when [`Receiver::poll_read`] is.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.next.is_none() {
            self.next = Some(ready!(self.half.poll_receive(cx, AHEAD)));
        }
        Poll::Ready(())
    }

    /// The next bytes, at least one and at most `most`; `None` at the end.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<Result<Option<Bytes>, Code>> {
        let mut received = match self.next.take() {
            Some(next) => next?,
            None => ready!(self.half.poll_receive(cx, most))?,
        };
        if let Some(bytes) = &mut received
            && bytes.len() > most
        {
            let rest = bytes.split_off(most);
            self.next = Some(Ok(Some(rest)));
        }
        Poll::Ready(Ok(received))
    }
}

/// What is sent. Dropping it ends this direction in order, once all was handed over; it resets the connection if the guest
/// did not come to its end by itself.
pub(super) struct Sender {
    /// `None` only while it is dropped.
    half: Option<Box<dyn Transmit>>,
    fate: Fate,
    /// Bytes that the network has said it takes.
    permit: usize,
    unflushed: bool,
}

impl Sender {
    pub(super) fn new(half: Box<dyn Transmit>, fate: Fate) -> Sender {
        Sender { half: Some(half), fate, permit: 0, unflushed: false }
    }

    /// How many bytes [`Sender::send`] takes now: at least one, once ready.
    pub(super) fn poll_capacity(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Code>> {
        if self.unflushed {
            ready!(self.poll_flush(cx))?;
        }
        let Some(half) = &mut self.half else { return Poll::Ready(Err(Code::InvalidState)) };
        self.permit = ready!(half.poll_capacity(cx))?;
        Poll::Ready(Ok(self.permit))
    }

    /// What of the last capacity is left.
    pub(super) fn permit(&self) -> usize {
        self.permit
    }

    /// Sends `bytes`, no more than [`Sender::permit`].
    pub(super) fn send(&mut self, bytes: Bytes) -> Result<(), Code> {
        let Some(half) = &mut self.half else { return Err(Code::InvalidState) };
        self.permit -= bytes.len();
        self.unflushed = true;
        Ok(half.transmit(bytes)?)
    }

    /// Ready when all that was sent has been handed over.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Code>> {
        if let Some(half) = &mut self.half {
            ready!(half.poll_flush(cx))?;
        }
        self.unflushed = false;
        Poll::Ready(Ok(()))
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        if let Some(mut half) = self.half.take()
            && !self.fate.is_sealed()
            && half.poll_shutdown(&mut glance()).is_pending()
        {
            linger(half);
        }
    }
}

/// Lets what was sent go out, without the guest. Who does not take it in time sees a reset, as when no runtime is left.
fn linger(mut half: Box<dyn Transmit>) {
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(async move { timeout(LINGER, poll_fn(|cx| half.poll_shutdown(cx))).await });
    }
}
