//! The network as a capability, names in it, and new sockets.

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::vec::IntoIter;

use futures::future::{MaybeDone, maybe_done};
use wasmtime::component::Resource;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use super::wasi::sockets::ip_name_lookup::{self, HostResolveAddressStream};
use super::wasi::sockets::network::{self, ErrorCode, HostNetwork, IpAddress, IpAddressFamily};
use super::wasi::sockets::{instance_network, tcp_create_socket, udp_create_socket};
use super::{SocketsView, tcp, udp};
use crate::sockets::error::{Code, Failure, Result};
use crate::sockets::glance;
use crate::sockets::lookup::{Lookup, resolve};
use crate::sockets::tcp::TcpSocket;
use crate::sockets::udp::UdpSocket;

/// What a guest shows to be allowed to use the network; there is one, and every guest has it.
pub struct Network;

/// The answer to a look-up, address by address.
pub struct Addresses(Answer);

enum Answer {
    Asked(Pin<Box<MaybeDone<Lookup>>>),
    Found(IntoIter<IpAddr>),
    Failed(Code),
}

impl Addresses {
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<std::result::Result<&mut IntoIter<IpAddr>, Code>> {
        if let Answer::Asked(lookup) = &mut self.0 {
            ready!(lookup.as_mut().poll(cx));
            if let Some(answer) = lookup.as_mut().take_output() {
                self.0 = answer.map_or_else(Answer::Failed, |found| Answer::Found(found.into_iter()));
            }
        }
        match &mut self.0 {
            Answer::Found(left) => Poll::Ready(Ok(left)),
            Answer::Failed(code) => Poll::Ready(Err(code.clone())),
            Answer::Asked(_) => Poll::Pending,
        }
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Addresses {
    async fn ready(&mut self) {
        poll_fn(|cx| self.poll_answer(cx).map(drop)).await;
    }
}

impl network::Host for SocketsView<'_> {
    fn convert_error_code(&mut self, failure: Failure) -> wasmtime::Result<ErrorCode> {
        failure.code().map(Into::into)
    }

    fn network_error_code(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<Option<ErrorCode>> {
        Ok(self.table.get(&error)?.downcast_ref::<Code>().map(|code| code.clone().into()))
    }
}

impl HostNetwork for SocketsView<'_> {
    fn drop(&mut self, network: Resource<Network>) -> wasmtime::Result<()> {
        self.table.delete(network)?;
        Ok(())
    }
}

impl instance_network::Host for SocketsView<'_> {
    fn instance_network(&mut self) -> wasmtime::Result<Resource<Network>> {
        Ok(self.table.push(Network)?)
    }
}

impl ip_name_lookup::Host for SocketsView<'_> {
    fn resolve_addresses(&mut self, network: Resource<Network>, name: String) -> Result<Resource<Addresses>> {
        self.table.get(&network)?;
        let lookup = resolve(self.sockets.network.as_ref(), &name)?;
        let mut addresses = Addresses(Answer::Asked(Box::pin(maybe_done(lookup))));
        // Begins now, whether or not the guest waits; a failure that is known at once is said at once.
        if let Poll::Ready(Err(code)) = addresses.poll_answer(&mut glance()) {
            return Err(code.into());
        }
        Ok(self.table.push(addresses)?)
    }
}

impl HostResolveAddressStream for SocketsView<'_> {
    fn resolve_next_address(&mut self, addresses: Resource<Addresses>) -> Result<Option<IpAddress>> {
        match self.table.get_mut(&addresses)?.poll_answer(&mut glance()) {
            Poll::Ready(Ok(left)) => Ok(left.next().map(Into::into)),
            Poll::Ready(Err(code)) => Err(code.into()),
            Poll::Pending => Err(Code::WouldBlock.into()),
        }
    }

    fn subscribe(&mut self, addresses: Resource<Addresses>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.table, addresses)
    }

    fn drop(&mut self, addresses: Resource<Addresses>) -> wasmtime::Result<()> {
        self.table.delete(addresses)?;
        Ok(())
    }
}

impl tcp_create_socket::Host for SocketsView<'_> {
    fn create_tcp_socket(&mut self, family: IpAddressFamily) -> Result<Resource<tcp::Socket>> {
        let socket = TcpSocket::new(self.sockets.clone(), family.into());
        Ok(self.table.push(tcp::Socket::new(socket))?)
    }
}

impl udp_create_socket::Host for SocketsView<'_> {
    fn create_udp_socket(&mut self, family: IpAddressFamily) -> Result<Resource<udp::Socket>> {
        let socket = UdpSocket::new(self.sockets.clone(), family.into());
        Ok(self.table.push(udp::Socket::new(socket))?)
    }
}
