//! Does everything that `wasi:sockets` 0.2 knows, on its own loopback, and prints what came of it: one line for each step.
//! What may differ from run to run (free ports, sizes of pieces) is left out, so that two hosts can be compared.

mod address;
mod names;
mod tcp;
mod tcp_options;
mod udp;

use std::fmt::Debug;

use address::Loopback;
use wasip2::sockets::network::IpAddressFamily;

fn main() {
    names::probe();
    for loopback in [Loopback(IpAddressFamily::Ipv4), Loopback(IpAddressFamily::Ipv6)] {
        println!("# {:?}", loopback.0);
        tcp::states(loopback);
        tcp::addresses(loopback);
        tcp_options::probe(loopback);
        tcp::half_closes(loopback);
        tcp::back_pressure(loopback);
        tcp::ends(loopback);
        udp::states(loopback);
        udp::options(loopback);
        udp::datagrams(loopback);
    }
}

/// One step, and what it came to.
fn saw(step: &str, what: impl Debug) {
    println!("{step}: {what:?}");
}
