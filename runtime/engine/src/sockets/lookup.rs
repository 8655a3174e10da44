use std::net::{IpAddr, Ipv6Addr};

use carob_net::Network;
use futures::FutureExt;
use futures::future::BoxFuture;
use url::Host;

use super::error::Code;

/// The addresses of a name, best first.
pub(super) type Lookup = BoxFuture<'static, Result<Vec<IpAddr>, Code>>;

/// Asks the network for `name`, in Unicode or not; an address written out is its own answer.
pub(super) fn resolve(network: &dyn Network, name: &str) -> Result<Lookup, Code> {
    let asked = match parse(name)? {
        Host::Domain(name) => network.resolve(&name),
        Host::Ipv4(ip) => network.resolve(&ip.to_string()),
        Host::Ipv6(ip) => network.resolve(&ip.to_string()),
    };
    Ok(asked.map(|answer| answer.map(canonical).map_err(Code::from)).boxed())
}

fn canonical(found: Vec<IpAddr>) -> Vec<IpAddr> {
    found.into_iter().map(|ip| ip.to_canonical()).collect()
}

fn parse(name: &str) -> Result<Host, Code> {
    let bare = name.parse::<Ipv6Addr>().map(Host::Ipv6);
    bare.or_else(|_| Host::parse(name)).map_err(|_| Code::InvalidArgument)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_told_apart() {
        let domain = |name: &str| Ok(Host::Domain(name.to_owned()));
        let cases = [
            ("web.shop.svc.cluster.local", domain("web.shop.svc.cluster.local")),
            ("Straße.example", domain("xn--strae-oqa.example")),
            ("10.0.0.1", Ok(Host::Ipv4([10, 0, 0, 1].into()))),
            ("::1", Ok(Host::Ipv6(Ipv6Addr::LOCALHOST))),
            ("[::1]", Ok(Host::Ipv6(Ipv6Addr::LOCALHOST))),
            ("", Err(Code::InvalidArgument)),
            ("a b", Err(Code::InvalidArgument)),
            ("web:80", Err(Code::InvalidArgument)),
        ];
        for (name, expected) in cases {
            assert_eq!(parse(name), expected, "{name:?}");
        }
    }
}
