//! What may be set of sockets.

use std::time::Duration;

use crate::NetworkError;

/// What each side of a connection within the process holds if it was not told otherwise.
pub const TCP_BUFFER: usize = 32 * 1024;
/// What waits to be received at a UDP socket if it was not told otherwise: what Linux lets wait.
pub const UDP_RECEIVE_BUFFER: usize = 208 * 1024;
/// Routers that a packet may pass.
pub const HOP_LIMIT: u8 = 64;

/// The options of a connection.
///
/// On its way to the outside they are those of a socket of the host. Within the process a pipe carries it: the buffers bound
/// what that holds; there is no router that would count the hops, and keep-alive has nothing to detect, because an end that
/// is gone says so at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpOptions {
    /// Bytes that have arrived and were not read. `None`: [`TCP_BUFFER`], or as much as the host finds right.
    pub receive_buffer: Option<usize>,
    /// Bytes that were sent and have not arrived. `None`: [`TCP_BUFFER`], or as much as the host finds right.
    pub send_buffer: Option<usize>,
    /// Whether, and how, a silent connection is probed.
    pub keep_alive: Option<KeepAlive>,
    /// Routers that a packet may pass.
    pub hop_limit: u8,
}

impl Default for TcpOptions {
    fn default() -> TcpOptions {
        TcpOptions { receive_buffer: None, send_buffer: None, keep_alive: None, hop_limit: HOP_LIMIT }
    }
}

/// How a silent connection is probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// Silence before the first probe.
    pub idle: Duration,
    /// Time between two probes.
    pub interval: Duration,
    /// Probes without an answer after which the connection is given up.
    pub count: u32,
}

/// The options of a UDP socket.
///
/// Within the process a datagram is at its destination when it is sent: only the receive buffer bounds anything there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpOptions {
    /// Bytes that have arrived and were not received. `None`: [`UDP_RECEIVE_BUFFER`].
    pub receive_buffer: Option<usize>,
    /// Bytes that wait in the host. `None`: as much as it finds right.
    pub send_buffer: Option<usize>,
    /// Routers that a packet may pass.
    pub hop_limit: u8,
}

impl Default for UdpOptions {
    fn default() -> UdpOptions {
        UdpOptions { receive_buffer: None, send_buffer: None, hop_limit: HOP_LIMIT }
    }
}

/// Changes a connection while it is used.
pub trait TcpControl: Send + Sync + 'static {
    /// Applies all options, also to what has been sent and not received.
    ///
    /// # Errors
    /// [`NetworkError::Other`] if the system refuses one of them.
    fn set_options(&self, options: &TcpOptions) -> Result<(), NetworkError>;
}
