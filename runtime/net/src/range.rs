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

#[cfg(test)]
mod tests {
    use super::*;

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
