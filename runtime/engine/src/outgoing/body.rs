use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::time::{Instant, Sleep, sleep};
use wasmtime_wasi_http::{Error, WasiBody};

/// The same body, which fails when the next part of it takes longer than `patience`.
pub(super) fn timed(body: WasiBody, patience: Duration) -> WasiBody {
    Timed { body, patience, patient: Box::pin(sleep(patience)), waiting: false }.boxed_unsync()
}

struct Timed {
    body: WasiBody,
    patience: Duration,
    patient: Pin<Box<Sleep>>,
    /// Only who asks waits: the time that a guest takes between two parts does not count.
    waiting: bool,
}

impl Timed {
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !std::mem::replace(&mut self.waiting, true) {
            self.patient.as_mut().reset(Instant::now() + self.patience);
        }
        self.patient.as_mut().poll(cx)
    }
}

impl Body for Timed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.waiting = false;
            return Poll::Ready(frame);
        }
        ready!(self.poll_patience(cx));
        Poll::Ready(Some(Err(Error::ConnectionReadTimeout)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
