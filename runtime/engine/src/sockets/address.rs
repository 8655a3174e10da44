use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::error::Code;

/// A socket has one for good: IPv6 sockets carry IPv6 only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    /// Any address of the host, any port: where a socket is bound that was not told.
    pub(super) fn unspecified(self) -> SocketAddr {
        match self {
            Family::V4 => SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0),
            Family::V6 => SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0),
        }
    }

    fn has(self, ip: IpAddr) -> bool {
        match (self, ip) {
            (Family::V4, IpAddr::V4(_)) => true,
            (Family::V6, IpAddr::V6(ip)) => ip.to_ipv4_mapped().is_none() && !is_ipv4_compatible(ip),
            _ => false,
        }
    }

    /// Whether a TCP socket may ask for this local address.
    pub(super) fn tcp_local(self, address: SocketAddr) -> Result<(), Code> {
        valid(self.has(address.ip()) && is_unicast(address.ip()))
    }

    /// Whether a TCP socket may connect there.
    pub(super) fn tcp_remote(self, address: SocketAddr) -> Result<(), Code> {
        valid(self.has(address.ip()) && is_unicast(address.ip()) && is_somewhere(address))
    }

    /// Whether a UDP socket may ask for this local address.
    pub(super) fn udp_local(self, address: SocketAddr) -> Result<(), Code> {
        valid(self.has(address.ip()))
    }

    /// Whether a UDP socket may send there.
    pub(super) fn udp_remote(self, address: SocketAddr) -> Result<(), Code> {
        valid(self.has(address.ip()) && is_somewhere(address))
    }
}

fn valid(condition: bool) -> Result<(), Code> {
    if condition { Ok(()) } else { Err(Code::InvalidArgument) }
}

/// `::a.b.c.d`, deprecated since 2006; WASI has them refused.
fn is_ipv4_compatible(ip: Ipv6Addr) -> bool {
    ip.segments()[..6] == [0; 6] && ip != Ipv6Addr::UNSPECIFIED && ip != Ipv6Addr::LOCALHOST
}

fn is_unicast(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => !ip.is_multicast() && !ip.is_broadcast(),
        IpAddr::V6(ip) => !ip.is_multicast(),
    }
}

fn is_somewhere(address: SocketAddr) -> bool {
    !address.ip().is_unspecified() && address.port() != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_family_and_the_kind_of_address_decide() {
        use Family::{V4, V6};
        // Family, address; may TCP bind it, connect to it, UDP bind it, send to it.
        let cases = [
            (V4, "127.0.0.1:80", [true, true, true, true]),
            (V4, "0.0.0.0:0", [true, false, true, false]),
            (V4, "10.0.0.1:0", [true, false, true, false]),
            (V4, "0.0.0.0:80", [true, false, true, false]),
            (V4, "224.0.0.1:80", [false, false, true, true]),
            (V4, "255.255.255.255:80", [false, false, true, true]),
            (V4, "[::1]:80", [false, false, false, false]),
            (V6, "[::1]:80", [true, true, true, true]),
            (V6, "[::]:80", [true, false, true, false]),
            (V6, "[ff02::1]:80", [false, false, true, true]),
            (V6, "[::ffff:127.0.0.1]:80", [false, false, false, false]),
            (V6, "[::127.0.0.1]:80", [false, false, false, false]),
            (V6, "127.0.0.1:80", [false, false, false, false]),
        ];
        for (family, text, expected) in cases {
            let address = text.parse().unwrap();
            let found = [
                family.tcp_local(address),
                family.tcp_remote(address),
                family.udp_local(address),
                family.udp_remote(address),
            ];
            assert_eq!(found.map(|result| result.is_ok()), expected, "{family:?} {text}");
        }
    }
}
