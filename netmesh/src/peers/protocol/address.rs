//! An address and port: a byte for the family (4 or 6), the address, the port; in network order.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::BufMut;

use super::{Decoded, Malformed};

const V4: u8 = 4;
const V6: u8 = 6;

pub(super) fn encode(address: SocketAddr, into: &mut impl BufMut) {
    match address.ip() {
        IpAddr::V4(ip) => {
            into.put_u8(V4);
            into.put_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            into.put_u8(V6);
            into.put_slice(&ip.octets());
        }
    }
    into.put_u16(address.port());
}

pub(super) fn length(address: SocketAddr) -> usize {
    if address.is_ipv4() { 7 } else { 19 }
}

/// The address that `bytes` begins with.
pub(super) fn decode(bytes: &[u8]) -> Result<Decoded<SocketAddr>, Malformed> {
    let (ip, port) = match bytes {
        [] => return Ok(Decoded::Needs(1)),
        [V4, a, b, c, d, high, low, ..] => (Ipv4Addr::new(*a, *b, *c, *d).into(), [*high, *low]),
        [V4, ..] => return Ok(Decoded::Needs(7)),
        [V6, rest @ ..] => match rest.split_first_chunk::<16>() {
            Some((ip, [high, low, ..])) => (Ipv6Addr::from(*ip).into(), [*high, *low]),
            _ => return Ok(Decoded::Needs(19)),
        },
        [family, ..] => return Err(Malformed::Family(*family)),
    };
    let port = u16::from_be_bytes(port);
    if port == 0 || !is_somebodys(ip) {
        return Err(Malformed::Address);
    }
    Ok(Decoded::Whole(SocketAddr::new(ip, port)))
}

/// Whether a single machine, not this one, may have the address. An IPv4 address is never written as IPv6: it would have two
/// encodings, and pass for another address where ranges are compared.
fn is_somebodys(ip: IpAddr) -> bool {
    let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    !(ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || is_broadcast || ip.to_canonical() != ip)
}
