//! `wasi:sockets` 0.2: operations that are started, waited for with a pollable, and finished.

mod convert;
mod datagrams;
mod network;
mod streams;
mod tcp;
mod udp;

use wasmtime::component::Linker;

use super::{Sockets, SocketsView};
use crate::host::Host;
use wasi::sockets;

wasmtime::component::bindgen!({
    path: "wit/p2",
    world: "wasi:sockets/imports",
    imports: {
        "wasi:sockets/udp.[drop]outgoing-datagram-stream": async | tracing | trappable,
        default: tracing | trappable,
    },
    trappable_error_type: {
        "wasi:sockets/network.error-code" => crate::sockets::error::Failure,
    },
    with: {
        "wasi:io": wasmtime_wasi::p2::bindings::io,
        "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
        "wasi:sockets/network.network": crate::sockets::p2::network::Network,
        "wasi:sockets/ip-name-lookup.resolve-address-stream": crate::sockets::p2::network::Addresses,
        "wasi:sockets/tcp.tcp-socket": crate::sockets::p2::tcp::Socket,
        "wasi:sockets/udp.udp-socket": crate::sockets::p2::udp::Socket,
        "wasi:sockets/udp.incoming-datagram-stream": crate::sockets::p2::datagrams::Incoming,
        "wasi:sockets/udp.outgoing-datagram-stream": crate::sockets::p2::datagrams::Outgoing,
    },
});

/// Adds the interfaces one by one: one that is not named here is not there.
pub(crate) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    let mut options = sockets::network::LinkOptions::default();
    options.network_error_code(true);
    sockets::network::add_to_linker::<Host, Sockets>(linker, &options, Host::sockets)?;
    sockets::instance_network::add_to_linker::<Host, Sockets>(linker, Host::sockets)?;
    sockets::ip_name_lookup::add_to_linker::<Host, Sockets>(linker, Host::sockets)?;
    sockets::tcp::add_to_linker::<Host, Sockets>(linker, Host::sockets)?;
    sockets::tcp_create_socket::add_to_linker::<Host, Sockets>(linker, Host::sockets)?;
    sockets::udp::add_to_linker::<Host, Sockets>(linker, Host::sockets)?;
    sockets::udp_create_socket::add_to_linker::<Host, Sockets>(linker, Host::sockets)
}

#[cfg(test)]
pub(super) fn resource_types() -> Vec<wasmtime::component::ResourceType> {
    use wasmtime::component::ResourceType;
    vec![
        ResourceType::host::<network::Network>(),
        ResourceType::host::<network::Addresses>(),
        ResourceType::host::<tcp::Socket>(),
        ResourceType::host::<udp::Socket>(),
        ResourceType::host::<datagrams::Incoming>(),
        ResourceType::host::<datagrams::Outgoing>(),
    ]
}
