use std::sync::Arc;

use serde_json::{Value, from_value, json};

use super::*;
use crate::ingress::figures::RouteFigures;
use crate::ingress::rules::{self, Backend};

/// An Ingress whose rules are `(host, path, type, service)`, made in the given second.
fn ingress(name: &str, second: u32, rules: &[(&str, &str, &str, &str)], default: Option<&str>) -> Rules {
    let backend = |service: &str| json!({"service": {"name": service, "port": {"number": 80}}});
    let rule = |&(host, path, kind, service): &(&str, &str, &str, &str)| {
        let paths = json!([{"path": path, "pathType": kind, "backend": backend(service)}]);
        let host = (!host.is_empty()).then_some(host);
        json!({"host": host, "http": {"paths": paths}})
    };
    let rules: Vec<Value> = rules.iter().map(rule).collect();
    let made = format!("2026-01-01T00:00:{second:02}Z");
    let object = json!({
        "metadata": {"namespace": "default", "name": name, "creationTimestamp": made},
        "spec": {"rules": rules, "defaultBackend": default.map(backend)},
    });
    rules::read(&from_value(object).unwrap())
}

fn routes(ingresses: &[Rules]) -> Routes {
    Routes::new(ingresses, |_| Arc::new(RouteFigures::default()))
}

fn found(routes: &Routes, host: &str, path: &str) -> String {
    match routes.find(host, path).map(|route| &route.backend) {
        Some(Backend::Service { service, .. }) => service.name.to_string(),
        Some(Backend::Unserved(why)) => (*why).to_owned(),
        None => "-".to_owned(),
    }
}

/// The table of the API's documentation, row by row.
#[test]
fn paths_match_as_the_documentation_says() {
    let cases: &[(&str, &[&str], &[&str], &str)] = &[
        ("Prefix", &["/"], &["/", "/a", "/a/b"], "/"),
        ("Exact", &["/foo"], &["/foo"], "/foo"),
        ("Exact", &["/foo"], &["/bar", "/foo/", "/Foo"], "-"),
        ("Exact", &["/foo/"], &["/foo"], "-"),
        ("Exact", &["/foo/"], &["/foo/"], "/foo/"),
        ("Prefix", &["/foo"], &["/foo", "/foo/"], "/foo"),
        ("Prefix", &["/foo/"], &["/foo", "/foo/"], "/foo/"),
        ("Prefix", &["/aaa/bb"], &["/aaa/bbb"], "-"),
        ("Prefix", &["/aaa/bbb"], &["/aaa/bbb", "/aaa/bbb/", "/aaa/bbb/ccc"], "/aaa/bbb"),
        ("Prefix", &["/aaa/bbb/"], &["/aaa/bbb"], "/aaa/bbb/"),
        ("Prefix", &["/aaa/bbb"], &["/aaa/bbbxyz", "/AAA/bbb"], "-"),
        ("Prefix", &["/", "/aaa"], &["/aaa/ccc"], "/aaa"),
        ("Prefix", &["/", "/aaa", "/aaa/bbb"], &["/aaa/bbb"], "/aaa/bbb"),
        ("Prefix", &["/", "/aaa", "/aaa/bbb"], &["/ccc"], "/"),
        ("Prefix", &["/aaa"], &["/ccc"], "-"),
        ("ImplementationSpecific", &[""], &["/", "/a"], ""),
        ("ImplementationSpecific", &["/foo"], &["/foo", "/foo/bar"], "/foo"),
        ("ImplementationSpecific", &["/foo"], &["/foobar", "/"], "-"),
    ];
    for (kind, rules, requests, expected) in cases {
        let rules: Vec<_> = rules.iter().map(|path| ("", *path, *kind, *path)).collect();
        let routes = routes(&[ingress("i", 0, &rules, None)]);
        for request in *requests {
            assert_eq!(found(&routes, "any.example", request), *expected, "{kind} {rules:?} {request}");
        }
    }
}

#[test]
fn of_the_same_path_the_exact_one_is_preferred() {
    let rules =
        [("", "/foo", "Prefix", "prefix"), ("", "/foo", "Exact", "exact"), ("", "/foo/bar", "Prefix", "longer")];
    let routes = routes(&[ingress("i", 0, &rules, None)]);
    let cases = [("/foo", "exact"), ("/foo/", "prefix"), ("/foo/bar", "longer"), ("/foo/baz", "prefix")];
    for (path, expected) in cases {
        assert_eq!(found(&routes, "a.example", path), expected, "{path}");
    }
}

#[test]
fn hosts_match_as_the_documentation_says() {
    let rules = [("*.foo.com", "/", "Prefix", "wildcard"), ("foo.bar.com", "/", "Prefix", "exact")];
    let routes = routes(&[ingress("i", 0, &rules, None)]);
    let cases = [
        ("bar.foo.com", "wildcard"),
        ("baz.bar.foo.com", "-"),
        ("foo.com", "-"),
        (".foo.com", "wildcard"),
        ("foo.bar.com", "exact"),
        ("bar.com", "-"),
        ("", "-"),
    ];
    for (host, expected) in cases {
        assert_eq!(found(&routes, host, "/"), expected, "{host}");
    }
}

#[test]
fn an_exact_host_comes_before_a_wildcard_and_that_before_none() {
    let rules = [
        ("", "/long/path", "Prefix", "none"),
        ("*.foo.com", "/long", "Prefix", "wildcard"),
        ("a.foo.com", "/", "Prefix", "exact"),
        ("b.foo.com", "/b", "Prefix", "only-b"),
    ];
    let routes = routes(&[ingress("i", 0, &rules, None)]);
    let cases = [
        ("a.foo.com", "/long/path", "exact"),
        ("c.foo.com", "/long/path", "wildcard"),
        ("c.example", "/long/path", "none"),
        // A rule without a host is for every host, one with rules of its own included.
        ("b.foo.com", "/long/path", "wildcard"),
        ("b.foo.com", "/other", "-"),
    ];
    for (host, path, expected) in cases {
        assert_eq!(found(&routes, host, path), expected, "{host}{path}");
    }
}

#[test]
fn what_no_rule_means_goes_to_the_default_backend_of_the_ingress_that_names_the_host() {
    let ingresses = [
        ingress("first", 0, &[], Some("oldest")),
        ingress("second", 1, &[("a.example", "/x", "Prefix", "x")], Some("of-a")),
        ingress("third", 2, &[("b.example", "/x", "Prefix", "x")], None),
    ];
    let routes = routes(&ingresses);
    let cases = [
        ("a.example", "/x", "x"),
        ("a.example", "/y", "of-a"),
        ("b.example", "/y", "oldest"),
        ("c.example", "/", "oldest"),
    ];
    for (host, path, expected) in cases {
        assert_eq!(found(&routes, host, path), expected, "{host}{path}");
    }
    assert_eq!(found(&Routes::default(), "a.example", "/"), "-");
}

#[test]
fn where_two_ingresses_say_the_same_the_older_has_it() {
    let mut ingresses = [
        ingress("a-younger", 5, &[("a.example", "/", "Prefix", "younger")], Some("younger")),
        ingress("z-older", 1, &[("a.example", "/", "Prefix", "older")], Some("older")),
    ];
    ingresses.sort_by(|one, other| one.age.cmp(&other.age));
    let routes = routes(&ingresses);
    assert_eq!(found(&routes, "a.example", "/"), "older");
    assert_eq!(found(&routes, "b.example", "/"), "older");
}

/// What the documentation says, rule by rule, without any table.
fn by_the_book<'a>(rules: &'a [(&str, &str, &str, String)], host: &str, path: &str) -> Option<&'a str> {
    let host_rank = |rule: &str| match rule.strip_prefix("*.") {
        _ if rule == host => Some(0),
        Some(parent) if host.split_once('.').is_some_and(|(_, rest)| rest == parent) => Some(1),
        None if rule.is_empty() => Some(2),
        _ => None,
    };
    let elements = |path: &str| path.split('/').filter(|element| !element.is_empty()).count();
    let fits = |kind: &str, rule: &str| match kind {
        "Exact" => rule == path,
        _ => {
            let (rule, path): (Vec<_>, Vec<_>) = (rule.split('/').collect(), path.split('/').collect());
            let rule: Vec<_> = rule.into_iter().filter(|element| !element.is_empty()).collect();
            let path: Vec<_> = path.into_iter().skip(1).collect();
            path.len() >= rule.len() && path[..rule.len()] == rule[..]
        }
    };
    let matching = rules.iter().enumerate().filter_map(|(age, (rule, path, kind, service))| {
        let rank = host_rank(rule).filter(|_| fits(kind, path))?;
        Some(((rank, std::cmp::Reverse(elements(path)), *kind != "Exact", age), service.as_str()))
    });
    matching.min_by_key(|(weight, _)| *weight).map(|(_, service)| service)
}

proptest::proptest! {
    #[test]
    fn the_table_answers_as_the_book_does(
        rules in proptest::collection::vec((0_usize..5, 0_usize..6, 0_usize..2), 0..8),
        host in 0_usize..6,
        path in 0_usize..8,
    ) {
        const HOSTS: [&str; 5] = ["", "a.x", "*.x", "b.a.x", "*.a.x"];
        // Of equal elements an exact path is as long as a prefix.
        const PATHS: [&str; 6] = ["/", "/a", "/a/b", "/b", "/ab", "/a/b/c"];
        let rules: Vec<_> = rules.iter().enumerate().map(|(number, (host, path, kind))| {
            (HOSTS[*host], PATHS[*path], ["Exact", "Prefix"][*kind], format!("s{number}"))
        }).collect();
        let host = ["a.x", "b.x", "b.a.x", "c.a.x", "x", "c.b.a.x"][host];
        let path = ["/", "/a", "/a/", "/a/b", "/ab", "/a/b/c/d", "/b/", "/c"][path];
        let given: Vec<_> = rules.iter().map(|(host, path, kind, service)| (*host, *path, *kind, service.as_str())).collect();
        let routes = routes(&[ingress("i", 0, &given, None)]);
        let expected = by_the_book(&rules, host, path).unwrap_or("-");
        proptest::prop_assert_eq!(found(&routes, host, path), expected, "{:?} {} {}", rules, host, path);
    }
}

#[test]
fn a_backend_that_is_no_service_is_named_as_such() {
    let object = json!({
        "metadata": {"namespace": "default", "name": "i"},
        "spec": {"defaultBackend": {"resource": {"apiGroup": "x.io", "kind": "Bucket", "name": "b"}}},
    });
    let routes = routes(&[rules::read(&from_value(object).unwrap())]);
    assert_eq!(found(&routes, "a", "/"), rules::NO_SERVICE);
}
