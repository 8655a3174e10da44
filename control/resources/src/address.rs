use crate::cause::Causes;
use crate::{Cause, Path};
use std::net::IpAddr;

/// What a text that is no address is told.
pub(crate) const NOT_AN_IP: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";

/// Refuses what is no address that a Pod could have: those of the host itself, of one link, of everybody.
pub(crate) fn check_address(ip: &str, path: &Path, found: &mut Causes) {
    let Ok(address) = ip.parse::<IpAddr>() else {
        found.push(Cause::invalid(path, ip, NOT_AN_IP));
        return;
    };
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    let ranges = [
        (address.is_unspecified(), format!("may not be unspecified ({ip})")),
        (address.is_loopback(), "may not be in the loopback range (127.0.0.0/8, ::1/128)".to_owned()),
        (link_local, "may not be in the link-local range (169.254.0.0/16, fe80::/10)".to_owned()),
        (address.is_multicast(), "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)".to_owned()),
    ];
    found.extend(ranges.iter().filter(|(inside, _)| *inside).map(|(_, detail)| Cause::invalid(path, ip, detail)));
}
