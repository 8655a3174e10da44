//! Connections out of the cluster, by sockets of the host.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use carob_net::{Account, NetworkError, Passed, Receive, TcpControl, TcpOptions, Transmit};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::ReadBuf;
use tokio::net::{TcpSocket, TcpStream};
use tokio_util::task::AbortOnDropHandle;

use super::pod::Pod;
use super::sockets::Socket;

/// Bytes that are read or may be written at once; the rest waits in the kernel.
const PIECE: usize = 64 * 1024;

/// Connects to a place out of the cluster. Dropping the future gives up.
///
/// The socket lives on the runtime of the node, not on that of the guests: whoever polls it is woken from there.
///
/// # Errors
/// [`NetworkError::LimitReached`] if all Pods together have as many sockets of the host as they may; what the host says.
pub(crate) async fn connect(
    pod: &Pod,
    _: Passed,
    to: SocketAddr,
    options: TcpOptions,
) -> Result<((OutsideTransmit, OutsideReceive), OutsideControl), NetworkError> {
    let counted = pod.shared.host_sockets.take()?;
    let connecting = AbortOnDropHandle::new(pod.shared.runtime.spawn(open(to, options)));
    let stream = connecting.await.map_err(|_| NetworkError::ConnectionAborted)??;
    let socket = Arc::new(HostSocket { stream, _counted: counted });
    let control = OutsideControl(Arc::downgrade(&socket));
    let account = pod.account.clone();
    let transmit =
        OutsideTransmit { socket: socket.clone(), unsent: Bytes::new(), is_shut: false, account: account.clone() };
    Ok(((transmit, OutsideReceive { socket, account }), control))
}

async fn open(to: SocketAddr, options: TcpOptions) -> io::Result<TcpStream> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Before it connects: the size of the receive buffer is part of what the two ends agree upon.
    apply(SockRef::from(&socket), &options, to.is_ipv4())?;
    // As a pipe: what is sent is sent.
    socket.set_nodelay(true)?;
    socket.connect(to).await
}

fn apply(socket: SockRef<'_>, options: &TcpOptions, is_ipv4: bool) -> io::Result<()> {
    if let Some(bytes) = options.receive_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    if let Some(bytes) = options.send_buffer {
        socket.set_send_buffer_size(bytes)?;
    }
    match options.keep_alive {
        Some(probes) => {
            let times = TcpKeepalive::new().with_time(probes.idle).with_interval(probes.interval);
            socket.set_tcp_keepalive(&times.with_retries(probes.count))?;
        }
        None => socket.set_keepalive(false)?,
    }
    set_hop_limit(&socket, options.hop_limit, is_ipv4)
}

pub(crate) fn set_hop_limit(socket: &SockRef<'_>, hops: u8, is_ipv4: bool) -> io::Result<()> {
    match is_ipv4 {
        true => socket.set_ttl_v4(hops.into()),
        false => socket.set_unicast_hops_v6(hops.into()),
    }
}

/// A connection's socket, counted among those of all Pods.
struct HostSocket {
    stream: TcpStream,
    _counted: Socket,
}

/// Does not keep the socket open.
pub(crate) struct OutsideControl(Weak<HostSocket>);

impl TcpControl for OutsideControl {
    fn set_options(&self, options: &TcpOptions) -> Result<(), NetworkError> {
        let Some(socket) = self.0.upgrade() else { return Ok(()) };
        let is_ipv4 = socket.stream.peer_addr()?.is_ipv4();
        Ok(apply(SockRef::from(&socket.stream), options, is_ipv4)?)
    }
}

/// What is sent to the outside.
pub(crate) struct OutsideTransmit {
    socket: Arc<HostSocket>,
    /// What the kernel had no room for yet.
    unsent: Bytes,
    is_shut: bool,
    account: Arc<Account>,
}

impl OutsideTransmit {
    fn send(&mut self) -> Result<(), NetworkError> {
        while !self.unsent.is_empty() {
            match self.socket.stream.try_write(&self.unsent) {
                Ok(length) => self.unsent.advance(length),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

impl Transmit for OutsideTransmit {
    fn poll_capacity(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, NetworkError>> {
        ready!(self.poll_flush(cx))?;
        ready!(self.socket.stream.poll_write_ready(cx))?;
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
            ready!(self.socket.stream.poll_write_ready(cx))?;
            self.send()?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetworkError>> {
        ready!(self.poll_flush(cx))?;
        if !self.is_shut {
            SockRef::from(&self.socket.stream).shutdown(Shutdown::Write)?;
            self.is_shut = true;
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for OutsideTransmit {
    /// One that was not ended in order is reset: the other end must not take what it got for all.
    fn drop(&mut self) {
        if !self.is_shut {
            let _ = self.socket.stream.set_zero_linger();
        }
    }
}

/// What arrives from the outside.
pub(crate) struct OutsideReceive {
    socket: Arc<HostSocket>,
    account: Arc<Account>,
}

impl Receive for OutsideReceive {
    fn poll_receive(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<Result<Option<Bytes>, NetworkError>> {
        loop {
            ready!(self.socket.stream.poll_read_ready(cx))?;
            let mut into = BytesMut::with_capacity(most.clamp(1, PIECE));
            match self.socket.stream.try_read_buf(&mut into) {
                Ok(0) => return Poll::Ready(Ok(None)),
                Ok(length) => {
                    self.account.count_received(length);
                    return Poll::Ready(Ok(Some(fitted(into))));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // An error is there to be read too.
        let _ = ready!(self.socket.stream.poll_peek(cx, &mut ReadBuf::new(&mut [0])));
        Poll::Ready(())
    }
}

/// Little that arrived must not hold on to a large buffer.
pub(crate) fn fitted(bytes: BytesMut) -> Bytes {
    if bytes.len() < bytes.capacity() / 4 { Bytes::copy_from_slice(&bytes) } else { bytes.freeze() }
}

#[cfg(test)]
mod tests;
