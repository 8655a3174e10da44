use std::iter;

use tokio::sync::oneshot;
use wasmtime::component::{Access, Accessor, FutureReader, Resource, StreamReader};

use super::streams::{Accepted, Received, Sent};
use super::types::{Duration, ErrorCode, HostTcpSocket, HostTcpSocketWithStore, IpAddressFamily, IpSocketAddress};
use crate::sockets::error::{Code, Failure, Result};
use crate::sockets::options::TcpOptions;
use crate::sockets::tcp::TcpSocket;
use crate::sockets::{Sockets, SocketsView};

/// How a whole direction of a connection ended.
type Ended = FutureReader<std::result::Result<(), ErrorCode>>;

impl<T: Send> HostTcpSocketWithStore<T> for Sockets {
    /// A call that is cancelled gives up, and the socket with it.
    async fn connect(store: &Accessor<T, Self>, socket: Resource<TcpSocket>, remote: IpSocketAddress) -> Result<()> {
        let connect = store.with(|mut store| Result::Ok(store.get().tcp_socket(&socket)?.connect(remote.into())?))?;
        let ended = connect.await;
        store.with(|mut store| Ok(store.get().tcp_socket(&socket)?.connected(ended)?))
    }

    fn listen(mut store: Access<T, Self>, socket: Resource<TcpSocket>) -> Result<StreamReader<Resource<TcpSocket>>> {
        let view = store.getter();
        let accepting = store.get().tcp_socket(&socket)?.listen()?;
        StreamReader::new(&mut store, Accepted { accepting, view }).map_err(Failure::Trap)
    }

    fn send(
        mut store: Access<T, Self>,
        socket: Resource<TcpSocket>,
        mut data: StreamReader<u8>,
    ) -> wasmtime::Result<Ended> {
        match store.get().table.get_mut(&socket)?.take_sender() {
            Ok(sender) => {
                let (ending, ended) = oneshot::channel();
                data.pipe(&mut store, Sent::new(sender, ending))?;
                FutureReader::new(&mut store, ended)
            }
            Err(code) => {
                data.close(&mut store)?;
                failed(store, code)
            }
        }
    }

    fn receive(mut store: Access<T, Self>, socket: Resource<TcpSocket>) -> wasmtime::Result<(StreamReader<u8>, Ended)> {
        match store.get().table.get_mut(&socket)?.take_receiver() {
            Ok(receiver) => {
                let (ending, ended) = oneshot::channel();
                let data = StreamReader::new(&mut store, Received::new(receiver, ending))?;
                Ok((data, FutureReader::new(&mut store, ended)?))
            }
            Err(code) => Ok((StreamReader::new(&mut store, iter::empty())?, failed(store, code)?)),
        }
    }
}

fn failed<T>(mut store: Access<T, Sockets>, code: Code) -> wasmtime::Result<Ended> {
    FutureReader::new(&mut store, async { wasmtime::error::Ok(Err(code.into())) })
}

impl SocketsView<'_> {
    fn tcp_socket(&mut self, socket: &Resource<TcpSocket>) -> Result<&mut TcpSocket> {
        Ok(self.table.get_mut(socket)?)
    }

    fn tcp_options(&mut self, socket: &Resource<TcpSocket>) -> Result<TcpOptions> {
        Ok(self.tcp_socket(socket)?.options()?)
    }

    fn change_tcp(
        &mut self,
        socket: &Resource<TcpSocket>,
        change: impl FnOnce(&mut TcpOptions) -> std::result::Result<(), Code>,
    ) -> Result<()> {
        Ok(self.tcp_socket(socket)?.change(change)?)
    }
}

impl HostTcpSocket for SocketsView<'_> {
    fn create(&mut self, family: IpAddressFamily) -> Result<Resource<TcpSocket>> {
        Ok(self.table.push(TcpSocket::new(self.sockets.clone(), family.into()))?)
    }

    fn bind(&mut self, socket: Resource<TcpSocket>, local: IpSocketAddress) -> Result<()> {
        Ok(self.tcp_socket(&socket)?.bind(local.into())?)
    }

    fn get_local_address(&mut self, socket: Resource<TcpSocket>) -> Result<IpSocketAddress> {
        Ok(self.tcp_socket(&socket)?.local_address()?.into())
    }

    fn get_remote_address(&mut self, socket: Resource<TcpSocket>) -> Result<IpSocketAddress> {
        Ok(self.tcp_socket(&socket)?.remote_address()?.into())
    }

    fn get_is_listening(&mut self, socket: Resource<TcpSocket>) -> wasmtime::Result<bool> {
        Ok(self.table.get(&socket)?.is_listening())
    }

    fn get_address_family(&mut self, socket: Resource<TcpSocket>) -> wasmtime::Result<IpAddressFamily> {
        Ok(self.table.get(&socket)?.family().into())
    }

    fn set_listen_backlog_size(&mut self, socket: Resource<TcpSocket>, value: u64) -> Result<()> {
        Ok(self.tcp_socket(&socket)?.set_backlog(value)?)
    }

    fn get_keep_alive_enabled(&mut self, socket: Resource<TcpSocket>) -> Result<bool> {
        Ok(self.tcp_options(&socket)?.keep_alive)
    }

    fn set_keep_alive_enabled(&mut self, socket: Resource<TcpSocket>, value: bool) -> Result<()> {
        self.change_tcp(&socket, |options| {
            options.keep_alive = value;
            Ok(())
        })
    }

    fn get_keep_alive_idle_time(&mut self, socket: Resource<TcpSocket>) -> Result<Duration> {
        Ok(self.tcp_options(&socket)?.keep_alive_idle)
    }

    fn set_keep_alive_idle_time(&mut self, socket: Resource<TcpSocket>, value: Duration) -> Result<()> {
        self.change_tcp(&socket, |options| options.set_keep_alive_idle(value))
    }

    fn get_keep_alive_interval(&mut self, socket: Resource<TcpSocket>) -> Result<Duration> {
        Ok(self.tcp_options(&socket)?.keep_alive_interval)
    }

    fn set_keep_alive_interval(&mut self, socket: Resource<TcpSocket>, value: Duration) -> Result<()> {
        self.change_tcp(&socket, |options| options.set_keep_alive_interval(value))
    }

    fn get_keep_alive_count(&mut self, socket: Resource<TcpSocket>) -> Result<u32> {
        Ok(self.tcp_options(&socket)?.keep_alive_count)
    }

    fn set_keep_alive_count(&mut self, socket: Resource<TcpSocket>, value: u32) -> Result<()> {
        self.change_tcp(&socket, |options| options.set_keep_alive_count(value))
    }

    fn get_hop_limit(&mut self, socket: Resource<TcpSocket>) -> Result<u8> {
        Ok(self.tcp_options(&socket)?.hop_limit)
    }

    fn set_hop_limit(&mut self, socket: Resource<TcpSocket>, value: u8) -> Result<()> {
        self.change_tcp(&socket, |options| options.set_hop_limit(value))
    }

    fn get_receive_buffer_size(&mut self, socket: Resource<TcpSocket>) -> Result<u64> {
        Ok(self.tcp_options(&socket)?.receive_buffer())
    }

    fn set_receive_buffer_size(&mut self, socket: Resource<TcpSocket>, value: u64) -> Result<()> {
        self.change_tcp(&socket, |options| options.set_receive_buffer(value))
    }

    fn get_send_buffer_size(&mut self, socket: Resource<TcpSocket>) -> Result<u64> {
        Ok(self.tcp_options(&socket)?.send_buffer())
    }

    fn set_send_buffer_size(&mut self, socket: Resource<TcpSocket>, value: u64) -> Result<()> {
        self.change_tcp(&socket, |options| options.set_send_buffer(value))
    }

    fn drop(&mut self, socket: Resource<TcpSocket>) -> wasmtime::Result<()> {
        self.table.delete(socket)?;
        Ok(())
    }
}
