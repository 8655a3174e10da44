use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::network::{NetworkError, TcpConnection};

/// A connection for code that reads and writes as tokio does.
pub struct TcpStream {
    connection: TcpConnection,
}

impl From<TcpConnection> for TcpStream {
    fn from(connection: TcpConnection) -> TcpStream {
        TcpStream { connection }
    }
}

impl TcpStream {
    /// This end's address.
    pub fn local_address(&self) -> SocketAddr {
        self.connection.local
    }

    /// The other end's address.
    pub fn remote_address(&self) -> SocketAddr {
        self.connection.remote
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if into.remaining() > 0
            && let Some(bytes) = ready!(self.connection.receive.poll_receive(cx, into.remaining()))?
        {
            into.put_slice(&bytes);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        let room = ready!(self.connection.transmit.poll_capacity(cx))?;
        let length = room.min(from.len());
        self.connection.transmit.transmit(Bytes::copy_from_slice(&from[..length]))?;
        Poll::Ready(Ok(length))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection.transmit.poll_flush(cx).map_err(io::Error::from)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection.transmit.poll_shutdown(cx).map_err(io::Error::from)
    }
}

impl From<NetworkError> for io::Error {
    fn from(error: NetworkError) -> io::Error {
        use io::ErrorKind;
        let kind = match &error {
            NetworkError::AddressInUse => ErrorKind::AddrInUse,
            NetworkError::AddressNotBindable => ErrorKind::AddrNotAvailable,
            NetworkError::AccessDenied(_) => ErrorKind::PermissionDenied,
            NetworkError::ConnectionRefused => ErrorKind::ConnectionRefused,
            NetworkError::ConnectionReset => ErrorKind::ConnectionReset,
            NetworkError::ConnectionAborted => ErrorKind::ConnectionAborted,
            NetworkError::RemoteUnreachable => ErrorKind::HostUnreachable,
            NetworkError::TimedOut => ErrorKind::TimedOut,
            NetworkError::LimitReached => ErrorKind::QuotaExceeded,
            NetworkError::DatagramTooLarge => ErrorKind::InvalidInput,
            NetworkError::NameUnresolvable => ErrorKind::NotFound,
            NetworkError::ResolverFailure | NetworkError::Other(_) => ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

impl From<io::Error> for NetworkError {
    fn from(error: io::Error) -> NetworkError {
        use io::ErrorKind;
        match error.kind() {
            ErrorKind::AddrInUse => NetworkError::AddressInUse,
            ErrorKind::AddrNotAvailable => NetworkError::AddressNotBindable,
            ErrorKind::PermissionDenied => NetworkError::AccessDenied("the node's system forbids it".to_owned()),
            ErrorKind::ConnectionRefused => NetworkError::ConnectionRefused,
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => NetworkError::ConnectionReset,
            ErrorKind::ConnectionAborted => NetworkError::ConnectionAborted,
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => NetworkError::RemoteUnreachable,
            ErrorKind::TimedOut => NetworkError::TimedOut,
            _ => NetworkError::Other(error.to_string()),
        }
    }
}
