//! Asks echo servers by their names, with plain `std::net` on WASI 0.2: ends with 0 if each sent back what it was sent.
//!
//! `echo-client tcp HOST:PORT | udp HOST:PORT ...`

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream, UdpSocket};

const WORDS: &[u8] = b"is anybody there?";

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut failed = args.is_empty() || args.len() % 2 != 0;
    for pair in args.chunks_exact(2) {
        let answered = match pair[0].as_str() {
            "tcp" => tcp(&pair[1]),
            "udp" => udp(&pair[1]),
            other => Err(io::Error::other(format!("unknown protocol {other}"))),
        };
        failed |= answered.is_err();
        match answered {
            Ok(said) => println!("{} {}: {said}", pair[0], pair[1]),
            Err(error) => println!("{} {}: {error}", pair[0], pair[1]),
        }
    }
    // `std::process::exit` can only say "success" or "failure" in WASI 0.2.
    wasip2::cli::exit::exit_with_code(u8::from(failed));
}

fn tcp(server: &str) -> io::Result<String> {
    let mut connection = TcpStream::connect(server)?;
    connection.write_all(WORDS)?;
    connection.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer)?;
    same(&answer)
}

fn udp(server: &str) -> io::Result<String> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect(server)?;
    socket.send(WORDS)?;
    let mut answer = [0; 100];
    let length = socket.recv(&mut answer)?;
    same(&answer[..length])
}

fn same(answer: &[u8]) -> io::Result<String> {
    if answer != WORDS {
        return Err(io::Error::other(format!("answered {:?}", String::from_utf8_lossy(answer))));
    }
    Ok(String::from_utf8_lossy(answer).into_owned())
}
