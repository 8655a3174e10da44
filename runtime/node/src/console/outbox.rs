//! Output on its way to a client.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::terminal::to_screen;
use crate::runtime::{Output, Stream};

/// Bytes that wait for the client before whoever prints waits too.
const CAPACITY: usize = 256 * 1024;

/// What was printed and is not yet sent: bounded, so that who prints waits for who reads.
pub(crate) struct Outbox {
    inner: Mutex<Inner>,
    changed: Notify,
    /// Lines begin as a screen needs it, and all is one stream.
    terminal: bool,
}

#[derive(Default)]
struct Inner {
    waiting: VecDeque<(Stream, Bytes)>,
    held: usize,
    closed: bool,
    writers: Vec<Waker>,
}

impl Outbox {
    pub(crate) fn new(terminal: bool) -> Arc<Outbox> {
        Arc::new(Outbox { inner: Mutex::default(), changed: Notify::new(), terminal })
    }

    /// What was printed next; nothing once it was closed and all was taken.
    pub(crate) async fn next(&self) -> Option<(Stream, Bytes)> {
        loop {
            let changed = self.changed.notified();
            match self.take() {
                (None, false) => changed.await,
                (next, _) => return next,
            }
        }
    }

    /// Nothing more is printed.
    pub(crate) fn close(&self) {
        let mut inner = self.inner.lock();
        inner.closed = true;
        inner.writers.drain(..).for_each(Waker::wake);
        self.changed.notify_one();
    }

    /// Shows what the terminal itself says, as it is.
    pub(crate) fn show(&self, screen: Vec<u8>) {
        self.push(Stream::Stdout, screen.into());
    }

    fn take(&self) -> (Option<(Stream, Bytes)>, bool) {
        let mut inner = self.inner.lock();
        let next = inner.waiting.pop_front();
        inner.held -= next.as_ref().map_or(0, |(_, bytes)| bytes.len());
        if inner.held < CAPACITY {
            inner.writers.drain(..).for_each(Waker::wake);
        }
        (next, inner.closed)
    }

    fn push(&self, stream: Stream, bytes: Bytes) {
        let mut inner = self.inner.lock();
        if inner.closed || bytes.is_empty() {
            return;
        }
        inner.held += bytes.len();
        inner.waiting.push_back((stream, bytes));
        self.changed.notify_one();
    }
}

impl Output for Outbox {
    fn write(&self, stream: Stream, bytes: &[u8]) {
        if self.terminal {
            self.push(Stream::Stdout, to_screen(bytes).into());
        } else {
            self.push(stream, Bytes::copy_from_slice(bytes));
        }
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.inner.lock();
        if inner.closed || inner.held < CAPACITY {
            return Poll::Ready(());
        }
        if !inner.writers.iter().any(|known| known.will_wake(cx.waker())) {
            inner.writers.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn what_is_printed_comes_in_order_and_then_the_end() {
        let outbox = Outbox::new(false);
        outbox.write(Stream::Stdout, b"one");
        outbox.write(Stream::Stderr, b"two");
        outbox.close();
        outbox.write(Stream::Stdout, b"late");
        assert_eq!(outbox.next().await, Some((Stream::Stdout, Bytes::from_static(b"one"))));
        assert_eq!(outbox.next().await, Some((Stream::Stderr, Bytes::from_static(b"two"))));
        assert_eq!(outbox.next().await, None);
    }

    #[tokio::test]
    async fn who_prints_waits_until_the_client_reads_or_has_gone() {
        for gone in [false, true] {
            let outbox = Outbox::new(false);
            outbox.write(Stream::Stdout, &vec![0; CAPACITY]);
            let waiting = outbox.clone();
            let printing = tokio::spawn(async move { poll_fn(|cx| waiting.poll_ready(cx)).await });
            tokio::task::yield_now().await;
            assert!(poll_fn(|cx| outbox.poll_ready(cx)).now_or_never().is_none());
            if gone {
                outbox.close();
            } else {
                outbox.next().await;
            }
            printing.await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_terminal_has_one_stream() {
        let outbox = Outbox::new(true);
        outbox.write(Stream::Stderr, b"a\n");
        outbox.show(b"b\r\n".to_vec());
        assert_eq!(outbox.next().await, Some((Stream::Stdout, Bytes::from_static(b"a\r\n"))));
        assert_eq!(outbox.next().await, Some((Stream::Stdout, Bytes::from_static(b"b\r\n"))));
    }
}
