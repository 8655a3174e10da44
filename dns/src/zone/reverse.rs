//! Names of addresses: those below `in-addr.arpa` and `ip6.arpa` (RFC 1035, section 3.5, and RFC 3596, section 2.5).

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use carob_net::Range;

/// The names of each address, without the zone's suffix; each with how often it was given.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pointers(HashMap<IpAddr, BTreeMap<String, usize>>);

impl Pointers {
    pub(super) fn add(&mut self, address: IpAddr, name: String) {
        *self.0.entry(address).or_default().entry(name).or_default() += 1;
    }

    pub(super) fn remove(&mut self, address: IpAddr, name: &str) {
        let Some(names) = self.0.get_mut(&address) else { return };
        if let Some(times) = names.get_mut(name) {
            *times -= 1;
            if *times == 0 {
                names.remove(name);
            }
        }
        if names.is_empty() {
            self.0.remove(&address);
        }
    }

    pub(super) fn of(&self, address: IpAddr) -> Option<impl Iterator<Item = &str>> {
        self.0.get(&address).map(|names| names.keys().map(String::as_str))
    }
}

/// What a name below one of the two domains stands for: an address, or the beginning of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReverseName {
    /// What is not given is zero.
    pub(super) address: IpAddr,
    /// How many bits are given.
    bits: u8,
}

impl ReverseName {
    /// Reads a name in lower case, without the dot at its end. A label that is no number makes it the name of nothing, which
    /// is for whoever has the domain to say: [`None`].
    pub(super) fn parse(name: &str) -> Option<ReverseName> {
        if let Some(labels) = name.strip_suffix(".in-addr.arpa") {
            let (octets, count) = parts::<4>(labels, octet)?;
            return Some(ReverseName { address: Ipv4Addr::from(octets).into(), bits: 8 * count });
        }
        let (nibbles, count) = parts::<32>(name.strip_suffix(".ip6.arpa")?, nibble)?;
        let bits = nibbles.iter().fold(0_u128, |bits, nibble| bits << 4 | u128::from(*nibble));
        Some(ReverseName { address: Ipv6Addr::from(bits).into(), bits: 4 * count })
    }

    /// The address, if all of it is given.
    pub(super) fn whole(&self) -> Option<IpAddr> {
        (self.bits == if self.address.is_ipv4() { 32 } else { 128 }).then_some(self.address)
    }

    /// The apex of the zone that has this name, if it is one that the range of the cluster's addresses is made of: each ends
    /// at a whole label. A range of /12 is sixteen zones.
    pub(super) fn apex(&self, range: &Range) -> Option<String> {
        let (step, domain) = if self.address.is_ipv4() { (8, "in-addr.arpa") } else { (4, "ip6.arpa") };
        let labels = range.prefix().div_ceil(step);
        (range.contains(self.address) && self.bits >= labels * step).then(|| {
            let part = |place: u8| match self.address {
                IpAddr::V4(address) => address.octets()[usize::from(place)].to_string(),
                IpAddr::V6(address) => format!("{:x}", address.to_bits() >> (124 - 4 * u32::from(place)) & 15),
            };
            (0..labels).rev().map(part).chain([domain.to_owned()]).collect::<Vec<_>>().join(".")
        })
    }
}

/// The labels from the last to the first, and how many there are.
fn parts<const MOST: usize>(labels: &str, read: fn(&str) -> Option<u8>) -> Option<([u8; MOST], u8)> {
    let mut parts = [0; MOST];
    let mut count = 0;
    for label in labels.rsplit('.') {
        *parts.get_mut(usize::from(count))? = read(label)?;
        count += 1;
    }
    Some((parts, count))
}

/// Decimal, and as everybody writes it: without leading zeros.
fn octet(label: &str) -> Option<u8> {
    let plain = label == "0" || label.bytes().all(|byte| byte.is_ascii_digit()) && !label.starts_with('0');
    label.parse().ok().filter(|_| plain)
}

fn nibble(label: &str) -> Option<u8> {
    u8::from_str_radix(label, 16).ok().filter(|_| label.len() == 1 && label != "+")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_addresses_are_read_backwards() {
        let v6 = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa";
        for (name, address, bits) in [
            ("1.0.96.10.in-addr.arpa", "10.96.0.1", 32),
            ("96.10.in-addr.arpa", "10.96.0.0", 16),
            (v6, "fd00::1", 128),
            ("0.d.f.ip6.arpa", "fd00::", 12),
        ] {
            let expected = ReverseName { address: address.parse().unwrap(), bits };
            assert_eq!(ReverseName::parse(name), Some(expected), "{name}");
        }
        for name in [
            "in-addr.arpa",
            "1.2.3.4.5.in-addr.arpa",
            "01.0.96.10.in-addr.arpa",
            "256.in-addr.arpa",
            "+1.in-addr.arpa",
            ".in-addr.arpa",
            "g.ip6.arpa",
            "10.ip6.arpa",
            "1.0.96.10.example",
        ] {
            assert_eq!(ReverseName::parse(name), None, "{name}");
        }
    }

    #[test]
    fn a_range_is_made_of_zones_that_end_at_whole_labels() {
        let range = |first: &str, prefix| Range::new(first.parse().unwrap(), prefix);
        for (name, range, apex) in [
            ("1.0.96.10.in-addr.arpa", range("10.96.0.0", 16), Some("96.10.in-addr.arpa")),
            ("96.10.in-addr.arpa", range("10.96.0.0", 16), Some("96.10.in-addr.arpa")),
            ("10.in-addr.arpa", range("10.96.0.0", 16), None),
            ("1.0.97.10.in-addr.arpa", range("10.96.0.0", 16), None),
            ("1.0.97.10.in-addr.arpa", range("10.96.0.0", 12), Some("97.10.in-addr.arpa")),
            ("1.0.96.10.in-addr.arpa", range("fd00::", 8), None),
            ("7.0.d.f.ip6.arpa", range("fd00::", 8), Some("d.f.ip6.arpa")),
        ] {
            assert_eq!(ReverseName::parse(name).unwrap().apex(&range).as_deref(), apex, "{name}");
        }
    }
}
