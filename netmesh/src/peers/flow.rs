//! The bytes of one TCP flow, between a Pod's pipe and a stream of QUIC.
//!
//! Nothing is taken from the one before the other has room: a reader that stops is felt by the writer, across both nodes.

use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;
use carob_net::{NetworkError, PipeEnd, PipeReceive, PipeTransmit, Receive, Transmit};
use futures::future::poll_fn;
use quinn::{RecvStream, SendStream, VarInt};
use tokio::sync::Notify;

use super::protocol::Cut;

/// The most that is moved at once.
const PIECE: usize = 64 * 1024;
/// A piece below it is copied: it must not hold on to the packets that it came in.
const SMALL: usize = 1024;

/// Both directions of a stream.
pub(crate) type Stream = (Sending, Receiving);

/// The sending half of a stream. One that is dropped without an end in order is reset: QUIC alone would end it, and what was
/// cut off would pass for all.
pub(crate) struct Sending {
    pub(crate) stream: SendStream,
    has_ended: bool,
}

impl Sending {
    pub(crate) fn new(stream: SendStream) -> Sending {
        Sending { stream, has_ended: false }
    }

    pub(crate) fn finish(mut self) {
        self.has_ended = self.stream.finish().is_ok();
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if !self.has_ended {
            // It fails only where the stream has been cut off already.
            let _ = self.stream.reset(code(Cut::Reset));
        }
    }
}

/// The receiving half of a stream. Dropping it tells the sender that nobody reads.
pub(crate) struct Receiving {
    pub(crate) stream: RecvStream,
}

impl Receiving {
    pub(crate) fn new(stream: RecvStream) -> Receiving {
        Receiving { stream }
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        // Without effect once all was read.
        let _ = self.stream.stop(code(Cut::Unread));
    }
}

fn code(cut: Cut) -> VarInt {
    cut.code().into()
}

/// Carries bytes both ways until both directions have ended.
pub(crate) async fn carry(pod: PipeEnd, (sending, receiving): Stream) {
    let cut = Notify::new();
    tokio::join!(outward(pod.receive, sending, &cut), inward(receiving, pod.transmit, &cut));
}

/// From the Pod to the other node. Returning without an end in order cuts off both sides of it.
async fn outward(mut pod: PipeReceive, mut sending: Sending, cut: &Notify) {
    let mut unread = pin!(sending.stream.stopped());
    loop {
        let next = tokio::select! {
            biased;
            next = poll_fn(|cx| pod.poll_receive(cx, PIECE)) => next,
            _ = &mut unread => return,
        };
        match next {
            Ok(Some(bytes)) => {
                if sending.stream.write_chunk(bytes).await.is_err() {
                    return;
                }
            }
            Ok(None) => return sending.finish(),
            Err(_) => return cut.notify_one(),
        }
    }
}

/// From the other node to the Pod. Returning without an end in order cuts off both sides of it.
async fn inward(mut receiving: Receiving, mut pod: PipeTransmit, cut: &Notify) {
    // The Pod's own cut of the other direction is when to see whether it still reads this one.
    while let Ok(room) = poll_fn(|cx| pod.poll_capacity(cx)).await {
        let next = tokio::select! {
            biased;
            next = receiving.stream.read_chunk(room.min(PIECE), true) => next,
            () = cut.notified() => continue,
        };
        match next {
            Ok(Some(chunk)) => {
                if pod.transmit(fitted(chunk.bytes)).is_err() {
                    return;
                }
            }
            Ok(None) => return end(pod),
            Err(_) => return,
        }
    }
}

/// Little that arrived must not hold on to a large buffer.
fn fitted(bytes: Bytes) -> Bytes {
    if bytes.len() < SMALL { Bytes::copy_from_slice(&bytes) } else { bytes }
}

/// A pipe's end is told at once; that nobody reads what came before it is no concern here.
fn end(mut pod: PipeTransmit) {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let _: Poll<Result<(), NetworkError>> = pod.poll_shutdown(&mut context);
}
