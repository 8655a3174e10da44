use std::fmt;
use std::net::IpAddr;

/// A range of addresses that are the cluster's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    first: IpAddr,
    prefix: u8,
}

impl Range {
    /// The addresses that have the first `prefix` bits in common with `first`.
    pub const fn new(first: IpAddr, prefix: u8) -> Range {
        Range { first, prefix }
    }

    /// Reads CIDR notation, such as `10.244.0.0/16`; `None` if it is none.
    pub fn parse(text: &str) -> Option<Range> {
        let (ip, prefix) = text.split_once('/')?;
        let first: IpAddr = ip.parse().ok()?;
        let most = if first.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.parse().ok().filter(|prefix| *prefix <= most)?;
        Some(Range { first, prefix })
    }

    /// The lowest of its addresses.
    pub fn first(&self) -> IpAddr {
        let beyond = u32::from(self.prefix);
        match self.first {
            IpAddr::V4(ip) => IpAddr::from((ip.to_bits() & !u32::MAX.checked_shr(beyond).unwrap_or(0)).to_be_bytes()),
            IpAddr::V6(ip) => IpAddr::from((ip.to_bits() & !u128::MAX.checked_shr(beyond).unwrap_or(0)).to_be_bytes()),
        }
    }

    /// How many bits the addresses have in common.
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether `ip` is one of them.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.first, ip) {
            (IpAddr::V4(first), IpAddr::V4(ip)) => {
                let differ = first.to_bits() ^ ip.to_bits();
                differ.leading_zeros() >= u32::from(self.prefix)
            }
            (IpAddr::V6(first), IpAddr::V6(ip)) => {
                let differ = first.to_bits() ^ ip.to_bits();
                differ.leading_zeros() >= u32::from(self.prefix)
            }
            _ => false,
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}/{}", self.first, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_begins_with_its_lowest_address() {
        for (text, first) in [
            ("10.244.1.9/24", "10.244.1.0"),
            ("10.244.1.9/0", "0.0.0.0"),
            ("10.244.1.9/32", "10.244.1.9"),
            ("fd00::1:2:3/64", "fd00::"),
            ("fd00::1/128", "fd00::1"),
        ] {
            let range = Range::parse(text).unwrap();
            assert_eq!((range.first().to_string(), range.to_string()), (first.into(), text.into()));
        }
    }

    #[test]
    fn a_range_has_its_first_and_last_address_and_no_more() {
        let range = Range::new("10.244.0.0".parse().unwrap(), 18);
        for (ip, inside) in [
            ("10.244.0.0", true),
            ("10.244.63.255", true),
            ("10.244.64.0", false),
            ("10.243.255.255", false),
            ("fd00::1", false),
        ] {
            assert_eq!(range.contains(ip.parse().unwrap()), inside, "{ip}");
        }
        assert!(Range::new("fd00::".parse().unwrap(), 64).contains("fd00::ffff:1".parse().unwrap()));
        assert!(Range::new("0.0.0.0".parse().unwrap(), 0).contains("255.255.255.255".parse().unwrap()));
    }

    #[test]
    fn a_range_is_read_as_it_is_written() {
        assert_eq!(Range::parse("10.244.0.0/16"), Some(Range::new("10.244.0.0".parse().unwrap(), 16)));
        assert_eq!(Range::parse("fd00::/8"), Some(Range::new("fd00::".parse().unwrap(), 8)));
        for wrong in ["", "10.0.0.0", "10.0.0.0/33", "fd00::/129", "10.0.0/8", "10.0.0.0/-1", "10.0.0.0/"] {
            assert_eq!(Range::parse(wrong), None, "{wrong}");
        }
    }
}
