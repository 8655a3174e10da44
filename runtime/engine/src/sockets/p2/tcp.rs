use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::{MaybeDone, maybe_done};
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock::Duration;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, Pollable, subscribe};

use super::SocketsView;
use super::network::Network;
use super::streams::{Input, Output};
use super::wasi::sockets::network::{IpAddressFamily, IpSocketAddress};
use super::wasi::sockets::tcp::{Host, HostTcpSocket, ShutdownType};
use crate::sockets::accept::Accepting;
use crate::sockets::error::{Code, Result};
use crate::sockets::glance;
use crate::sockets::options::TcpOptions;
use crate::sockets::tcp::{Connect, TcpSocket};

/// A TCP socket, and what was started and not finished.
pub struct Socket {
    socket: TcpSocket,
    doing: Doing,
    accepting: Option<Accepting>,
    /// Kept for `shutdown`.
    streams: Option<(Input, Output)>,
}

/// What was started. Only connecting takes time; the others have their result already.
enum Doing {
    Nothing,
    Binding,
    Listening,
    Connecting(Pin<Box<MaybeDone<Connect>>>),
}

type Streams = (Resource<DynInputStream>, Resource<DynOutputStream>);

impl Socket {
    pub(super) fn new(socket: TcpSocket) -> Socket {
        Socket { socket, doing: Doing::Nothing, accepting: None, streams: None }
    }

    fn start(&self) -> std::result::Result<(), Code> {
        match self.doing {
            Doing::Nothing => Ok(()),
            _ => Err(Code::ConcurrencyConflict),
        }
    }

    fn finish(&mut self, is_this: impl FnOnce(&Doing) -> bool) -> std::result::Result<(), Code> {
        if !is_this(&self.doing) {
            return Err(Code::NotInProgress);
        }
        self.doing = Doing::Nothing;
        Ok(())
    }

    fn finish_connect(&mut self) -> std::result::Result<(), Code> {
        let Doing::Connecting(connect) = &mut self.doing else { return Err(Code::NotInProgress) };
        if connect.poll_unpin(&mut glance()).is_pending() {
            return Err(Code::WouldBlock);
        }
        let ended = connect.as_mut().take_output();
        self.doing = Doing::Nothing;
        self.socket.connected(ended.ok_or(Code::NotInProgress)?)
    }

    fn take_streams(&mut self) -> std::result::Result<(Input, Output), Code> {
        let streams = (Input::new(self.socket.take_receiver()?), Output::new(self.socket.take_sender()?));
        self.streams = Some(streams.clone());
        Ok(streams)
    }

    fn accept(&mut self) -> std::result::Result<Socket, Code> {
        let accepting = self.accepting.as_mut().ok_or(Code::InvalidState)?;
        match accepting.poll_accept(&mut glance()) {
            Poll::Ready(accepted) => Ok(Socket::new(accepted)),
            Poll::Pending => Err(Code::WouldBlock),
        }
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match (&mut self.doing, &mut self.accepting) {
            (Doing::Connecting(connect), _) => connect.poll_unpin(cx),
            (Doing::Nothing, Some(accepting)) => accepting.poll_ready(cx),
            _ => Poll::Ready(()),
        }
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Socket {
    async fn ready(&mut self) {
        poll_fn(|cx| self.poll_ready(cx)).await;
    }
}

impl SocketsView<'_> {
    fn tcp(&mut self, socket: &Resource<Socket>) -> Result<&mut Socket> {
        Ok(self.table.get_mut(socket)?)
    }

    fn options(&mut self, socket: &Resource<Socket>) -> Result<TcpOptions> {
        Ok(self.tcp(socket)?.socket.options()?)
    }

    fn change(
        &mut self,
        socket: &Resource<Socket>,
        change: impl FnOnce(&mut TcpOptions) -> std::result::Result<(), Code>,
    ) -> Result<()> {
        Ok(self.tcp(socket)?.socket.change(change)?)
    }

    /// Hands the streams of a connection to the guest, which drops them before the socket.
    fn push_streams(&mut self, socket: &Resource<Socket>, (input, output): (Input, Output)) -> Result<Streams> {
        let input: DynInputStream = Box::new(input);
        let output: DynOutputStream = Box::new(output);
        Ok((self.table.push_child(input, socket)?, self.table.push_child(output, socket)?))
    }
}

impl Host for SocketsView<'_> {}

impl HostTcpSocket for SocketsView<'_> {
    fn start_bind(
        &mut self,
        socket: Resource<Socket>,
        network: Resource<Network>,
        local: IpSocketAddress,
    ) -> Result<()> {
        self.table.get(&network)?;
        let socket = self.tcp(&socket)?;
        socket.start()?;
        socket.socket.bind(local.into())?;
        socket.doing = Doing::Binding;
        Ok(())
    }

    fn finish_bind(&mut self, socket: Resource<Socket>) -> Result<()> {
        Ok(self.tcp(&socket)?.finish(|doing| matches!(doing, Doing::Binding))?)
    }

    fn start_connect(
        &mut self,
        socket: Resource<Socket>,
        network: Resource<Network>,
        remote: IpSocketAddress,
    ) -> Result<()> {
        self.table.get(&network)?;
        let socket = self.tcp(&socket)?;
        socket.start()?;
        let mut connect = Box::pin(maybe_done(socket.socket.connect(remote.into())?));
        // Begins now, whether or not the guest waits.
        let _ = connect.poll_unpin(&mut glance());
        socket.doing = Doing::Connecting(connect);
        Ok(())
    }

    fn finish_connect(&mut self, socket: Resource<Socket>) -> Result<Streams> {
        let connected = self.tcp(&socket)?;
        connected.finish_connect()?;
        let streams = connected.take_streams()?;
        self.push_streams(&socket, streams)
    }

    /// In 0.2 a socket is bound before it listens.
    fn start_listen(&mut self, socket: Resource<Socket>) -> Result<()> {
        let socket = self.tcp(&socket)?;
        socket.start()?;
        if !socket.socket.is_bound() {
            return Err(Code::InvalidState.into());
        }
        socket.accepting = Some(socket.socket.listen()?);
        socket.doing = Doing::Listening;
        Ok(())
    }

    fn finish_listen(&mut self, socket: Resource<Socket>) -> Result<()> {
        Ok(self.tcp(&socket)?.finish(|doing| matches!(doing, Doing::Listening))?)
    }

    fn accept(
        &mut self,
        socket: Resource<Socket>,
    ) -> Result<(Resource<Socket>, Resource<DynInputStream>, Resource<DynOutputStream>)> {
        let mut accepted = self.tcp(&socket)?.accept()?;
        let streams = accepted.take_streams()?;
        let accepted = self.table.push(accepted)?;
        let (input, output) = self.push_streams(&accepted, streams)?;
        Ok((accepted, input, output))
    }

    fn local_address(&mut self, socket: Resource<Socket>) -> Result<IpSocketAddress> {
        Ok(self.tcp(&socket)?.socket.local_address()?.into())
    }

    fn remote_address(&mut self, socket: Resource<Socket>) -> Result<IpSocketAddress> {
        Ok(self.tcp(&socket)?.socket.remote_address()?.into())
    }

    fn is_listening(&mut self, socket: Resource<Socket>) -> wasmtime::Result<bool> {
        Ok(self.table.get(&socket)?.socket.is_listening())
    }

    fn address_family(&mut self, socket: Resource<Socket>) -> wasmtime::Result<IpAddressFamily> {
        Ok(self.table.get(&socket)?.socket.family().into())
    }

    fn set_listen_backlog_size(&mut self, socket: Resource<Socket>, value: u64) -> Result<()> {
        Ok(self.tcp(&socket)?.socket.set_backlog(value)?)
    }

    fn keep_alive_enabled(&mut self, socket: Resource<Socket>) -> Result<bool> {
        Ok(self.options(&socket)?.keep_alive)
    }

    fn set_keep_alive_enabled(&mut self, socket: Resource<Socket>, value: bool) -> Result<()> {
        self.change(&socket, |options| {
            options.keep_alive = value;
            Ok(())
        })
    }

    fn keep_alive_idle_time(&mut self, socket: Resource<Socket>) -> Result<Duration> {
        Ok(self.options(&socket)?.keep_alive_idle)
    }

    fn set_keep_alive_idle_time(&mut self, socket: Resource<Socket>, value: Duration) -> Result<()> {
        self.change(&socket, |options| options.set_keep_alive_idle(value))
    }

    fn keep_alive_interval(&mut self, socket: Resource<Socket>) -> Result<Duration> {
        Ok(self.options(&socket)?.keep_alive_interval)
    }

    fn set_keep_alive_interval(&mut self, socket: Resource<Socket>, value: Duration) -> Result<()> {
        self.change(&socket, |options| options.set_keep_alive_interval(value))
    }

    fn keep_alive_count(&mut self, socket: Resource<Socket>) -> Result<u32> {
        Ok(self.options(&socket)?.keep_alive_count)
    }

    fn set_keep_alive_count(&mut self, socket: Resource<Socket>, value: u32) -> Result<()> {
        self.change(&socket, |options| options.set_keep_alive_count(value))
    }

    fn hop_limit(&mut self, socket: Resource<Socket>) -> Result<u8> {
        Ok(self.options(&socket)?.hop_limit)
    }

    fn set_hop_limit(&mut self, socket: Resource<Socket>, value: u8) -> Result<()> {
        self.change(&socket, |options| options.set_hop_limit(value))
    }

    fn receive_buffer_size(&mut self, socket: Resource<Socket>) -> Result<u64> {
        Ok(self.options(&socket)?.receive_buffer())
    }

    fn set_receive_buffer_size(&mut self, socket: Resource<Socket>, value: u64) -> Result<()> {
        self.change(&socket, |options| options.set_receive_buffer(value))
    }

    fn send_buffer_size(&mut self, socket: Resource<Socket>) -> Result<u64> {
        Ok(self.options(&socket)?.send_buffer())
    }

    fn set_send_buffer_size(&mut self, socket: Resource<Socket>, value: u64) -> Result<()> {
        self.change(&socket, |options| options.set_send_buffer(value))
    }

    fn subscribe(&mut self, socket: Resource<Socket>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.table, socket)
    }

    fn shutdown(&mut self, socket: Resource<Socket>, which: ShutdownType) -> Result<()> {
        let (input, output) = self.tcp(&socket)?.streams.as_ref().ok_or(Code::InvalidState)?;
        if matches!(which, ShutdownType::Receive | ShutdownType::Both) {
            input.shut_down();
        }
        if matches!(which, ShutdownType::Send | ShutdownType::Both) {
            output.shut_down();
        }
        Ok(())
    }

    fn drop(&mut self, socket: Resource<Socket>) -> wasmtime::Result<()> {
        self.table.delete(socket)?;
        Ok(())
    }
}
