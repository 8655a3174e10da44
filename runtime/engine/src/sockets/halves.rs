//! The two halves of a connection, as a guest holds them.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use carob_net::{Receive, Transmit};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::error::Code;
use super::{Fate, glance};

/// How long what a guest has sent may take to go out after it closed the connection.
const LINGER: Duration = Duration::from_secs(60);

/// What arrives. Dropping it tells the other end that nobody reads any more.
pub(super) struct Receiver {
    half: Box<dyn Receive>,
}

impl Receiver {
    pub(super) fn new(half: Box<dyn Receive>) -> Receiver {
        Receiver { half }
    }

    /// Ready when [`Receiver::poll_read`] is. What has arrived stays where it is counted.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.half.poll_readable(cx)
    }

    /// The next bytes, at least one and at most `most`; `None` at the end.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<Result<Option<Bytes>, Code>> {
        self.half.poll_receive(cx, most).map_err(Code::from)
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use carob_net::{Account, NetworkError, PipeReceive, pipe};

    use super::*;
    use crate::sockets::Sockets;

    fn connection(sockets: &Sockets) -> (Sender, PipeReceive) {
        let account = Arc::new(Account::new(usize::MAX));
        let (transmit, receive) = pipe(4096, account.clone(), account);
        (Sender::new(Box::new(transmit), sockets.fate.clone()), receive)
    }

    fn read(receive: &mut PipeReceive) -> Poll<Result<Option<Bytes>, NetworkError>> {
        receive.poll_receive(&mut glance(), 100)
    }

    #[test]
    fn a_guest_that_came_to_its_end_has_ended_its_connections_in_order() {
        let sockets = Sockets::new(Arc::new(carob_net::Unplugged));
        let running = sockets.running();
        let (mut sender, mut receive) = connection(&sockets);
        assert!(sender.poll_capacity(&mut glance()).is_ready());
        sender.send(Bytes::from("all of it")).unwrap();
        running.finished();
        drop(sender);
        assert_eq!(read(&mut receive), Poll::Ready(Ok(Some("all of it".into()))));
        assert_eq!(read(&mut receive), Poll::Ready(Ok(None)));
    }

    #[test]
    fn the_connections_of_a_guest_that_was_cut_short_are_reset() {
        let sockets = Sockets::new(Arc::new(carob_net::Unplugged));
        let running = sockets.running();
        let (closed_before, mut ended) = connection(&sockets);
        let (mut sender, mut receive) = connection(&sockets);
        assert!(sender.poll_capacity(&mut glance()).is_ready());
        sender.send(Bytes::from("a part")).unwrap();
        drop(closed_before);
        drop(running);
        drop(sender);
        assert_eq!(read(&mut ended), Poll::Ready(Ok(None)));
        assert_eq!(read(&mut receive), Poll::Ready(Ok(Some("a part".into()))));
        assert_eq!(read(&mut receive), Poll::Ready(Err(NetworkError::ConnectionReset)));
    }

    #[test]
    fn what_was_looked_at_is_read_in_the_pieces_that_are_asked_for() {
        let account = Arc::new(Account::new(usize::MAX));
        let (mut transmit, receive) = pipe(4096, account.clone(), account);
        let mut receiver = Receiver::new(Box::new(receive));
        assert!(receiver.poll_ready(&mut glance()).is_pending());
        transmit.transmit(Bytes::from("pieces")).unwrap();
        assert!(receiver.poll_ready(&mut glance()).is_ready());
        for piece in ["pie", "ces"] {
            assert_eq!(receiver.poll_read(&mut glance(), 3), Poll::Ready(Ok(Some(piece.into()))));
        }
        assert!(receiver.poll_read(&mut glance(), 3).is_pending());
        drop(transmit);
        assert!(receiver.poll_ready(&mut glance()).is_ready());
        assert_eq!(receiver.poll_read(&mut glance(), 3), Poll::Ready(Err(Code::ConnectionReset)));
    }
}
