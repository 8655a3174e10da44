//! Bodies on their way through the gateway.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use carob_net::{Body, BoxError};
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::sync::Notify;

/// A body is larger than it may be.
#[derive(Debug, thiserror::Error)]
#[error("the body is larger than {0} bytes")]
struct TooLarge(u64);

/// How far a request's body has come.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// 0 while it is coming.
    state: AtomicU8,
    changed: Notify,
}

const WHOLE: u8 = 1;
const TOO_LARGE: u8 = 2;

impl Received {
    pub(crate) fn is_whole(&self) -> bool {
        self.state.load(Ordering::Acquire) == WHOLE
    }

    pub(crate) fn is_too_large(&self) -> bool {
        self.state.load(Ordering::Acquire) == TOO_LARGE
    }

    /// Ends when the body has turned out to be larger than it may be; otherwise never.
    pub(crate) async fn too_large(&self) {
        loop {
            let changed = self.changed.notified();
            if self.is_too_large() {
                return;
            }
            changed.await;
        }
    }

    fn become_state(&self, state: u8) {
        self.state.store(state, Ordering::Release);
        self.changed.notify_waiters();
    }
}

/// The body of a client's request, as long as it is no larger than `most` bytes; and how far it has come.
pub(crate) fn limited(body: Incoming, most: u64) -> (Body, Arc<Received>) {
    let received = Arc::new(Received::default());
    if body.is_end_stream() {
        received.become_state(WHOLE);
        return (body.map_err(BoxError::from).boxed_unsync(), received);
    }
    (Limited { body, most, left: most, received: received.clone() }.boxed_unsync(), received)
}

struct Limited {
    body: Incoming,
    most: u64,
    left: u64,
    received: Arc<Received>,
}

impl HttpBody for Limited {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx)).transpose().map_err(BoxError::from)?;
        let length = frame.as_ref().and_then(Frame::data_ref).map_or(0, |data| data.len() as u64);
        match self.left.checked_sub(length) {
            Some(left) => self.left = left,
            None => {
                self.received.become_state(TOO_LARGE);
                return Poll::Ready(Some(Err(TooLarge(self.most).into())));
            }
        }
        if frame.is_none() || self.body.is_end_stream() {
            self.received.become_state(WHOLE);
        }
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer that tells how many bytes it had when it ends, or is given up.
pub(crate) fn told(body: Body, end: impl FnOnce(u64) + Send + 'static) -> Body {
    Told { body, bytes: 0, end: Some(Box::new(end)) }.boxed_unsync()
}

struct Told {
    body: Body,
    bytes: u64,
    end: Option<Box<dyn FnOnce(u64) + Send>>,
}

impl HttpBody for Told {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame {
            self.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            end(self.bytes);
        }
    }
}
