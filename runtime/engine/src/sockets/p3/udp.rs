use std::future::poll_fn;

use wasmtime::component::{Accessor, Resource};

use super::types::{HostUdpSocket, HostUdpSocketWithStore, IpAddressFamily, IpSocketAddress};
use crate::sockets::error::Result;
use crate::sockets::udp::UdpSocket;
use crate::sockets::{Sockets, SocketsView};

impl<T> HostUdpSocketWithStore<T> for Sockets {
    async fn send(
        store: &Accessor<T, Self>,
        socket: Resource<UdpSocket>,
        data: Vec<u8>,
        to: Option<IpSocketAddress>,
    ) -> Result<()> {
        let outgoing = store.with(|mut store| {
            let socket = store.get().table.get_mut(&socket)?;
            Result::Ok(socket.outgoing(data.into(), to.map(Into::into))?)
        })?;
        Ok(poll_fn(|cx| outgoing.poll_send(cx)).await?)
    }

    async fn receive(store: &Accessor<T, Self>, socket: Resource<UdpSocket>) -> Result<(Vec<u8>, IpSocketAddress)> {
        let incoming = store.with(|mut store| Result::Ok(store.get().table.get(&socket)?.incoming()?))?;
        let datagram = incoming.receive().await?;
        Ok((datagram.bytes.into(), datagram.from.into()))
    }
}

impl SocketsView<'_> {
    fn udp_socket(&mut self, socket: &Resource<UdpSocket>) -> Result<&mut UdpSocket> {
        Ok(self.table.get_mut(socket)?)
    }
}

impl HostUdpSocket for SocketsView<'_> {
    fn create(&mut self, family: IpAddressFamily) -> Result<Resource<UdpSocket>> {
        Ok(self.table.push(UdpSocket::new(self.sockets.clone(), family.into()))?)
    }

    fn bind(&mut self, socket: Resource<UdpSocket>, local: IpSocketAddress) -> Result<()> {
        Ok(self.udp_socket(&socket)?.bind(local.into())?)
    }

    fn connect(&mut self, socket: Resource<UdpSocket>, remote: IpSocketAddress) -> Result<()> {
        Ok(self.udp_socket(&socket)?.connect(remote.into())?)
    }

    fn disconnect(&mut self, socket: Resource<UdpSocket>) -> Result<()> {
        Ok(self.udp_socket(&socket)?.disconnect()?)
    }

    fn get_local_address(&mut self, socket: Resource<UdpSocket>) -> Result<IpSocketAddress> {
        Ok(self.udp_socket(&socket)?.local_address()?.into())
    }

    fn get_remote_address(&mut self, socket: Resource<UdpSocket>) -> Result<IpSocketAddress> {
        Ok(self.udp_socket(&socket)?.remote_address()?.into())
    }

    fn get_address_family(&mut self, socket: Resource<UdpSocket>) -> wasmtime::Result<IpAddressFamily> {
        Ok(self.table.get(&socket)?.family().into())
    }

    fn get_unicast_hop_limit(&mut self, socket: Resource<UdpSocket>) -> Result<u8> {
        Ok(self.udp_socket(&socket)?.options().hop_limit)
    }

    fn set_unicast_hop_limit(&mut self, socket: Resource<UdpSocket>, value: u8) -> Result<()> {
        Ok(self.udp_socket(&socket)?.change(|options| options.set_hop_limit(value))?)
    }

    fn get_receive_buffer_size(&mut self, socket: Resource<UdpSocket>) -> Result<u64> {
        Ok(self.udp_socket(&socket)?.options().receive_buffer())
    }

    fn set_receive_buffer_size(&mut self, socket: Resource<UdpSocket>, value: u64) -> Result<()> {
        Ok(self.udp_socket(&socket)?.change(|options| options.set_receive_buffer(value))?)
    }

    fn get_send_buffer_size(&mut self, socket: Resource<UdpSocket>) -> Result<u64> {
        Ok(self.udp_socket(&socket)?.options().send_buffer())
    }

    fn set_send_buffer_size(&mut self, socket: Resource<UdpSocket>, value: u64) -> Result<()> {
        Ok(self.udp_socket(&socket)?.change(|options| options.set_send_buffer(value))?)
    }

    fn drop(&mut self, socket: Resource<UdpSocket>) -> wasmtime::Result<()> {
        self.table.delete(socket)?;
        Ok(())
    }
}
