//! Which full names a name may stand for. Pure.

use super::DOMAIN;

/// A name with fewer dots is looked for in the cluster first: what a kubelet writes to `resolv.conf`.
const NDOTS: usize = 5;

/// Whether it can be a host name at all (RFC 1035 and 2181, with the underscore that Services of others have).
pub(crate) fn is_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

/// The full names to try, in order.
pub(crate) fn candidates(name: &str, namespace: &str) -> Vec<String> {
    if let Some(full) = name.strip_suffix('.') {
        return vec![full.to_owned()];
    }
    let searched = [format!("{namespace}.svc.{DOMAIN}"), format!("svc.{DOMAIN}"), DOMAIN.to_owned()];
    let mut candidates: Vec<String> = searched.iter().map(|domain| format!("{name}.{domain}")).collect();
    let place = if name.matches('.').count() >= NDOTS { 0 } else { candidates.len() };
    candidates.insert(place, name.to_owned());
    candidates
}

/// The name within the cluster's domain, if it is of that.
pub(crate) fn inside_cluster(name: &str) -> Option<&str> {
    if name == DOMAIN {
        return Some("");
    }
    name.strip_suffix(DOMAIN)?.strip_suffix('.')
}
