//! The guest that does harm: shows what the node does about it, and that its neighbours do not notice.
//!
//! `misbehave spin | eat-memory | trap | panic | sockets | flood-sockets | exit CODE`

use std::any::Any;
use std::io;
use std::net::{TcpListener, UdpSocket};
use std::process::exit;
use std::time::Duration;

const MIB: usize = 1 << 20;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["spin"] => spin(),
        ["eat-memory"] => eat_memory(),
        ["trap"] => trap(),
        ["panic"] => panic!("misbehave was asked to panic"),
        ["sockets"] => take_sockets(),
        ["flood-sockets"] => flood_sockets(),
        ["exit", code] => wasip2::cli::exit::exit_with_code(code.parse().unwrap_or_else(|_| usage())),
        _ => usage(),
    }
}

fn usage() -> ! {
    eprintln!("usage: misbehave spin | eat-memory | trap | panic | sockets | flood-sockets | exit CODE (0 to 255)");
    exit(1)
}

/// Never gives the processor back.
fn spin() -> ! {
    println!("spinning");
    loop {
        std::hint::spin_loop();
    }
}

/// Takes memory and writes to it until there is no more.
fn eat_memory() -> ! {
    let mut eaten = Vec::new();
    loop {
        eaten.push(vec![0xA5_u8; MIB]);
        if eaten.len() % 16 == 0 {
            println!("ate {} MiB", eaten.len());
        }
    }
}

/// Runs an instruction that always traps.
fn trap() {
    println!("trapping");
    core::arch::wasm32::unreachable()
}

/// Opens sockets until it may not, and keeps them.
fn take_sockets() -> ! {
    let mut taken = Vec::new();
    let refused = loop {
        match TcpListener::bind("0.0.0.0:0") {
            Ok(socket) => taken.push(socket),
            Err(error) => break error,
        }
    };
    println!("took {} sockets, then: {refused}", taken.len());
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

/// Opens sockets of all kinds without end: whenever it gets no more, it says how many it has, and gives half of them back.
fn flood_sockets() -> ! {
    let mut open = Vec::new();
    loop {
        match a_socket(open.len()) {
            Ok(socket) => open.push(socket),
            Err(error) => {
                println!("has {} sockets, then: {error}", open.len());
                open.truncate(open.len() / 2);
            }
        }
    }
}

fn a_socket(number: usize) -> io::Result<Box<dyn Any>> {
    if number % 2 == 0 { Ok(Box::new(TcpListener::bind("0.0.0.0:0")?)) } else { Ok(Box::new(UdpSocket::bind("0.0.0.0:0")?)) }
}
