//! TCP addresses and listeners.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use carob_net::{NetworkError, Receive, TcpConnection, TcpControl, TcpListener, TcpOptions, TcpPort, Transmit};
use futures::FutureExt;
use futures::future::BoxFuture;

use super::backlog::Backlog;
use super::pod::{Lease, Listener};
use super::sockets::Socket;

/// An address that is taken, and not yet used.
pub(crate) struct Port {
    pub(crate) lease: Arc<Lease>,
    pub(crate) socket: Socket,
}

impl TcpPort for Port {
    fn local_address(&self) -> SocketAddr {
        self.lease.key.address
    }

    fn listen(self: Box<Self>, backlog: usize) -> Result<Box<dyn TcpListener>, NetworkError> {
        let Port { lease, socket } = *self;
        let backlog = Arc::new(Backlog::new(lease.clone(), backlog));
        lease.pod.tcp.lock().open(lease.key, Listener::Socket(backlog.clone()))?;
        Ok(Box::new(Listening { backlog, lease, _socket: socket }))
    }

    fn connect(
        self: Box<Self>,
        remote: SocketAddr,
        options: TcpOptions,
    ) -> BoxFuture<'static, Result<TcpConnection, NetworkError>> {
        async move { super::connect::connect(*self, remote, options).await }.boxed()
    }
}

/// An address at which connections are accepted.
struct Listening {
    backlog: Arc<Backlog>,
    lease: Arc<Lease>,
    _socket: Socket,
}

impl TcpListener for Listening {
    fn local_address(&self) -> SocketAddr {
        self.lease.key.address
    }

    fn set_backlog(&self, backlog: usize) {
        self.backlog.set_most(backlog);
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Result<TcpConnection, NetworkError>> {
        self.backlog.poll_accept(cx).map(Ok)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.lease.pod.tcp.lock().close(self.lease.key);
        self.backlog.close();
    }
}

/// What a connection keeps from others: its address and its place among the Pod's sockets.
pub(crate) type Held = Arc<(Arc<Lease>, Socket)>;

/// Half of a connection, with what the connection holds for as long as either half is used.
pub(crate) struct Half<T> {
    half: T,
    _held: Option<Held>,
}

/// A connection of which a Pod's end holds `held`, if it is a Pod's.
pub(crate) fn connection(
    (local, remote): (SocketAddr, SocketAddr),
    (transmit, receive): (impl Transmit, impl Receive),
    control: impl TcpControl,
    held: Option<Held>,
) -> TcpConnection {
    TcpConnection {
        local,
        remote,
        receive: Box::new(Half { half: receive, _held: held.clone() }),
        transmit: Box::new(Half { half: transmit, _held: held }),
        control: Box::new(control),
    }
}

impl<T: Receive> Receive for Half<T> {
    fn poll_receive(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<Result<Option<Bytes>, NetworkError>> {
        self.half.poll_receive(cx, most)
    }

    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.half.poll_readable(cx)
    }
}

impl<T: Transmit> Transmit for Half<T> {
    fn poll_capacity(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, NetworkError>> {
        self.half.poll_capacity(cx)
    }

    fn transmit(&mut self, bytes: Bytes) -> Result<(), NetworkError> {
        self.half.transmit(bytes)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetworkError>> {
        self.half.poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetworkError>> {
        self.half.poll_shutdown(cx)
    }
}
