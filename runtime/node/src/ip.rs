//! Addresses for Pods.

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;
use std::sync::Arc;

use parking_lot::Mutex;

/// A range of IPv4 addresses, such as `10.244.0.0/18`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cidr {
    first: u32,
    prefix: u8,
}

/// What is wrong with a range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a range of IPv4 addresses such as 10.244.0.0/18, with a prefix from 1 to 30")]
pub(crate) struct CidrError(String);

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Cidr, CidrError> {
        let parse = || {
            let (address, prefix) = text.split_once('/')?;
            let prefix = prefix.parse().ok().filter(|prefix| (1..=30).contains(prefix))?;
            let mask = u32::MAX << (32 - u32::from(prefix));
            let address: Ipv4Addr = address.parse().ok()?;
            Some(Cidr { first: address.to_bits() & mask, prefix })
        };
        parse().ok_or_else(|| CidrError(text.to_owned()))
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from_bits(self.first), self.prefix)
    }
}

impl Cidr {
    /// Addresses that a Pod can have: all but the network's own, the first (a gateway's, by custom) and the last.
    pub(crate) fn size(&self) -> u32 {
        (1 << (32 - self.prefix)) - 3
    }

    fn address(&self, n: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.first + 2 + n)
    }

    fn number(&self, address: Ipv4Addr) -> Option<u32> {
        address.to_bits().checked_sub(self.first + 2).filter(|n| *n < self.size())
    }
}

/// The addresses of one node's Pods. An address is given to one Pod at a time, and comes round again as late as possible.
#[derive(Clone, Default)]
pub(crate) struct PodIps {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    /// None until the cluster has given the node one.
    range: Option<Cidr>,
    used: BTreeSet<Ipv4Addr>,
    next: u32,
}

impl PodIps {
    /// New Pods get their addresses from this range from now on; those that have one keep it.
    pub(crate) fn draw_from(&self, range: Cidr) {
        self.inner.lock().range = Some(range);
    }

    /// An address that nobody has, or `None` if there is none left.
    pub(crate) fn assign(&self) -> Option<PodIp> {
        let mut inner = self.inner.lock();
        let range = inner.range?;
        let size = range.size();
        let free = (0..size).map(|n| (inner.next + n) % size).find(|n| !inner.used.contains(&range.address(*n)))?;
        inner.used.insert(range.address(free));
        inner.next = (free + 1) % size;
        Some(PodIp { ips: self.clone(), address: range.address(free) })
    }

    /// The very address, if it is of this range and nobody has it.
    pub(crate) fn claim(&self, address: Ipv4Addr) -> Option<PodIp> {
        let mut inner = self.inner.lock();
        let range = inner.range?;
        let number = range.number(address)?;
        if !inner.used.insert(address) {
            return None;
        }
        inner.next = inner.next.max(number + 1) % range.size();
        drop(inner);
        Some(PodIp { ips: self.clone(), address })
    }
}

/// A Pod's address; dropping it gives it back.
pub(crate) struct PodIp {
    ips: PodIps,
    address: Ipv4Addr,
}

impl PodIp {
    pub(crate) fn address(&self) -> Ipv4Addr {
        self.address
    }
}

impl Drop for PodIp {
    fn drop(&mut self) {
        self.ips.inner.lock().used.remove(&self.address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_parsed_and_printed() {
        assert_eq!("10.244.3.7/18".parse::<Cidr>().unwrap().to_string(), "10.244.0.0/18");
        for bad in ["10.244.0.0", "10.244.0.0/31", "10.244.0.0/0", "10.244.0/18", "fd00::/64", ""] {
            assert!(bad.parse::<Cidr>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_is_not_given_twice_while_in_use_and_comes_round_last() {
        let ips = PodIps::default();
        assert!(ips.assign().is_none(), "it has no range yet");
        ips.draw_from("10.0.0.0/29".parse().unwrap());
        let mut held: Vec<_> = std::iter::from_fn(|| ips.assign()).collect();
        let addresses: Vec<_> = held.iter().map(|ip| ip.address().to_string()).collect();
        assert_eq!(addresses, ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]);

        held.remove(3);
        held.remove(0);
        assert_eq!(ips.assign().unwrap().address().to_string(), "10.0.0.2");
        assert_eq!(ips.assign().unwrap().address().to_string(), "10.0.0.5");
    }

    #[test]
    fn a_claimed_address_is_taken() {
        let ips = PodIps::default();
        assert!(ips.assign().is_none(), "it has no range yet");
        ips.draw_from("10.0.0.0/29".parse().unwrap());
        let held = ips.claim("10.0.0.4".parse().unwrap()).unwrap();
        assert!(ips.claim("10.0.0.4".parse().unwrap()).is_none());
        assert!(ips.claim("10.0.0.7".parse().unwrap()).is_none());
        assert!(ips.claim("10.0.1.2".parse().unwrap()).is_none());
        drop(held);
        assert!(ips.claim("10.0.0.4".parse().unwrap()).is_some());
    }
}
