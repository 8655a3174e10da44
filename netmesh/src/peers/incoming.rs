//! What another node sends here: flows and datagrams for Pods of this one.

use std::sync::Arc;

use bytes::Bytes;
use carob_net::Protocol;
use quinn::ConnectionError;
use tokio::time::timeout;

use super::NodeName;
use super::connected::{Connected, PATIENCE, ReadError, read};
use super::flow::{self, Receiving, Sending};
use super::protocol::{Answer, Header, MAX_HEADER, MAX_PAYLOAD, Malformed, Reason, Refusal};
use crate::mesh::Shared;

/// Serves what comes on a connection until that ends.
pub(crate) async fn serve(node: Arc<Shared>, peer: NodeName, connected: Arc<Connected>) -> ConnectionError {
    let quic = connected.quic.clone();
    loop {
        let served = tokio::select! {
            stream = quic.accept_bi() => stream.map(|(send, receive)| {
                let streams = (Sending::new(send), Receiving::new(receive));
                connected.spawn(tcp(node.clone(), peer.clone(), streams));
            }),
            stream = quic.accept_uni() => stream.map(|stream| {
                connected.spawn(large_datagram(node.clone(), peer.clone(), Receiving::new(stream)));
            }),
            datagram = quic.read_datagram() => datagram.map(|bytes| udp(&node, &peer, bytes)),
        };
        if let Err(ended) = served {
            return ended;
        }
    }
}

async fn tcp(node: Arc<Shared>, peer: NodeName, (mut send, mut receive): (Sending, Receiving)) {
    let Ok(header) = timeout(PATIENCE, read(&mut receive.stream, Header::decode)).await else { return };
    let admitted = header.and_then(|header| Ok(header.expect(Protocol::Tcp).map(|()| header)?));
    let ends = match admitted {
        Ok(header) => node.arrive_tcp(&peer, &header),
        Err(ReadError::Malformed(malformed)) => Err(not_understood(&peer, malformed)),
        Err(ReadError::Cut) => return,
    };
    let (answer, ends) = match ends {
        Ok(ends) => (Answer::Accepted, Some(ends)),
        Err(refusal) => (Answer::Refused(refusal), None),
    };
    if send.stream.write_chunk(answer.encode()).await.is_err() {
        return;
    }
    match ends {
        Some(ends) => flow::carry(ends, (send, receive)).await,
        // The answer has to arrive before the stream is over.
        None => send.finish(),
    }
}

async fn large_datagram(node: Arc<Shared>, peer: NodeName, mut receive: Receiving) {
    let most = MAX_HEADER + MAX_PAYLOAD;
    match timeout(PATIENCE, receive.stream.read_to_end(most)).await {
        Ok(Ok(bytes)) => udp(&node, &peer, bytes.into()),
        Ok(Err(_)) | Err(_) => tracing::debug!(node = %peer, "a large datagram was cut off"),
    }
}

fn udp(node: &Arc<Shared>, peer: &NodeName, bytes: Bytes) {
    match Header::split(bytes) {
        Ok((header, payload)) => node.arrive_udp(peer, &header, payload),
        Err(malformed) => drop(not_understood(peer, malformed)),
    }
}

/// Nodes of one version understand each other: it is worth a line.
fn not_understood(peer: &NodeName, malformed: Malformed) -> Refusal {
    tracing::warn!(node = %peer, %malformed, "a node sent what cannot be read");
    Refusal::new(Reason::Malformed, malformed.to_string())
}
