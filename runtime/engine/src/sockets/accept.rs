use std::sync::Arc;
use std::task::{Context, Poll, ready};

use carob_net::{TcpConnection, TcpListener};
use parking_lot::Mutex;

use super::Sockets;
use super::address::Family;
use super::error::Code;
use super::options::TcpOptions;
use super::tcp::TcpSocket;

/// Takes the connections of a listening socket, one after the other.
pub(super) struct Accepting {
    listener: Arc<dyn TcpListener>,
    sockets: Sockets,
    family: Family,
    options: Arc<Mutex<TcpOptions>>,
    /// What was taken for a guest that only asked whether there is one.
    next: Option<Result<TcpConnection, Code>>,
}

impl Accepting {
    pub(super) fn new(
        listener: Arc<dyn TcpListener>,
        sockets: Sockets,
        family: Family,
        options: Arc<Mutex<TcpOptions>>,
    ) -> Accepting {
        Accepting { listener, sockets, family, options, next: None }
    }

    /// Ready when [`Accepting::poll_accept`] is.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.next.is_none() {
            self.next = Some(ready!(self.listener.poll_accept(cx)).map_err(Into::into));
        }
        Poll::Ready(())
    }

    /// The next connection; one that went wrong is a closed socket that says why.
    pub(super) fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<TcpSocket> {
        let connection = match self.next.take() {
            Some(next) => next,
            None => ready!(self.listener.poll_accept(cx)).map_err(Into::into),
        };
        let options = *self.options.lock();
        Poll::Ready(TcpSocket::accepted(self.sockets.clone(), self.family, options, connection))
    }
}
