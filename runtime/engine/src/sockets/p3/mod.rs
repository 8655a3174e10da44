//! `wasi:sockets` 0.3: async functions, streams and futures.

mod convert;
mod lookup;
mod streams;
mod tcp;
mod udp;

use wasmtime::component::Linker;

use super::error::Failure;
use super::{Sockets, SocketsView};
use crate::host::Host;
use wasi::sockets::{ip_name_lookup, types};

wasmtime::component::bindgen!({
    path: "wit/p3",
    world: "wasi:sockets/imports",
    imports: {
        "wasi:sockets/types.[method]tcp-socket.listen": store | tracing | trappable,
        "wasi:sockets/types.[method]tcp-socket.send": store | tracing | trappable,
        "wasi:sockets/types.[method]tcp-socket.receive": store | tracing | trappable,
        default: tracing | trappable,
    },
    trappable_error_type: {
        "wasi:sockets/types.error-code" => crate::sockets::error::Failure,
    },
    with: {
        "wasi:clocks": wasmtime_wasi::p3::bindings::clocks,
        "wasi:sockets/types.tcp-socket": crate::sockets::tcp::TcpSocket,
        "wasi:sockets/types.udp-socket": crate::sockets::udp::UdpSocket,
    },
});

/// Adds the interfaces one by one: one that is not named here is not there.
pub(crate) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    types::add_to_linker::<Host, Sockets>(linker, Host::sockets)?;
    ip_name_lookup::add_to_linker::<Host, Sockets>(linker, Host::sockets)
}

impl types::Host for SocketsView<'_> {
    fn convert_error_code(&mut self, failure: Failure) -> wasmtime::Result<types::ErrorCode> {
        failure.code().map(Into::into)
    }
}

#[cfg(test)]
pub(super) fn resource_types() -> Vec<wasmtime::component::ResourceType> {
    use wasmtime::component::ResourceType;
    vec![ResourceType::host::<crate::sockets::tcp::TcpSocket>(), ResourceType::host::<crate::sockets::udp::UdpSocket>()]
}
