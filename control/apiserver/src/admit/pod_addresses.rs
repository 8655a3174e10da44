//! Which addresses a node may say that its Pods have: those of its own ranges. Whoever asks for the Pod by its Service, and
//! every policy that lets it in, goes by what its status says.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::Value;

/// An address that the Pod says it has, did not have before, and that is none of the node's, who is asked for if it matters.
pub(super) fn claimed<'a>(new: &'a Value, old: &'a Value, node: impl FnOnce() -> Value) -> Option<&'a str> {
    let before = addresses(old);
    let added: Vec<_> = addresses(new).difference(&before).copied().collect();
    if added.is_empty() {
        return None;
    }
    let node = node();
    added.into_iter().find(|address| !is_of(&node, address))
}

fn addresses(pod: &Value) -> BTreeSet<&str> {
    let all = pod["status"]["podIPs"].as_array().into_iter().flatten().map(|entry| &entry["ip"]);
    all.chain([&pod["status"]["podIP"]]).filter_map(Value::as_str).filter(|address| !address.is_empty()).collect()
}

fn is_of(node: &Value, address: &str) -> bool {
    let more = node["spec"]["podCIDRs"].as_array().into_iter().flatten();
    let mut ranges = more.chain([&node["spec"]["podCIDR"]]).filter_map(Value::as_str);
    ranges.any(|range| is_within(address, range).unwrap_or(false))
}

/// Nothing if one of them cannot be read.
fn is_within(address: &str, range: &str) -> Option<bool> {
    let (first, length) = range.split_once('/')?;
    let (address, first, length) = (address.parse().ok()?, first.parse().ok()?, length.parse::<u32>().ok()?);
    Some(match (address, first) {
        (IpAddr::V4(address), IpAddr::V4(first)) => {
            let differs = address.to_bits() ^ first.to_bits();
            differs.checked_shr(32_u32.checked_sub(length)?).unwrap_or(0) == 0
        }
        (IpAddr::V6(address), IpAddr::V6(first)) => {
            let differs = address.to_bits() ^ first.to_bits();
            differs.checked_shr(128_u32.checked_sub(length)?).unwrap_or(0) == 0
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_address_is_the_nodes_own_or_was_there_before() {
        let node = json!({ "spec": { "podCIDR": "10.244.1.0/24", "podCIDRs": ["10.244.1.0/24", "fd00:1::/64"] } });
        let status = |ips: &[&str]| {
            let all: Vec<_> = ips.iter().map(|ip| json!({ "ip": ip })).collect();
            json!({ "status": { "podIP": ips.first(), "podIPs": all } })
        };
        let cases: [(&[&str], &[&str], Option<&str>); 8] = [
            (&[], &[], None),
            (&["10.244.1.1", "fd00:1::7"], &[], None),
            (&["10.244.1.255"], &[], None),
            (&["10.244.2.1"], &[], Some("10.244.2.1")),
            (&["10.244.1.1", "fd00:2::7"], &[], Some("fd00:2::7")),
            (&["10.244.2.1"], &["10.244.2.1"], None),
            (&["fd00:1::7"], &["10.244.2.1"], None),
            (&["anything"], &[], Some("anything")),
        ];
        for (new, old, expected) in cases {
            assert_eq!(claimed(&status(new), &status(old), || node.clone()), expected, "{new:?} after {old:?}");
        }
        assert_eq!(claimed(&status(&["10.0.0.1"]), &Value::Null, || json!({})), Some("10.0.0.1"), "it has no range");
        assert_eq!(is_within("10.0.0.1", "0.0.0.0/0"), Some(true));
        assert_eq!(is_within("10.0.0.1", "10.0.0.0/33"), None);
    }
}
