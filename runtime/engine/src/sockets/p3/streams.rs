//! The halves of a connection, and the connections of a listener, as streams of the component model.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::sync::oneshot;
use wasmtime::component::{Destination, Resource, Source, StreamConsumer, StreamProducer, StreamResult};
use wasmtime::{AsContextMut, StoreContextMut};

use super::types::ErrorCode;
use crate::sockets::SocketsView;
use crate::sockets::accept::Accepting;
use crate::sockets::error::Code;
use crate::sockets::halves::{Receiver, Sender};
use crate::sockets::tcp::TcpSocket;

/// The most that is moved at once.
const MOST: usize = 64 * 1024;

/// Tells the guest how the whole of a direction ended.
pub(super) type Ending = oneshot::Sender<Result<(), ErrorCode>>;

/// What a poll of a stream comes to when there is nothing yet: a guest that has cancelled is not kept waiting.
fn nothing_yet(finish: bool) -> Poll<wasmtime::Result<StreamResult>> {
    if finish { Poll::Ready(Ok(StreamResult::Cancelled)) } else { Poll::Pending }
}

fn is_ready(ready: Poll<()>, finish: bool) -> Poll<wasmtime::Result<StreamResult>> {
    match ready {
        Poll::Ready(()) => Poll::Ready(Ok(StreamResult::Completed)),
        Poll::Pending => nothing_yet(finish),
    }
}

/// Connections, as they are accepted.
pub(super) struct Accepted<T: 'static> {
    pub(super) accepting: Accepting,
    pub(super) view: for<'a> fn(&'a mut T) -> SocketsView<'a>,
}

impl<T: 'static> StreamProducer<T> for Accepted<T> {
    type Item = Resource<TcpSocket>;
    type Buffer = Option<Resource<TcpSocket>>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, T>,
        mut destination: Destination<'a, Self::Item, Self::Buffer>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        if destination.remaining(&mut store) == Some(0) {
            return is_ready(self.accepting.poll_ready(cx), finish);
        }
        let Poll::Ready(socket) = self.accepting.poll_accept(cx) else { return nothing_yet(finish) };
        let socket = (self.view)(store.data_mut()).table.push(socket)?;
        destination.set_buffer(Some(socket));
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

/// What arrives, until the end or a failure.
pub(super) struct Received {
    open: Option<(Receiver, Ending)>,
}

impl Received {
    pub(super) fn new(receiver: Receiver, ending: Ending) -> Received {
        Received { open: Some((receiver, ending)) }
    }

    fn close(&mut self, how: Result<(), Code>) {
        if let Some((_, ending)) = self.open.take() {
            // The guest may not care.
            let _ = ending.send(how.map_err(Into::into));
        }
    }
}

/// A guest that reads no further has ended this direction in order.
impl Drop for Received {
    fn drop(&mut self) {
        self.close(Ok(()));
    }
}

impl<T: 'static> StreamProducer<T> for Received {
    type Item = u8;
    type Buffer = Bytes;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, T>,
        mut destination: Destination<'a, u8, Bytes>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let Some((receiver, _)) = &mut self.open else { return Poll::Ready(Ok(StreamResult::Dropped)) };
        let wanted = destination.remaining(store.as_context_mut()).unwrap_or(MOST);
        if wanted == 0 {
            return is_ready(receiver.poll_ready(cx), finish);
        }
        let Poll::Ready(received) = receiver.poll_read(cx, wanted.min(MOST)) else { return nothing_yet(finish) };
        match received {
            Ok(Some(bytes)) => {
                destination.set_buffer(bytes);
                return Poll::Ready(Ok(StreamResult::Completed));
            }
            Ok(None) => self.close(Ok(())),
            Err(code) => self.close(Err(code)),
        }
        Poll::Ready(Ok(StreamResult::Dropped))
    }
}

/// What is sent, until the guest ends it or it fails.
pub(super) struct Sent {
    open: Option<(Sender, Ending)>,
    /// Bytes of the guest's current write that were sent and not handed over yet.
    sending: usize,
}

impl Sent {
    pub(super) fn new(sender: Sender, ending: Ending) -> Sent {
        Sent { open: Some((sender, ending)), sending: 0 }
    }

    fn close(&mut self, how: Result<(), Code>) {
        if let Some((_, ending)) = self.open.take() {
            // The guest may not care.
            let _ = ending.send(how.map_err(Into::into));
        }
    }

    /// Sends some of `bytes` and hands it over; answers how many.
    fn poll_send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Code>> {
        let Some((sender, _)) = &mut self.open else { return Poll::Ready(Err(Code::InvalidState)) };
        if self.sending == 0 {
            let capacity = ready!(sender.poll_capacity(cx))?;
            let some = bytes.len().min(capacity).min(MOST);
            sender.send(Bytes::copy_from_slice(&bytes[..some]))?;
            self.sending = some;
        }
        ready!(sender.poll_flush(cx))?;
        Poll::Ready(Ok(std::mem::take(&mut self.sending)))
    }
}

/// A guest that has sent everything ends this direction in order.
impl Drop for Sent {
    fn drop(&mut self) {
        self.close(Ok(()));
    }
}

impl<T: 'static> StreamConsumer<T> for Sent {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<T>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let Some((sender, _)) = &mut self.open else { return Poll::Ready(Ok(StreamResult::Dropped)) };
        let mut source = source.as_direct(store);
        if source.remaining().is_empty() {
            return is_ready(sender.poll_capacity(cx).map(drop), finish);
        }
        match self.poll_send(cx, source.remaining()) {
            Poll::Ready(Ok(sent)) => {
                source.mark_read(sent);
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Ready(Err(code)) => {
                self.close(Err(code));
                Poll::Ready(Ok(StreamResult::Dropped))
            }
            // What was sent is not taken back.
            Poll::Pending if finish && self.sending > 0 => {
                source.mark_read(std::mem::take(&mut self.sending));
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Pending => nothing_yet(finish),
        }
    }
}
