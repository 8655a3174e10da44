//! Sends back whatever arrives, one connection after the other: plain `std::net` on WASI 0.2.
//!
//! `tcp-echo [ADDRESS]`, `0.0.0.0:7` by default.

use std::io;
use std::net::{TcpListener, TcpStream};

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "0.0.0.0:7".to_owned());
    let listener = TcpListener::bind(&address)?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (connection, peer) = listener.accept()?;
        match echo(connection) {
            Ok(bytes) => println!("{peer}: {bytes} bytes"),
            Err(error) => println!("{peer}: {error}"),
        }
    }
}

fn echo(connection: TcpStream) -> io::Result<u64> {
    io::copy(&mut &connection, &mut &connection)
}
