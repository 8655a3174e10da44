//! A connection that tells its clock what moves on it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep_until};

use super::clock::{Clock, Expired};

pub(crate) struct Timed<S> {
    stream: S,
    clock: Arc<Clock>,
}

impl<S> Timed<S> {
    pub(crate) fn new(stream: S, clock: Arc<Clock>) -> Timed<S> {
        Timed { stream, clock }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, into))?;
        if into.filled().len() > before {
            self.clock.read(Instant::now());
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, from))?;
        self.clock.written(Instant::now());
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, from))?;
        self.clock.written(Instant::now());
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Ends when the connection has had enough time. It is polled by the task that moves the bytes, after it has: a deadline that
/// has come nearer is seen then.
pub(crate) struct Expiry {
    clock: Arc<Clock>,
    sleep: Pin<Box<Sleep>>,
}

impl Expiry {
    pub(crate) fn new(clock: Arc<Clock>) -> Expiry {
        let sleep = Box::pin(sleep_until(clock.deadline().0.into()));
        Expiry { clock, sleep }
    }
}

impl Future for Expiry {
    type Output = Expired;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Expired> {
        loop {
            let (deadline, why) = self.clock.deadline();
            let slept = self.sleep.is_elapsed();
            // One that has moved away is seen when the earlier one is over: timers are set rarely.
            if slept || self.sleep.deadline().into_std() > deadline {
                self.sleep.as_mut().reset(deadline.into());
            }
            ready!(self.sleep.as_mut().poll(cx));
            if Instant::now() >= self.clock.deadline().0 {
                return Poll::Ready(why);
            }
        }
    }
}
