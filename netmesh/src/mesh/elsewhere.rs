//! Flows between Pods of this node and of others. The nodes between them are those of [`crate::peers`].

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use carob_net::{Datagram, NetworkError, Passed, PipeEnd, Protocol, TcpOptions, pipes};
use tokio_util::task::AbortOnDropHandle;

use super::Shared;
use super::pod::Pod;
use super::route::{NamedBy, Route, Source};
use crate::peers::Peer;
use crate::peers::protocol::{Header, Origin, Reason, Refusal};

impl Pod {
    /// Connects to a Pod of another node. Dropping the future gives up.
    pub(crate) async fn connect_elsewhere(
        &self,
        peer: Arc<Peer>,
        _: Passed,
        (source, target): (SocketAddr, SocketAddr),
        options: &TcpOptions,
    ) -> Result<PipeEnd, NetworkError> {
        let header = Header { protocol: Protocol::Tcp, origin: Origin::Pod, source, target };
        let (near, far) = pipes(options, &self.account, &self.senders_account);
        self.shared.carry(peer, header, far).await?;
        Ok(near)
    }

    /// Sends a datagram to a Pod of another node.
    pub(crate) fn send_elsewhere(
        &self,
        peer: &Peer,
        _: Passed,
        (source, target): (SocketAddr, SocketAddr),
        bytes: &Bytes,
    ) {
        self.account.count_sent(bytes.len());
        peer.send(&Header { protocol: Protocol::Udp, origin: Origin::Pod, source, target }, bytes);
    }
}

impl Shared {
    /// Connects somebody to a Pod of another node whose bytes are not counted on this connection: a client that came in by a
    /// port of this host, or a Pod that asks by HTTP.
    pub(crate) async fn pass_on(
        &self,
        peer: Arc<Peer>,
        _: Passed,
        origin: Origin,
        (source, target): (SocketAddr, SocketAddr),
    ) -> Result<PipeEnd, NetworkError> {
        let (origin, source) = self.known_there(origin, source)?;
        let header = Header { protocol: Protocol::Tcp, origin, source, target };
        let (near, far) = pipes(&TcpOptions::default(), &self.outside, &self.outside);
        self.carry(peer, header, far).await?;
        Ok(near)
    }

    /// A loopback address means nothing on another node: whoever is on this host is the node itself there.
    fn known_there(&self, origin: Origin, source: SocketAddr) -> Result<(Origin, SocketAddr), NetworkError> {
        let ip = source.ip().to_canonical();
        if !ip.is_loopback() {
            return Ok((origin, SocketAddr::new(ip, source.port())));
        }
        let host = self.elsewhere.host(ip).ok_or(NetworkError::RemoteUnreachable)?;
        Ok((Origin::Pod, SocketAddr::new(host, source.port())))
    }

    /// Gives a connection that another node sends to whoever listens at its target: what the stream is to be joined with.
    pub(crate) fn arrive_tcp(&self, peer: &str, header: &Header) -> Result<PipeEnd, Refusal> {
        let (pod, at) = self.admit(peer, header, NamedBy::Service)?;
        pod.meet(header.source, at, &TcpOptions::default(), &pod.senders_account, &pod.account)
            .map_err(|error| Refusal::new(Reason::Refused, format!("{at}: {error}")))
    }

    /// Delivers a datagram that another node sends. Nobody hears of one that is refused, but the log does.
    pub(crate) fn arrive_udp(&self, peer: &str, header: &Header, bytes: Bytes) {
        let inbox = self.pod_at(header.target.ip()).and_then(|pod| pod.udp.lock().at(header.target).cloned());
        let has_asked = inbox.as_ref().is_some_and(|inbox| inbox.has_asked(header.source));
        let by = if has_asked { NamedBy::Asker } else { NamedBy::Service };
        let Ok((pod, _)) = self.admit(peer, header, by) else { return };
        if let Some(inbox) = inbox {
            inbox.put(Datagram { from: header.source, bytes }, Some(pod.account.clone()));
        }
    }

    /// On the node's runtime: whoever connects may be on that of the guests.
    async fn carry(&self, peer: Arc<Peer>, header: Header, ends: PipeEnd) -> Result<(), NetworkError> {
        let connecting = self.runtime.spawn(async move { peer.connect(header, ends).await });
        AbortOnDropHandle::new(connecting).await.unwrap_or(Err(NetworkError::ConnectionAborted))
    }

    /// The Pod that a flow of another node is for, if that node may send it and the decision point lets it pass.
    fn admit(&self, peer: &str, header: &Header, by: NamedBy) -> Result<(Arc<Pod>, SocketAddr), Refusal> {
        let (source, target) = (Source::Elsewhere(header.source.ip()), header.target);
        if let Err(why) = self.may_speak_for(peer, header) {
            self.deny_forged(&source, header.protocol, target, why.clone());
            return Err(Refusal::new(Reason::Forged, why));
        }
        if self.pod_at(target.ip()).is_none() {
            return Err(Refusal::new(
                Reason::Unreachable,
                format!("no Pod of this node has the address {}", target.ip()),
            ));
        }
        match self.route(&source, header.protocol, target, by) {
            Ok(Route::Pod(pod, at)) => Ok((pod, at)),
            Err(NetworkError::AccessDenied(why)) => Err(Refusal::new(Reason::Denied, why)),
            Ok(_) | Err(_) => Err(Refusal::new(Reason::Unreachable, format!("{target} is not of this node"))),
        }
    }

    /// A node speaks for the Pods in its own ranges, and for clients that cannot be anybody's Pod.
    fn may_speak_for(&self, peer: &str, header: &Header) -> Result<(), String> {
        let ip = header.source.ip();
        let holder = self.elsewhere.node_of(ip);
        match header.origin {
            Origin::Pod if holder.as_deref() == Some(peer) => Ok(()),
            Origin::Pod => Err(match holder {
                Some(holder) => format!("{ip} is a Pod's address of node {holder}, not of {peer}, which sent the flow"),
                None => format!("{ip} is no Pod's address of node {peer}, which sent the flow"),
            }),
            Origin::Outside if holder.is_none() && !self.is_clusters(ip) => Ok(()),
            Origin::Outside => Err(format!("{ip} is in the cluster, but node {peer} says it is a client from outside")),
        }
    }

    fn is_clusters(&self, ip: std::net::IpAddr) -> bool {
        self.config.pods.contains(ip) || self.config.services.contains(ip)
    }
}
