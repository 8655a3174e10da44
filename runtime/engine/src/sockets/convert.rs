/// Conversions of addresses from and to the bindings of one version of WASI: they are of two sets of types, alike but for
/// where they are.
macro_rules! address_conversions {
    ($($bindings:ident)::+) => {
        use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};

        use $($bindings)::+::{IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress};
        use $crate::sockets::address::Family;

        impl From<IpAddressFamily> for Family {
            fn from(family: IpAddressFamily) -> Family {
                match family {
                    IpAddressFamily::Ipv4 => Family::V4,
                    IpAddressFamily::Ipv6 => Family::V6,
                }
            }
        }

        impl From<Family> for IpAddressFamily {
            fn from(family: Family) -> IpAddressFamily {
                match family {
                    Family::V4 => IpAddressFamily::Ipv4,
                    Family::V6 => IpAddressFamily::Ipv6,
                }
            }
        }

        impl From<IpAddr> for IpAddress {
            fn from(ip: IpAddr) -> IpAddress {
                match ip {
                    IpAddr::V4(ip) => IpAddress::Ipv4(ip.octets().into()),
                    IpAddr::V6(ip) => IpAddress::Ipv6(ip.segments().into()),
                }
            }
        }

        impl From<IpSocketAddress> for SocketAddr {
            fn from(address: IpSocketAddress) -> SocketAddr {
                match address {
                    IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address }) => {
                        SocketAddrV4::new(<[u8; 4]>::from(address).into(), port).into()
                    }
                    IpSocketAddress::Ipv6(Ipv6SocketAddress { port, flow_info, address, scope_id }) => {
                        SocketAddrV6::new(<[u16; 8]>::from(address).into(), port, flow_info, scope_id).into()
                    }
                }
            }
        }

        impl From<SocketAddr> for IpSocketAddress {
            fn from(address: SocketAddr) -> IpSocketAddress {
                match address {
                    SocketAddr::V4(v4) => {
                        IpSocketAddress::Ipv4(Ipv4SocketAddress { port: v4.port(), address: v4.ip().octets().into() })
                    }
                    SocketAddr::V6(v6) => IpSocketAddress::Ipv6(Ipv6SocketAddress {
                        port: v6.port(),
                        flow_info: v6.flowinfo(),
                        address: v6.ip().segments().into(),
                        scope_id: v6.scope_id(),
                    }),
                }
            }
        }
    };
}

pub(super) use address_conversions;
