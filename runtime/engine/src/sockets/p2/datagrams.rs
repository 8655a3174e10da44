//! The streams of a UDP socket.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use carob_net::Datagram;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use super::wasi::sockets::udp::{
    HostIncomingDatagramStream, HostOutgoingDatagramStream, IncomingDatagram, OutgoingDatagram,
};
use super::{SocketsView, udp};
use crate::sockets::error::{Code, Failure, Result};
use crate::sockets::glance;
use crate::sockets::udp::{Incoming as Source, Outgoing as Sending};

/// The most datagrams that one call sends or receives.
const MOST: usize = 16;
/// Bytes after which one call receives no more.
const ENOUGH: usize = 64 * 1024;

/// Datagrams that arrive.
pub struct Incoming {
    source: Source,
    /// What was taken for a guest that only asked whether there is one.
    next: Option<std::result::Result<Datagram, Code>>,
}

impl Incoming {
    pub(super) fn new(source: Source) -> Incoming {
        Incoming { source, next: None }
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.next.is_none() {
            self.next = Some(ready!(self.source.poll_receive(cx)));
        }
        Poll::Ready(())
    }

    /// What there is, up to `most`; an error only if it comes first.
    fn receive(&mut self, most: usize) -> std::result::Result<Vec<Datagram>, Code> {
        let (mut datagrams, mut size) = (Vec::new(), 0);
        while datagrams.len() < most && size < ENOUGH && self.poll_ready(&mut glance()).is_ready() {
            match self.next.take() {
                Some(Ok(datagram)) => {
                    size += datagram.bytes.len();
                    datagrams.push(datagram);
                }
                Some(Err(code)) if datagrams.is_empty() => return Err(code),
                later => {
                    self.next = later;
                    break;
                }
            }
        }
        Ok(datagrams)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Incoming {
    async fn ready(&mut self) {
        poll_fn(|cx| self.poll_ready(cx)).await;
    }
}

impl HostIncomingDatagramStream for SocketsView<'_> {
    fn receive(&mut self, incoming: Resource<Incoming>, most: u64) -> Result<Vec<IncomingDatagram>> {
        let most = usize::try_from(most).unwrap_or(MOST).min(MOST);
        let received = self.table.get_mut(&incoming)?.receive(most)?.into_iter();
        Ok(received
            .map(|Datagram { from, bytes }| IncomingDatagram { data: bytes.into(), remote_address: from.into() })
            .collect())
    }

    fn subscribe(&mut self, incoming: Resource<Incoming>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.table, incoming)
    }

    fn drop(&mut self, incoming: Resource<Incoming>) -> wasmtime::Result<()> {
        self.table.delete(incoming)?;
        Ok(())
    }
}

/// Datagrams that are sent.
pub struct Outgoing {
    socket: Resource<udp::Socket>,
    /// How many the guest may send, as it was told.
    permit: usize,
    /// One that the guest has sent and the network did not take yet.
    waiting: Option<Sending>,
}

impl Outgoing {
    pub(super) fn new(socket: Resource<udp::Socket>) -> Outgoing {
        Outgoing { socket, permit: 0, waiting: None }
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<std::result::Result<(), Code>> {
        let Some(waiting) = &self.waiting else { return Poll::Ready(Ok(())) };
        let sent = ready!(waiting.poll_send(cx));
        self.waiting = None;
        Poll::Ready(sent)
    }

    /// Takes one datagram, unless one is waiting.
    fn send(&mut self, datagram: Sending) -> std::result::Result<(), Code> {
        if self.poll_ready(&mut glance())?.is_pending() {
            return Err(Code::WouldBlock);
        }
        self.waiting = Some(datagram);
        match self.poll_ready(&mut glance()) {
            Poll::Ready(sent) => sent,
            Poll::Pending => Ok(()),
        }
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Outgoing {
    async fn ready(&mut self) {
        // What became of the one that waited: a datagram can always be lost.
        let _ = poll_fn(|cx| self.poll_ready(cx)).await;
    }
}

impl SocketsView<'_> {
    fn send_one(&mut self, outgoing: &Resource<Outgoing>, datagram: OutgoingDatagram) -> Result<()> {
        let socket = Resource::<udp::Socket>::new_borrow(self.table.get(outgoing)?.socket.rep());
        let OutgoingDatagram { data, remote_address } = datagram;
        let sending = self.table.get_mut(&socket)?.outgoing(data.into(), remote_address)?;
        Ok(self.table.get_mut(outgoing)?.send(sending)?)
    }
}

impl HostOutgoingDatagramStream for SocketsView<'_> {
    fn check_send(&mut self, outgoing: Resource<Outgoing>) -> Result<u64> {
        let outgoing = self.table.get_mut(&outgoing)?;
        outgoing.permit = if outgoing.poll_ready(&mut glance()).is_ready() { MOST } else { 0 };
        Ok(outgoing.permit as u64)
    }

    /// How many were sent; an error only if it comes first.
    fn send(&mut self, outgoing: Resource<Outgoing>, datagrams: Vec<OutgoingDatagram>) -> Result<u64> {
        if datagrams.is_empty() {
            return Ok(0);
        }
        let permit = std::mem::take(&mut self.table.get_mut(&outgoing)?.permit);
        if datagrams.len() > permit {
            let error = wasmtime::format_err!("{} datagrams were sent, check-send allowed {permit}", datagrams.len());
            return Err(Failure::Trap(error));
        }
        let mut sent = 0;
        for datagram in datagrams {
            match self.send_one(&outgoing, datagram) {
                Ok(()) => sent += 1,
                Err(Failure::Code(Code::WouldBlock)) => break,
                Err(Failure::Code(_)) if sent > 0 => break,
                Err(failure) => return Err(failure),
            }
        }
        Ok(sent)
    }

    fn subscribe(&mut self, outgoing: Resource<Outgoing>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.table, outgoing)
    }

    /// Waits until what was sent has gone: the guest was told that it has.
    async fn drop(&mut self, outgoing: Resource<Outgoing>) -> wasmtime::Result<()> {
        let mut outgoing = self.table.delete(outgoing)?;
        outgoing.ready().await;
        Ok(())
    }
}
