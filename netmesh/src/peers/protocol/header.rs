use std::net::SocketAddr;

use bytes::{BufMut, Bytes, BytesMut};
use carob_net::Protocol;

use super::{Decoded, MAX_PAYLOAD, Malformed, address};

const VERSION: u8 = 1;
/// Numbers of <https://www.iana.org/assignments/protocol-numbers>.
const TCP: u8 = 6;
const UDP: u8 = 17;
const POD: u8 = 0;
const OUTSIDE: u8 = 1;
/// Version, protocol and origin.
const FIXED: usize = 3;

/// The longest header: between two addresses of IPv6.
pub(crate) const MAX_HEADER: usize = FIXED + 2 * 19;

/// Who wants to reach whom; the first bytes of every stream and datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// What is carried.
    pub(crate) protocol: Protocol,
    /// Who stands behind the source.
    pub(crate) origin: Origin,
    /// Where the flow begins: the address that the target sees.
    pub(crate) source: SocketAddr,
    /// A Pod of the receiving node.
    pub(crate) target: SocketAddr,
}

/// Who begins a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A Pod of the sending node.
    Pod,
    /// A client out of the cluster, who came in by a port of the sending node.
    Outside,
}

impl Header {
    /// How many bytes it is written in.
    pub(crate) fn length(&self) -> usize {
        FIXED + address::length(self.source) + address::length(self.target)
    }

    /// Writes it.
    pub(crate) fn encode(&self, into: &mut impl BufMut) {
        into.put_u8(VERSION);
        into.put_u8(match self.protocol {
            Protocol::Tcp => TCP,
            Protocol::Udp => UDP,
        });
        into.put_u8(match self.origin {
            Origin::Pod => POD,
            Origin::Outside => OUTSIDE,
        });
        address::encode(self.source, into);
        address::encode(self.target, into);
    }

    /// The header that `bytes` begins with.
    ///
    /// # Errors
    /// If no bytes that follow could make it a header.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Decoded<Header>, Malformed> {
        let Some((fixed, addresses)) = bytes.split_first_chunk::<FIXED>() else {
            return Ok(Decoded::Needs(FIXED + 1));
        };
        let (protocol, origin) = fixed_fields(fixed)?;
        let source = match address::decode(addresses)? {
            Decoded::Whole(source) => source,
            Decoded::Needs(more) => return Ok(Decoded::Needs(FIXED + more)),
        };
        let before = FIXED + address::length(source);
        match address::decode(&bytes[before..])? {
            Decoded::Whole(target) => Ok(Decoded::Whole(Header { protocol, origin, source, target })),
            Decoded::Needs(more) => Ok(Decoded::Needs(before + more)),
        }
    }

    /// A datagram of UDP as it is sent.
    pub(crate) fn datagram(&self, payload: &[u8]) -> Bytes {
        let mut bytes = BytesMut::with_capacity(self.length() + payload.len());
        self.encode(&mut bytes);
        bytes.put_slice(payload);
        bytes.freeze()
    }

    /// The header and the payload of a datagram of UDP.
    ///
    /// # Errors
    /// If it is none.
    pub(crate) fn split(mut bytes: Bytes) -> Result<(Header, Bytes), Malformed> {
        let Decoded::Whole(header) = Header::decode(&bytes)? else { return Err(Malformed::Short) };
        header.expect(Protocol::Udp)?;
        let payload = bytes.split_off(header.length());
        if payload.len() > MAX_PAYLOAD {
            return Err(Malformed::Payload(payload.len()));
        }
        Ok((header, payload))
    }

    /// Streams in both directions carry TCP, all else UDP.
    ///
    /// # Errors
    /// If it is of the other one.
    pub(crate) fn expect(&self, protocol: Protocol) -> Result<(), Malformed> {
        match self.protocol {
            carried if carried == protocol => Ok(()),
            Protocol::Tcp => Err(Malformed::Protocol(TCP)),
            Protocol::Udp => Err(Malformed::Protocol(UDP)),
        }
    }
}

fn fixed_fields([version, protocol, origin]: &[u8; FIXED]) -> Result<(Protocol, Origin), Malformed> {
    if *version != VERSION {
        return Err(Malformed::Version(*version));
    }
    let protocol = match *protocol {
        TCP => Protocol::Tcp,
        UDP => Protocol::Udp,
        other => return Err(Malformed::Protocol(other)),
    };
    let origin = match *origin {
        POD => Origin::Pod,
        OUTSIDE => Origin::Outside,
        other => return Err(Malformed::Origin(other)),
    };
    Ok((protocol, origin))
}
