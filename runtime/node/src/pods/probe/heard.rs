//! How the other end of a connection began to speak.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What an answer by HTTP begins with.
const HTTP: &[u8] = b"HTTP/";

/// A connection that remembers the first bytes that it gave.
pub(super) struct Heard<Io> {
    io: Io,
    first: Vec<u8>,
}

impl<Io> Heard<Io> {
    pub(super) fn new(io: Io) -> Heard<Io> {
        Heard { io, first: Vec::new() }
    }

    pub(super) fn is_http(&self) -> bool {
        self.first == HTTP
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Heard<Io> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = to.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, to))?;
        let missing = HTTP.len() - self.first.len();
        self.first.extend(to.filled()[before..].iter().take(missing));
        Poll::Ready(Ok(()))
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Heard<Io> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
