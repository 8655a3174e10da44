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
}
