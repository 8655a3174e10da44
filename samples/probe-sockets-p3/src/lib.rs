//! Does everything that `wasi:sockets` 0.3 knows, on its own loopback, and prints what came of it: one line for each step.
//! What may differ from run to run (free ports, sizes of pieces) is left out, so that two hosts can be compared.

mod address;
mod names;
mod tcp;
mod tcp_options;
mod udp;

use std::fmt::Debug;

use address::Loopback;
use wasip3::exports::cli::run::Guest;
use wasip3::sockets::types::IpAddressFamily;

struct Probe;

wasip3::cli::command::export!(Probe);

impl Guest for Probe {
    async fn run() -> Result<(), ()> {
        names::probe().await;
        for loopback in [Loopback(IpAddressFamily::Ipv4), Loopback(IpAddressFamily::Ipv6)] {
            println!("# {:?}", loopback.0);
            tcp::states(loopback).await;
            tcp::addresses(loopback).await;
            tcp_options::probe(loopback).await;
            tcp::half_closes(loopback).await;
            tcp::back_pressure(loopback).await;
            tcp::ends(loopback).await;
            udp::states(loopback).await;
            udp::options(loopback);
            udp::datagrams(loopback).await;
        }
        Ok(())
    }
}

/// One step, and what it came to.
fn saw(step: &str, what: impl Debug) {
    println!("{step}: {what:?}");
}
