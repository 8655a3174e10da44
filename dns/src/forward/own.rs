//! The sockets of a workload, for the servers that it names itself: what hickory asks goes the way of the workload's flows.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use carob_net::{TcpOptions, TcpStream, UdpSocket, WorkloadSockets};
use hickory_resolver::net::runtime::iocompat::AsyncIoTokioAsStd;
use hickory_resolver::net::runtime::{DnsUdpSocket, RuntimeProvider, TokioHandle, TokioTime};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;

/// For a connection, where hickory says nothing of it.
const CONNECT_PATIENCE: Duration = Duration::from_secs(2);

/// See the module. What hickory does in the background ends with the last clone.
#[derive(Clone)]
pub(crate) struct OwnSockets {
    sockets: Arc<dyn WorkloadSockets>,
    tasks: TokioHandle,
}

impl OwnSockets {
    pub(crate) fn new(sockets: Arc<dyn WorkloadSockets>) -> OwnSockets {
        OwnSockets { sockets, tasks: TokioHandle::default() }
    }
}

type Opening<T> = Pin<Box<dyn Send + Future<Output = io::Result<T>>>>;

impl RuntimeProvider for OwnSockets {
    type Handle = TokioHandle;
    type Timer = TokioTime;
    type Udp = Udp;
    type Tcp = AsyncIoTokioAsStd<Tcp>;

    fn create_handle(&self) -> TokioHandle {
        self.tasks.clone()
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        local: Option<SocketAddr>,
        patience: Option<Duration>,
    ) -> Opening<AsyncIoTokioAsStd<Tcp>> {
        let port = self.sockets.bind_tcp(local.unwrap_or_else(|| any(server)));
        Box::pin(async move {
            let connecting = port.map_err(io::Error::other)?.connect(server, TcpOptions::default());
            let connected = timeout(patience.unwrap_or(CONNECT_PATIENCE), connecting).await?;
            let stream = TcpStream::from(connected.map_err(io::Error::other)?);
            Ok(AsyncIoTokioAsStd(Tcp(Mutex::new(stream))))
        })
    }

    fn bind_udp(&self, local: SocketAddr, _server: SocketAddr) -> Opening<Udp> {
        let socket = self.sockets.bind_udp(local).map(Udp).map_err(io::Error::other);
        Box::pin(std::future::ready(socket))
    }
}

fn any(server: SocketAddr) -> SocketAddr {
    match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

pub(crate) struct Udp(Box<dyn UdpSocket>);

impl DnsUdpSocket for Udp {
    type Time = TokioTime;

    fn poll_recv_from(&self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<(usize, SocketAddr)>> {
        let datagram = ready!(self.0.poll_receive(cx)).map_err(io::Error::other)?;
        // What does not fit is cut, as by any socket.
        let length = datagram.bytes.len().min(into.len());
        into[..length].copy_from_slice(&datagram.bytes[..length]);
        Poll::Ready(Ok((length, datagram.from)))
    }

    fn poll_send_to(&self, cx: &mut Context<'_>, packet: &[u8], to: SocketAddr) -> Poll<io::Result<usize>> {
        let sent = ready!(self.0.poll_send(cx, &Bytes::copy_from_slice(packet), to));
        Poll::Ready(sent.map(|()| packet.len()).map_err(io::Error::other))
    }
}

/// hickory wants connections that threads may share, and shares none: the lock is never waited for.
pub(crate) struct Tcp(Mutex<TcpStream>);

impl Tcp {
    fn stream(self: Pin<&mut Self>) -> Pin<&mut TcpStream> {
        Pin::new(self.get_mut().0.get_mut())
    }
}

impl AsyncRead for Tcp {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_read(cx, into)
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        self.stream().poll_write(cx, from)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(cx)
    }
}
