use wasip2::sockets::network::{IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress};

/// The loopback of one family.
#[derive(Clone, Copy)]
pub struct Loopback(pub IpAddressFamily);

impl Loopback {
    pub fn at(self, port: u16) -> IpSocketAddress {
        match self.0 {
            IpAddressFamily::Ipv4 => v4((127, 0, 0, 1), port),
            IpAddressFamily::Ipv6 => v6([0, 0, 0, 0, 0, 0, 0, 1], port),
        }
    }

    pub fn unspecified(self, port: u16) -> IpSocketAddress {
        match self.0 {
            IpAddressFamily::Ipv4 => v4((0, 0, 0, 0), port),
            IpAddressFamily::Ipv6 => v6([0; 8], port),
        }
    }

    /// An address of the other family.
    pub fn other(self) -> IpSocketAddress {
        match self.0 {
            IpAddressFamily::Ipv4 => Loopback(IpAddressFamily::Ipv6).at(0),
            IpAddressFamily::Ipv6 => Loopback(IpAddressFamily::Ipv4).at(0),
        }
    }

    /// An address for documentation, which nobody has.
    pub fn foreign(self, port: u16) -> IpSocketAddress {
        match self.0 {
            IpAddressFamily::Ipv4 => v4((192, 0, 2, 1), port),
            IpAddressFamily::Ipv6 => v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], port),
        }
    }

    pub fn multicast(self) -> IpSocketAddress {
        match self.0 {
            IpAddressFamily::Ipv4 => v4((224, 0, 0, 1), 80),
            IpAddressFamily::Ipv6 => v6([0xff02, 0, 0, 0, 0, 0, 0, 1], 80),
        }
    }

    /// An IPv4 address in the clothes of IPv6, or one that is for everybody.
    pub fn odd(self) -> IpSocketAddress {
        match self.0 {
            IpAddressFamily::Ipv4 => v4((255, 255, 255, 255), 80),
            IpAddressFamily::Ipv6 => v6([0, 0, 0, 0, 0, 0xffff, 0x7f00, 1], 80),
        }
    }
}

fn v4(address: (u8, u8, u8, u8), port: u16) -> IpSocketAddress {
    IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address })
}

fn v6([a, b, c, d, e, f, g, h]: [u16; 8], port: u16) -> IpSocketAddress {
    let address = (a, b, c, d, e, f, g, h);
    IpSocketAddress::Ipv6(Ipv6SocketAddress { port, flow_info: 0, address, scope_id: 0 })
}

pub fn port(address: IpSocketAddress) -> u16 {
    match address {
        IpSocketAddress::Ipv4(address) => address.port,
        IpSocketAddress::Ipv6(address) => address.port,
    }
}

/// The address without its port, and whether it has one.
pub fn shape(address: IpSocketAddress) -> (String, bool) {
    let ip = match address {
        IpSocketAddress::Ipv4(address) => format!("{:?}", address.address),
        IpSocketAddress::Ipv6(address) => format!("{:?}", address.address),
    };
    (ip, port(address) != 0)
}
