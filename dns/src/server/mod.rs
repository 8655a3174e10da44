//! The listener that people, containers and others ask.
//!
//! `answerer` makes the packet that answers another; `udp` and `tcp` carry them.

mod answerer;
mod tcp;
mod udp;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, UdpSocket};
use tokio_util::sync::CancellationToken;

pub(crate) use answerer::{Answerer, MOST_ALIASES};

/// The sockets of a listener: one of UDP and one of TCP with the same port.
pub struct Listener {
    udp: UdpSocket,
    tcp: TcpListener,
}

/// How often a port is chosen that is free for both, where any will do.
const TRIES: usize = 16;

impl Listener {
    /// Listens at `address`; port 0 takes one that is free.
    ///
    /// # Errors
    /// What the system says; [`io::ErrorKind::AddrInUse`] if either port is taken.
    pub async fn bind(address: SocketAddr) -> io::Result<Listener> {
        let mut tried = Listener::try_bind(address).await;
        for _ in 1..TRIES {
            let is_taken = tried.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse);
            if address.port() != 0 || !is_taken {
                break;
            }
            tried = Listener::try_bind(address).await;
        }
        tried
    }

    async fn try_bind(address: SocketAddr) -> io::Result<Listener> {
        let tcp = TcpListener::bind(address).await?;
        let udp = UdpSocket::bind(tcp.local_addr()?).await?;
        Ok(Listener { udp, tcp })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.udp.local_addr()
    }

    /// Answers until `stop`.
    pub(crate) async fn serve(self, answerer: Arc<Answerer>, stop: CancellationToken) {
        tokio::join!(udp::serve(self.udp, answerer.clone(), stop.clone()), tcp::serve(self.tcp, answerer, stop));
    }
}

#[cfg(test)]
mod tests;
