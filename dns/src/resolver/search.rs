//! Which full names a name may stand for. Pure.

use carob_net::Names;

/// The longest that a name can be.
const MOST_BYTES: usize = 253;

/// The full names to try, in order, for a name in lower case: in lower case, without the dot at their end.
pub(super) fn candidates(name: &str, names: &Names) -> Vec<String> {
    if let Some(full) = name.strip_suffix('.') {
        return vec![full.to_owned()];
    }
    let mut candidates: Vec<String> = names.search.iter().map(|domain| format!("{name}.{domain}")).collect();
    let place = if name.matches('.').count() >= names.ndots() { 0 } else { candidates.len() };
    candidates.insert(place, name.to_owned());
    candidates.retain(|candidate| candidate.len() <= MOST_BYTES);
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_searched_first_unless_it_has_many_dots() {
        let names = |ndots: &str| Names {
            search: vec!["shop.svc.cluster.local".into(), "cluster.local".into()],
            options: vec![("ndots".into(), Some(ndots.into()))],
            ..Names::default()
        };
        let (shop, cluster) = ("shop.svc.cluster.local", "cluster.local");
        for (name, ndots, expected) in [
            ("web", "5", vec![format!("web.{shop}"), format!("web.{cluster}"), "web".into()]),
            ("a.b", "2", vec![format!("a.b.{shop}"), format!("a.b.{cluster}"), "a.b".into()]),
            ("a.b.c", "2", vec!["a.b.c".into(), format!("a.b.c.{shop}"), format!("a.b.c.{cluster}")]),
            ("example.com.", "5", vec!["example.com".into()]),
        ] {
            assert_eq!(candidates(name, &names(ndots)), expected, "{name}");
        }
        let long = ["x"; 121].join(".");
        assert_eq!(candidates(&long, &names("1")), std::slice::from_ref(&long), "nothing fits behind it");
    }
}
