//! The guest that does harm: shows what the node does about it, and that its neighbours do not notice.
//!
//! `misbehave spin | eat-memory | trap | panic | sockets | exit CODE`

use std::net::TcpListener;
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
        ["exit", code] => wasip2::cli::exit::exit_with_code(code.parse().unwrap_or_else(|_| usage())),
        _ => usage(),
    }
}

fn usage() -> ! {
    eprintln!("usage: misbehave spin | eat-memory | trap | panic | sockets | exit CODE (0 to 255)");
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
