//! Sends each datagram back to where it came from: WASI 0.3.
//!
//! `udp-echo-p3 [PORT]`, 7 by default.

use wasip3::exports::cli::run::Guest;
use wasip3::sockets::types::{ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, UdpSocket};

struct Echo;

wasip3::cli::command::export!(Echo);

impl Guest for Echo {
    async fn run() -> Result<(), ()> {
        serve().await.map_err(|error| println!("{error:?}"))
    }
}

async fn serve() -> Result<(), ErrorCode> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(7);
    let socket = UdpSocket::create(IpAddressFamily::Ipv4)?;
    socket.bind(IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: (0, 0, 0, 0) }))?;
    println!("listening on {port}");
    loop {
        let (data, peer) = socket.receive().await?;
        println!("{} bytes", data.len());
        socket.send(data, Some(peer)).await?;
    }
}
