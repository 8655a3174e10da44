//! Connections out of the cluster, by sockets of the host.

use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use carob_net::{Account, NetworkError, Passed, Receive, Transmit};
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

/// Bytes that are read or may be written at once; the rest waits in the kernel.
const PIECE: usize = 64 * 1024;

/// Connects to a place out of the cluster. Dropping the future gives up.
///
/// The socket lives on the runtime of the node, not on that of the guests: whoever polls it is woken from there.
pub(crate) async fn connect(
    runtime: &Handle,
    _: Passed,
    to: SocketAddr,
    account: Arc<Account>,
) -> Result<(OutsideTransmit, OutsideReceive), NetworkError> {
    let connecting = AbortOnDropHandle::new(runtime.spawn(TcpStream::connect(to)));
    let stream = connecting.await.map_err(|_| NetworkError::ConnectionAborted)??;
    // As a pipe: what is sent is sent.
    let _ = stream.set_nodelay(true);
    let stream = Arc::new(stream);
    let transmit =
        OutsideTransmit { stream: stream.clone(), unsent: Bytes::new(), is_shut: false, account: account.clone() };
    Ok((transmit, OutsideReceive { stream, account }))
}

/// What is sent to the outside.
pub(crate) struct OutsideTransmit {
    stream: Arc<TcpStream>,
    /// What the kernel had no room for yet.
    unsent: Bytes,
    is_shut: bool,
    account: Arc<Account>,
}

impl OutsideTransmit {
    fn send(&mut self) -> Result<(), NetworkError> {
        while !self.unsent.is_empty() {
            match self.stream.try_write(&self.unsent) {
                Ok(length) => self.unsent.advance(length),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

impl Transmit for OutsideTransmit {
    fn poll_capacity(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, NetworkError>> {
        ready!(self.poll_flush(cx))?;
        ready!(self.stream.poll_write_ready(cx))?;
        Poll::Ready(Ok(PIECE))
    }

    fn transmit(&mut self, bytes: Bytes) -> Result<(), NetworkError> {
        if self.is_shut {
            return Err(NetworkError::ConnectionReset);
        }
        self.account.count_sent(bytes.len());
        self.unsent = match self.unsent.is_empty() {
            true => bytes,
            false => [&self.unsent[..], &bytes[..]].concat().into(),
        };
        self.send()
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetworkError>> {
        while !self.unsent.is_empty() {
            ready!(self.stream.poll_write_ready(cx))?;
            self.send()?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetworkError>> {
        ready!(self.poll_flush(cx))?;
        if !self.is_shut {
            SockRef::from(&*self.stream).shutdown(Shutdown::Write)?;
            self.is_shut = true;
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for OutsideTransmit {
    /// One that was not ended in order is reset: the other end must not take what it got for all.
    fn drop(&mut self) {
        if !self.is_shut {
            let _ = self.stream.set_zero_linger();
        }
    }
}

/// What arrives from the outside.
pub(crate) struct OutsideReceive {
    stream: Arc<TcpStream>,
    account: Arc<Account>,
}

impl Receive for OutsideReceive {
    fn poll_receive(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<Result<Option<Bytes>, NetworkError>> {
        loop {
            ready!(self.stream.poll_read_ready(cx))?;
            let mut into = BytesMut::with_capacity(most.clamp(1, PIECE));
            match self.stream.try_read_buf(&mut into) {
                Ok(0) => return Poll::Ready(Ok(None)),
                Ok(length) => {
                    self.account.count_received(length);
                    return Poll::Ready(Ok(Some(fitted(into))));
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }
}

/// Little that arrived must not hold on to a large buffer.
pub(crate) fn fitted(bytes: BytesMut) -> Bytes {
    if bytes.len() < bytes.capacity() / 4 { Bytes::copy_from_slice(&bytes) } else { bytes.freeze() }
}
