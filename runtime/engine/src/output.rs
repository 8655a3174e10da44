use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::bounds::CHUNK;

/// Which of its two streams a container wrote to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// `wasi:cli/stdout`
    Stdout,
    /// `wasi:cli/stderr`
    Stderr,
}

/// Takes what a container prints, as the guest wrote it: not split into lines.
///
/// Called on the threads that guests run on, from several of them at once; the time it takes counts as the guest's.
pub trait Output: Send + Sync + 'static {
    /// Takes some bytes. It has no way to fail: who cannot keep them drops them.
    fn write(&self, stream: Stream, bytes: &[u8]);

    /// Whether it takes more now. A guest that prints waits until it does; several guests may wait at once.
    fn poll_ready(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

/// One stream of a container, as wasmtime-wasi wants it.
#[derive(Clone)]
pub(crate) struct Pipe {
    pub(crate) output: Arc<dyn Output>,
    pub(crate) stream: Stream,
    pub(crate) terminal: bool,
}

impl StdoutStream for Pipe {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl IsTerminal for Pipe {
    fn is_terminal(&self) -> bool {
        self.terminal
    }
}

impl OutputStream for Pipe {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.output.write(self.stream, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        let ready = self.output.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready();
        Ok(if ready { CHUNK } else { 0 })
    }
}

#[async_trait::async_trait]
impl Pollable for Pipe {
    async fn ready(&mut self) {
        poll_fn(|cx| self.output.poll_ready(cx)).await;
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.output.poll_ready(cx));
        let taken = &bytes[..bytes.len().min(CHUNK)];
        self.output.write(self.stream, taken);
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
