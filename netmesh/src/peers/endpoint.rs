//! The one UDP socket of the mesh, and what QUIC is told.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::{NoInitialCipherSuite, QuicClientConfig, QuicServerConfig};
use quinn::{
    ClientConfig, ConnectError, Connection, ConnectionError, EndpointConfig, IdleTimeout, MtuDiscoveryConfig,
    ServerConfig, TokioRuntime, TransportConfig, VarInt,
};
use ring::hmac;
use rustls::pki_types::CertificateDer;
use socket2::{Domain, Type};
use tokio::sync::watch;
use tokio::time::timeout;

use super::NodeName;
use super::credentials::Credentials;
use super::identity::{self, IdentityError};
use super::protocol::Close;
use super::socket::{LARGEST_PACKET, Socket};
use super::tls;

/// Nodes are near each other; it is what the handshake's first retransmission waits for, three times.
const FIRST_RTT: Duration = Duration::from_millis(50);
/// What the kernel may hold for the socket, in bytes, where it allows so much.
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;
/// Datagrams of UDP that wait to be sent to one node, in bytes; past it the oldest are lost.
const DATAGRAM_BUFFER: usize = 1024 * 1024;

/// How this node takes part in the mesh.
#[derive(Debug, Clone)]
pub struct PeersConfig {
    /// Where it listens, by UDP. Port 0 asks for any free one.
    pub listen: SocketAddr,
    /// What it allows each other node.
    pub limits: Limits,
}

/// What one other node may have of this one.
///
/// A flow whose Pod does not read holds [`Limits::flow_window`] here, and its sender then waits. All flows together hold
/// [`Limits::connection_window`] at most. It has to be larger than what one Pod's connections can hold, or else one that
/// reads none of them would stop the flows of all others.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// TCP flows that the other node may have open to this one at once; more of them wait. As many go the other way.
    pub flows: u32,
    /// Datagrams of UDP that are too large for the path, on their way at once.
    pub large_datagrams: u32,
    /// Bytes of one flow that have arrived and wait for its Pod. One flow carries so much in each round trip.
    pub flow_window: u32,
    /// Bytes of all flows that have arrived and wait.
    pub connection_window: u64,
    /// Bytes to the other node that it has not acknowledged.
    pub send_window: u64,
    /// A node that was not heard of for so long is dead, and every flow with it is reset. It is asked four times in that time.
    pub dead_after: Duration,
    /// How long a handshake may take.
    pub dial_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        let flow_window = 256 * 1024;
        Limits {
            flows: 16_384,
            large_datagrams: 256,
            flow_window,
            // Twice what all the sockets that a Pod may have can hold: 2 GiB.
            connection_window: 2 * 4096 * u64::from(flow_window),
            send_window: 16 * 1024 * 1024,
            dead_after: Duration::from_secs(3),
            dial_timeout: Duration::from_secs(3),
        }
    }
}

/// Why the mesh does not run on this node.
#[derive(Debug, thiserror::Error)]
pub enum PeersError {
    /// The socket could not be had.
    #[error("cannot listen for other nodes at {address} by UDP; free the port, or choose another")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A limit is none that QUIC has.
    #[error("a limit of the mesh is out of range")]
    Limit(#[from] quinn::VarIntBoundsExceeded),
    /// TLS cannot be set up.
    #[error("cannot set up TLS for the mesh")]
    Tls(#[from] rustls::Error),
    /// TLS lacks what QUIC begins with.
    #[error("TLS lacks the algorithms that QUIC begins with")]
    Cipher(#[from] NoInitialCipherSuite),
}

/// Why another node could not be connected to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    #[error("cannot begin to connect")]
    Begin(#[from] ConnectError),
    #[error("the handshake failed")]
    Handshake(#[from] ConnectionError),
    #[error("no answer in time")]
    TimedOut,
}

/// Dials and accepts.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) quic: quinn::Endpoint,
    pub(crate) me: NodeName,
    pub(crate) limits: Limits,
    dialling: ClientConfig,
}

impl Endpoint {
    pub(crate) fn bind(
        config: &PeersConfig,
        credentials: watch::Receiver<Arc<Credentials>>,
    ) -> Result<Endpoint, PeersError> {
        let transport = Arc::new(transport(&config.limits)?);
        let mut accepting =
            ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls::accepting(&credentials)?)?));
        accepting.transport_config(transport.clone());
        let mut dialling = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls::dialling(&credentials)?)?));
        dialling.transport_config(transport);
        let (me, reset_seed) = {
            let credentials = credentials.borrow();
            (credentials.node().clone(), credentials.reset_seed)
        };
        let bound = bind(config.listen).and_then(Socket::new).and_then(|socket| {
            let packets = packets(&reset_seed);
            quinn::Endpoint::new_with_abstract_socket(packets, Some(accepting), socket, Arc::new(TokioRuntime))
        });
        let quic = bound.map_err(|source| PeersError::Bind { address: config.listen, source })?;
        Ok(Endpoint { quic, me, limits: config.limits, dialling })
    }

    /// Connects to a node; whoever answers has to be that node.
    pub(crate) async fn dial(&self, name: &NodeName, address: SocketAddr) -> Result<Connection, DialError> {
        let connecting = self.quic.connect_with(self.dialling.clone(), address, name)?;
        Ok(timeout(self.limits.dial_timeout, connecting).await.map_err(|_| DialError::TimedOut)??)
    }
}

/// The node at the other end of a connection.
pub(crate) fn peer_of(quic: &Connection) -> Result<NodeName, IdentityError> {
    let shown = quic.peer_identity().and_then(|identity| identity.downcast::<Vec<CertificateDer<'static>>>().ok());
    let certificate = shown.and_then(|chain| chain.into_iter().next()).ok_or(IdentityError::Unreadable)?;
    identity::node(&certificate)
}

pub(crate) fn close(quic: &Connection, why: Close) {
    quic.close(why.code().into(), why.phrase().as_bytes());
}

fn packets(reset_seed: &[u8]) -> EndpointConfig {
    let mut config = EndpointConfig::new(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, reset_seed)));
    config.max_udp_payload_size(LARGEST_PACKET).expect("QUIC allows for packets from 1,200 to 65,527 bytes");
    config
}

fn transport(limits: &Limits) -> Result<TransportConfig, PeersError> {
    let mut mtu = MtuDiscoveryConfig::default();
    mtu.upper_bound(LARGEST_PACKET);
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(limits.flows.into())
        .max_concurrent_uni_streams(limits.large_datagrams.into())
        .stream_receive_window(limits.flow_window.into())
        .receive_window(VarInt::from_u64(limits.connection_window)?)
        .send_window(limits.send_window)
        .datagram_send_buffer_size(DATAGRAM_BUFFER)
        .datagram_receive_buffer_size(Some(DATAGRAM_BUFFER))
        .mtu_discovery_config(Some(mtu))
        .initial_rtt(FIRST_RTT)
        .keep_alive_interval(Some(limits.dead_after / 4))
        .max_idle_timeout(Some(IdleTimeout::try_from(limits.dead_after)?));
    Ok(config)
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        // Nodes of both families are reached from there.
        socket.set_only_v6(false)?;
    }
    // The kernel gives what it allows, which is enough to begin with.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    socket.bind(&address.into())?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
