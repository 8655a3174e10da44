//! The socket of the mesh as QUIC sees it: how many packets go to the kernel, and come from it, at once.
//!
//! Linux splits one large send into packets, and gathers packets into one large receive; neither may be larger than a UDP
//! datagram. QUIC does not count the bytes: ten packets of a large size are more than that, the kernel refuses them with
//! `EMSGSIZE`, which QUIC takes for a probe of the path that was too large, and they are lost, as often as they are sent.

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, Runtime, TokioRuntime, UdpPoller};

/// What fits into a frame of 9,000 bytes, which many data centres carry, under IPv6. QUIC finds out what the path allows.
pub(crate) const LARGEST_PACKET: u16 = 9000 - 40 - 8;

/// The payload of the largest datagram over IPv4; over IPv6 it is 20 more.
const LARGEST_DATAGRAM: usize = 65_507;
/// As many as surely fit into it.
const SENT_AT_ONCE: usize = LARGEST_DATAGRAM / LARGEST_PACKET as usize;
/// Buffers for so many are as large as it: 2 MiB in all, not the 18 for which QUIC would ask.
const RECEIVED_AT_ONCE: usize = LARGEST_DATAGRAM.div_ceil(LARGEST_PACKET as usize);

/// A socket of tokio, with batches that the kernel takes.
#[derive(Debug)]
pub(crate) struct Socket(Arc<dyn AsyncUdpSocket>);

impl Socket {
    pub(crate) fn new(socket: UdpSocket) -> io::Result<Arc<Socket>> {
        Ok(Arc::new(Socket(TokioRuntime.wrap_udp_socket(socket)?)))
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.0.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.0.try_send(transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        received: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_recv(cx, buffers, received)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.0.max_transmit_segments().min(SENT_AT_ONCE)
    }

    fn max_receive_segments(&self) -> usize {
        self.0.max_receive_segments().min(RECEIVED_AT_ONCE)
    }

    fn may_fragment(&self) -> bool {
        self.0.may_fragment()
    }
}
