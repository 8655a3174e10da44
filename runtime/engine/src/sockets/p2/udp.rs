use bytes::Bytes;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use super::SocketsView;
use super::datagrams::{Incoming, Outgoing};
use super::network::Network;
use super::wasi::sockets::network::{IpAddressFamily, IpSocketAddress};
use super::wasi::sockets::udp::{Host, HostUdpSocket};
use crate::sockets::error::{Code, Failure, Result};
use crate::sockets::udp::UdpSocket;

/// A UDP socket, and whether `start-bind` was called and `finish-bind` not.
pub struct Socket {
    socket: UdpSocket,
    binding: bool,
}

impl Socket {
    pub(super) fn new(socket: UdpSocket) -> Socket {
        Socket { socket, binding: false }
    }

    pub(super) fn outgoing(
        &mut self,
        bytes: Bytes,
        to: Option<IpSocketAddress>,
    ) -> std::result::Result<crate::sockets::udp::Outgoing, Code> {
        self.socket.outgoing(bytes, to.map(Into::into))
    }
}

/// Nothing that a UDP socket does is waited for; its streams have pollables of their own.
#[wasmtime_wasi::async_trait]
impl Pollable for Socket {
    async fn ready(&mut self) {}
}

impl SocketsView<'_> {
    fn udp(&mut self, socket: &Resource<Socket>) -> Result<&mut UdpSocket> {
        Ok(&mut self.table.get_mut(socket)?.socket)
    }
}

impl Host for SocketsView<'_> {}

impl HostUdpSocket for SocketsView<'_> {
    fn start_bind(
        &mut self,
        socket: Resource<Socket>,
        network: Resource<Network>,
        local: IpSocketAddress,
    ) -> Result<()> {
        self.table.get(&network)?;
        let socket = self.table.get_mut(&socket)?;
        if socket.binding {
            return Err(Code::ConcurrencyConflict.into());
        }
        socket.socket.bind(local.into())?;
        socket.binding = true;
        Ok(())
    }

    fn finish_bind(&mut self, socket: Resource<Socket>) -> Result<()> {
        let socket = self.table.get_mut(&socket)?;
        if !std::mem::take(&mut socket.binding) {
            return Err(Code::NotInProgress.into());
        }
        Ok(())
    }

    /// Connects the socket, or disconnects it: its streams are for one or the other.
    fn stream(
        &mut self,
        socket: Resource<Socket>,
        remote: Option<IpSocketAddress>,
    ) -> Result<(Resource<Incoming>, Resource<Outgoing>)> {
        if self.table.iter_children(&socket)?.any(|child| child.is::<Incoming>() || child.is::<Outgoing>()) {
            let error = wasmtime::format_err!("the streams of a UDP socket are to be dropped before it makes new ones");
            return Err(Failure::Trap(error));
        }
        let udp = self.udp(&socket)?;
        if !udp.is_bound() {
            return Err(Code::InvalidState.into());
        }
        match remote {
            Some(remote) => udp.connect(remote.into())?,
            None if udp.remote_address().is_ok() => udp.disconnect()?,
            None => {}
        }
        let incoming = Incoming::new(udp.incoming()?);
        let outgoing = Outgoing::new(Resource::new_borrow(socket.rep()));
        Ok((self.table.push_child(incoming, &socket)?, self.table.push_child(outgoing, &socket)?))
    }

    fn local_address(&mut self, socket: Resource<Socket>) -> Result<IpSocketAddress> {
        Ok(self.udp(&socket)?.local_address()?.into())
    }

    fn remote_address(&mut self, socket: Resource<Socket>) -> Result<IpSocketAddress> {
        Ok(self.udp(&socket)?.remote_address()?.into())
    }

    fn address_family(&mut self, socket: Resource<Socket>) -> wasmtime::Result<IpAddressFamily> {
        Ok(self.table.get(&socket)?.socket.family().into())
    }

    fn unicast_hop_limit(&mut self, socket: Resource<Socket>) -> Result<u8> {
        Ok(self.udp(&socket)?.options().hop_limit)
    }

    fn set_unicast_hop_limit(&mut self, socket: Resource<Socket>, value: u8) -> Result<()> {
        Ok(self.udp(&socket)?.change(|options| options.set_hop_limit(value))?)
    }

    fn receive_buffer_size(&mut self, socket: Resource<Socket>) -> Result<u64> {
        Ok(self.udp(&socket)?.options().receive_buffer())
    }

    fn set_receive_buffer_size(&mut self, socket: Resource<Socket>, value: u64) -> Result<()> {
        Ok(self.udp(&socket)?.change(|options| options.set_receive_buffer(value))?)
    }

    fn send_buffer_size(&mut self, socket: Resource<Socket>) -> Result<u64> {
        Ok(self.udp(&socket)?.options().send_buffer())
    }

    fn set_send_buffer_size(&mut self, socket: Resource<Socket>, value: u64) -> Result<()> {
        Ok(self.udp(&socket)?.change(|options| options.set_send_buffer(value))?)
    }

    fn subscribe(&mut self, socket: Resource<Socket>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.table, socket)
    }

    fn drop(&mut self, socket: Resource<Socket>) -> wasmtime::Result<()> {
        self.table.delete(socket)?;
        Ok(())
    }
}
