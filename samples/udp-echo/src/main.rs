//! Sends each datagram back to where it came from: plain `std::net` on WASI 0.2.
//!
//! `udp-echo [ADDRESS]`, `0.0.0.0:7` by default.

use std::io;
use std::net::UdpSocket;

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "0.0.0.0:7".to_owned());
    let socket = UdpSocket::bind(&address)?;
    println!("listening on {}", socket.local_addr()?);
    let mut buffer = vec![0; 65_535];
    loop {
        let (length, peer) = socket.recv_from(&mut buffer)?;
        socket.send_to(&buffer[..length], peer)?;
        println!("{peer}: {length} bytes");
    }
}
