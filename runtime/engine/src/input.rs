use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, ReadBuf};
use wasmtime_wasi::cli::{IsTerminal, StdinStream};
use wasmtime_wasi::p2::{InputStream, Pollable, StreamError, StreamResult};

/// Bytes that wait to be read before a writer waits.
const CAPACITY: usize = 64 * 1024;

/// The standard input of a program: a pipe. Who holds a clone can write; the program reads. The default has ended already.
#[derive(Clone)]
pub struct Input {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    waiting: VecDeque<Bytes>,
    held: usize,
    closed: bool,
    readers: Wakers,
    writers: Wakers,
}

/// The input was closed: nothing can be written any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the input has been closed")]
pub struct InputClosed;

impl Default for Input {
    fn default() -> Self {
        let input = Input::open();
        input.close();
        input
    }
}

impl Input {
    /// An input that goes on until it is closed.
    pub fn open() -> Self {
        Input { shared: Arc::default() }
    }

    /// Writes `bytes`, after waiting until the program has read enough of what came before.
    ///
    /// # Errors
    /// [`InputClosed`] if it was closed meanwhile.
    pub async fn write(&self, bytes: Bytes) -> Result<(), InputClosed> {
        poll_fn(|cx| self.poll_writable(cx)).await?;
        self.push(bytes)
    }

    /// Lets the program read what was written, and then the end.
    pub fn close(&self) {
        let mut shared = self.shared.lock();
        shared.closed = true;
        shared.readers.wake();
        shared.writers.wake();
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<Result<(), InputClosed>> {
        let mut shared = self.shared.lock();
        if !shared.closed && shared.held >= CAPACITY {
            shared.writers.register(cx);
            return Poll::Pending;
        }
        Poll::Ready(if shared.closed { Err(InputClosed) } else { Ok(()) })
    }

    fn push(&self, bytes: Bytes) -> Result<(), InputClosed> {
        let mut shared = self.shared.lock();
        if shared.closed {
            return Err(InputClosed);
        }
        if !bytes.is_empty() {
            shared.held += bytes.len();
            shared.waiting.push_back(bytes);
            shared.readers.wake();
        }
        Ok(())
    }

    /// At most `most` bytes; none at the end.
    fn poll_take(&self, cx: &mut Context<'_>, most: usize) -> Poll<Bytes> {
        let mut shared = self.shared.lock();
        let Some(first) = shared.waiting.front_mut() else {
            if shared.closed {
                return Poll::Ready(Bytes::new());
            }
            shared.readers.register(cx);
            return Poll::Pending;
        };
        let taken = first.split_to(first.len().min(most));
        if first.is_empty() {
            shared.waiting.pop_front();
        }
        shared.held -= taken.len();
        shared.writers.wake();
        Poll::Ready(taken)
    }

    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut shared = self.shared.lock();
        if shared.waiting.is_empty() && !shared.closed {
            shared.readers.register(cx);
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}

/// Whoever waits: a guest may hold several handles of one input, and each may be polled.
#[derive(Default)]
struct Wakers(Vec<Waker>);

impl Wakers {
    fn register(&mut self, cx: &Context<'_>) {
        if !self.0.iter().any(|known| known.will_wake(cx.waker())) {
            self.0.push(cx.waker().clone());
        }
    }

    fn wake(&mut self) {
        self.0.drain(..).for_each(Waker::wake);
    }
}

/// An input as wasmtime-wasi wants it.
#[derive(Clone)]
pub(crate) struct Stdin {
    pub(crate) input: Input,
    pub(crate) terminal: bool,
}

impl StdinStream for Stdin {
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(self.clone())
    }
}

impl IsTerminal for Stdin {
    fn is_terminal(&self) -> bool {
        self.terminal
    }
}

impl InputStream for Stdin {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let mut cx = Context::from_waker(Waker::noop());
        if size == 0 {
            return Ok(Bytes::new());
        }
        match self.input.poll_take(&mut cx, size) {
            Poll::Pending => Ok(Bytes::new()),
            Poll::Ready(bytes) if bytes.is_empty() => Err(StreamError::Closed),
            Poll::Ready(bytes) => Ok(bytes),
        }
    }
}

#[async_trait::async_trait]
impl Pollable for Stdin {
    async fn ready(&mut self) {
        poll_fn(|cx| self.input.poll_readable(cx)).await;
    }
}

impl AsyncRead for Stdin {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        self.input.poll_take(cx, buffer.remaining()).map(|bytes| {
            buffer.put_slice(&bytes);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::io::AsyncReadExt;

    use super::*;

    fn stdin(input: &Input) -> Stdin {
        Stdin { input: input.clone(), terminal: false }
    }

    fn take(stdin: &mut Stdin, most: usize) -> StreamResult<Bytes> {
        InputStream::read(stdin, most)
    }

    #[tokio::test]
    async fn what_is_written_is_read_by_either_version_and_then_the_end() {
        let input = Input::open();
        let (mut p2, mut p3) = (stdin(&input), stdin(&input));
        assert!(take(&mut p2, 10).unwrap().is_empty(), "nothing is there yet");
        input.write(Bytes::from_static(b"hello")).await.unwrap();
        assert_eq!(&take(&mut p2, 2).unwrap()[..], b"he");
        let mut rest = [0; 3];
        p3.read_exact(&mut rest).await.unwrap();
        assert_eq!(&rest, b"llo");
        input.close();
        assert!(matches!(take(&mut p2, 1), Err(StreamError::Closed)));
        assert_eq!(AsyncReadExt::read(&mut p3, &mut rest).await.unwrap(), 0);
        assert_eq!(input.write(Bytes::from_static(b"late")).await, Err(InputClosed));
    }

    #[tokio::test]
    async fn a_writer_waits_for_the_reader_and_every_waiting_handle_wakes() {
        let input = Input::open();
        let (mut one, mut two) = (stdin(&input), stdin(&input));
        let mut both = tokio::spawn(async move { tokio::join!(one.ready(), two.ready()) });
        assert!((&mut both).now_or_never().is_none());
        input.write(Bytes::from(vec![0; CAPACITY])).await.unwrap();
        both.await.unwrap();
        let mut second = Box::pin(input.write(Bytes::from_static(b"more")));
        assert!(second.as_mut().now_or_never().is_none(), "the pipe is full");
        assert_eq!(take(&mut stdin(&input), 1).unwrap().len(), 1);
        second.await.unwrap();
    }

    #[tokio::test]
    async fn closing_wakes_a_writer_that_waits() {
        let input = Input::open();
        input.write(Bytes::from(vec![0; CAPACITY])).await.unwrap();
        let writer = input.clone();
        let waiting = tokio::spawn(async move { writer.write(Bytes::from_static(b"more")).await });
        tokio::task::yield_now().await;
        input.close();
        assert_eq!(waiting.await.unwrap(), Err(InputClosed));
    }
}
