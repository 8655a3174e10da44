use proptest::prelude::*;

use carob_net::Protocol;

use super::*;

fn named(name: &str) -> Namespaced {
    Namespaced { namespace: "shop".into(), name: name.into() }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn port(name: &str, protocol: Protocol, port: u16) -> ServicePort {
    ServicePort { name: name.into(), protocol, port }
}

fn empty() -> Zone {
    Zone::new(ZoneConfig {
        domain: "cluster.local".into(),
        ranges: vec![Range::new(ip("10.96.0.0"), 16), Range::new(ip("10.244.0.0"), 16), Range::new(ip("fd00::"), 16)],
        server: Namespaced { namespace: "kube-system".into(), name: "kube-dns".into() },
    })
}

fn cluster(addresses: &[&str], ports: Vec<ServicePort>) -> Service {
    Service::Cluster { addresses: addresses.iter().map(|address| ip(address)).collect(), ports }
}

const HEADLESS: Service = Service::Headless { publish_not_ready: false };

/// Endpoints as `address`, `address=hostname`, and with a `-` before those that are not ready.
fn slice(service: &str, ports: Vec<ServicePort>, endpoints: &[&str]) -> Slice {
    let endpoint = |text: &&str| {
        let (ready, text) = text.strip_prefix('-').map_or((true, *text), |rest| (false, rest));
        let (address, hostname) = text.split_once('=').map_or((text, None), |(ip, name)| (ip, Some(name.to_owned())));
        Endpoint { address: ip(address), hostname, ready }
    };
    Slice { service: named(service), ports, endpoints: endpoints.iter().map(endpoint).collect() }
}

fn zone() -> Zone {
    let mut zone = empty();
    let http = || vec![port("http", Protocol::Tcp, 80), port("dns", Protocol::Udp, 53)];
    for change in [
        Change::Namespace("shop".into()),
        Change::Service(named("web"), cluster(&["10.96.0.9", "fd00::9"], http())),
        Change::Service(named("plain"), cluster(&["10.96.0.10"], vec![])),
        Change::Service(named("db"), HEADLESS),
        Change::Service(named("early"), Service::Headless { publish_not_ready: true }),
        Change::Service(named("empty"), HEADLESS),
        Change::Service(named("elsewhere"), Service::External("www.example.com".into())),
        Change::Slice(
            named("db-1"),
            slice(
                "db",
                vec![port("sql", Protocol::Tcp, 5432)],
                &["10.244.0.5=first", "10.244.0.6", "-10.244.0.9=late"],
            ),
        ),
        Change::Slice(named("db-2"), slice("db", vec![port("sql", Protocol::Tcp, 5433)], &["10.244.0.7=third"])),
        Change::Slice(named("db-3"), slice("db", vec![], &["fd00::5=first", "192.0.2.7=outside"])),
        Change::Slice(named("early-1"), slice("early", vec![], &["-10.244.0.11=soon"])),
        Change::Slice(named("web-1"), slice("web", vec![], &["10.244.0.8=hidden"])),
        Change::Service(
            Namespaced { namespace: "kube-system".into(), name: "kube-dns".into() },
            cluster(&["10.96.0.53"], vec![]),
        ),
    ] {
        zone.apply(change);
    }
    zone
}

/// The answer in a word or a few: records with a bar before the additional ones, or why there are none.
fn said(zone: &Zone, name: &str, kind: Kind) -> String {
    let data = |data: &Data| match data {
        Data::Address(address) => address.to_string(),
        Data::Alias(name) | Data::Pointer(name) | Data::Server(name) => name.clone(),
        Data::Port { port, target, weight } => format!("{weight} {port} {target}"),
        Data::Text(text) => (*text).to_owned(),
    };
    match zone.look_up(name, kind, 0) {
        Answer::NotOurs => "not ours".into(),
        Answer::Found { answers, additionals } => {
            let answers: Vec<_> = answers.iter().map(|record| data(&record.data)).collect();
            let additionals = additionals.iter().map(|record| format!(" | {}", data(&record.data)));
            answers.join(", ") + &additionals.collect::<String>()
        }
        Answer::Authority(authority) => format!("SOA of {} at {}", authority.apex, authority.server),
        Answer::NoData(authority) => format!("nothing in {}", authority.apex),
        Answer::NoSuchName(authority) => format!("no name in {}", authority.apex),
    }
}

#[test]
fn every_kind_of_name_has_what_the_specification_says() {
    let zone = zone();
    let (nothing, no_name) = ("nothing in cluster.local", "no name in cluster.local");
    for (name, kind, expected) in [
        // 2.2, the version of the schema.
        ("dns-version.cluster.local", Kind::Txt, "1.1.0"),
        ("dns-version.cluster.local", Kind::A, nothing),
        // 2.3, Services with addresses.
        ("web.shop.svc.cluster.local", Kind::A, "10.96.0.9"),
        ("web.shop.svc.cluster.local", Kind::Aaaa, "fd00::9"),
        ("web.shop.svc.cluster.local", Kind::Any, "10.96.0.9, fd00::9"),
        ("web.shop.svc.cluster.local", Kind::Other, nothing),
        ("plain.shop.svc.cluster.local", Kind::Aaaa, nothing),
        ("_http._tcp.web.shop.svc.cluster.local", Kind::Srv, "100 80 web.shop.svc.cluster.local | 10.96.0.9 | fd00::9"),
        ("_dns._udp.web.shop.svc.cluster.local", Kind::Srv, "100 53 web.shop.svc.cluster.local | 10.96.0.9 | fd00::9"),
        ("_http._udp.web.shop.svc.cluster.local", Kind::Srv, no_name),
        ("_http._tcp.web.shop.svc.cluster.local", Kind::A, nothing),
        ("_tcp.web.shop.svc.cluster.local", Kind::A, nothing),
        ("_tcp.plain.shop.svc.cluster.local", Kind::A, no_name),
        ("_sctp.web.shop.svc.cluster.local", Kind::A, no_name),
        ("9.0.96.10.in-addr.arpa", Kind::Ptr, "web.shop.svc.cluster.local"),
        (
            "9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa",
            Kind::Ptr,
            "web.shop.svc.cluster.local",
        ),
        ("hidden.web.shop.svc.cluster.local", Kind::A, no_name),
        ("8.0.244.10.in-addr.arpa", Kind::Ptr, "no name in 244.10.in-addr.arpa"),
        // 2.4, headless Services.
        ("db.shop.svc.cluster.local", Kind::A, "10.244.0.5, 10.244.0.6, 10.244.0.7, 192.0.2.7"),
        ("db.shop.svc.cluster.local", Kind::Aaaa, "fd00::5"),
        ("first.db.shop.svc.cluster.local", Kind::A, "10.244.0.5"),
        ("first.db.shop.svc.cluster.local", Kind::Aaaa, "fd00::5"),
        ("third.db.shop.svc.cluster.local", Kind::Aaaa, nothing),
        ("10-244-0-6.db.shop.svc.cluster.local", Kind::A, "10.244.0.6"),
        ("late.db.shop.svc.cluster.local", Kind::A, no_name),
        ("a.first.db.shop.svc.cluster.local", Kind::A, no_name),
        (
            "_sql._tcp.db.shop.svc.cluster.local",
            Kind::Srv,
            "33 5432 10-244-0-6.db.shop.svc.cluster.local, 33 5432 first.db.shop.svc.cluster.local, \
             33 5433 third.db.shop.svc.cluster.local | 10.244.0.6 | 10.244.0.5 | fd00::5 | 10.244.0.7",
        ),
        ("5.0.244.10.in-addr.arpa", Kind::Ptr, "first.db.shop.svc.cluster.local"),
        ("6.0.244.10.in-addr.arpa", Kind::Ptr, "10-244-0-6.db.shop.svc.cluster.local"),
        ("7.2.0.192.in-addr.arpa", Kind::Ptr, "outside.db.shop.svc.cluster.local"),
        ("empty.shop.svc.cluster.local", Kind::A, no_name),
        ("soon.early.shop.svc.cluster.local", Kind::A, "10.244.0.11"),
        // 2.5, Services that are elsewhere.
        ("elsewhere.shop.svc.cluster.local", Kind::A, "www.example.com"),
        ("elsewhere.shop.svc.cluster.local", Kind::Cname, "www.example.com"),
        ("x.elsewhere.shop.svc.cluster.local", Kind::A, no_name),
        // 2.6, Pods by their address.
        ("10-244-0-5.shop.pod.cluster.local", Kind::A, "10.244.0.5"),
        ("fd00--5.shop.pod.cluster.local", Kind::Aaaa, "fd00::5"),
        ("10-244-0-5.nowhere.pod.cluster.local", Kind::A, no_name),
        ("nonsense.shop.pod.cluster.local", Kind::A, no_name),
        // The zone itself, and what is between.
        ("cluster.local", Kind::Soa, "SOA of cluster.local at ns.dns.cluster.local"),
        ("cluster.local", Kind::Ns, "ns.dns.cluster.local | 10.96.0.53"),
        ("cluster.local", Kind::A, nothing),
        ("ns.dns.cluster.local", Kind::A, "10.96.0.53"),
        ("dns.cluster.local", Kind::A, nothing),
        ("svc.cluster.local", Kind::A, nothing),
        ("shop.svc.cluster.local", Kind::A, nothing),
        ("nowhere.svc.cluster.local", Kind::A, no_name),
        ("web.nowhere.svc.cluster.local", Kind::A, no_name),
        ("shop.pod.cluster.local", Kind::A, nothing),
        ("nonsense.cluster.local", Kind::A, no_name),
        ("96.10.in-addr.arpa", Kind::Soa, "SOA of 96.10.in-addr.arpa at ns.dns.cluster.local"),
        ("0.96.10.in-addr.arpa", Kind::Ptr, "nothing in 96.10.in-addr.arpa"),
        ("1.1.96.10.in-addr.arpa", Kind::Ptr, "no name in 96.10.in-addr.arpa"),
        // Everybody else's.
        ("example.com", Kind::A, "not ours"),
        ("xcluster.local", Kind::A, "not ours"),
        ("local", Kind::A, "not ours"),
        ("", Kind::Ns, "not ours"),
        ("10.in-addr.arpa", Kind::Ptr, "not ours"),
        ("1.2.0.192.in-addr.arpa", Kind::Ptr, "not ours"),
    ] {
        assert_eq!(said(&zone, name, kind), expected, "{name} {kind:?}");
    }
}

#[test]
fn names_go_with_what_they_named() {
    let mut zone = zone();
    let db = "db.shop.svc.cluster.local";
    zone.apply(Change::Slice(named("db-1"), slice("db", vec![], &["10.244.0.66=first"])));
    assert_eq!(said(&zone, &format!("first.{db}"), Kind::A), "10.244.0.66");
    assert_eq!(said(&zone, "5.0.244.10.in-addr.arpa", Kind::Ptr), "no name in 244.10.in-addr.arpa");
    // The same endpoint in two slices, as while it moves from one to the other.
    zone.apply(Change::Slice(named("db-4"), slice("db", vec![], &["10.244.0.66=first"])));
    zone.apply(Change::SliceGone(named("db-1")));
    assert_eq!(said(&zone, &format!("first.{db}"), Kind::A), "10.244.0.66");
    for name in ["db-2", "db-3", "db-4"] {
        zone.apply(Change::SliceGone(named(name)));
    }
    assert_eq!(said(&zone, db, Kind::A), "no name in cluster.local");
    assert_eq!(said(&zone, "66.0.244.10.in-addr.arpa", Kind::Ptr), "no name in 244.10.in-addr.arpa");
    zone.apply(Change::ServiceGone(named("web")));
    assert_eq!(said(&zone, "web.shop.svc.cluster.local", Kind::A), "no name in cluster.local");
    assert_eq!(said(&zone, "9.0.96.10.in-addr.arpa", Kind::Ptr), "no name in 96.10.in-addr.arpa");
}

#[test]
fn not_everybody_begins_with_the_same_address() {
    let first = |turn| match zone().look_up("db.shop.svc.cluster.local", Kind::A, turn) {
        Answer::Found { mut answers, .. } => answers.remove(0).data,
        other => panic!("{other:?}"),
    };
    assert_eq!(first(1), Data::Address(ip("10.244.0.6")));
    assert_eq!(first(4), Data::Address(ip("10.244.0.5")));
    assert_eq!(first(usize::MAX), first(3));
}

/// A few names and addresses, so that changes meet.
fn changes() -> impl Strategy<Value = Change> {
    let name = || prop::sample::select(vec!["a", "b", "c"]).prop_map(named);
    let ports = || prop::sample::subsequence(vec![port("p", Protocol::Tcp, 1), port("q", Protocol::Udp, 2)], 0..=2);
    let service = prop_oneof![
        ports().prop_map(|ports| cluster(&["10.96.0.1"], ports)),
        ports().prop_map(|ports| cluster(&["10.96.0.2", "fd00::2"], ports)),
        any::<bool>().prop_map(|publish_not_ready| Service::Headless { publish_not_ready }),
        Just(Service::External("x.example".into())),
    ];
    let endpoints = vec!["10.244.0.1", "10.244.0.1=h", "-10.244.0.2=h", "10.244.0.3=i", "fd00::3=i"];
    let slices = (prop::sample::select(vec!["a", "b", "c"]), ports(), prop::sample::subsequence(endpoints, 0..=5));
    prop_oneof![
        Just(Change::Namespace("shop".into())),
        Just(Change::NamespaceGone("shop".into())),
        (name(), service).prop_map(|(name, service)| Change::Service(name, service)),
        name().prop_map(Change::ServiceGone),
        (name(), slices)
            .prop_map(|(name, (owner, ports, endpoints))| Change::Slice(name, slice(owner, ports, &endpoints))),
        name().prop_map(Change::SliceGone),
    ]
}

/// What is there after all the changes, in an order of its own.
fn built_anew(changes: &[Change]) -> Zone {
    let mut last: std::collections::BTreeMap<(u8, String), Change> = Default::default();
    for change in changes {
        let (kind, name) = match change {
            Change::Namespace(name) | Change::NamespaceGone(name) => (2, name.clone()),
            Change::Service(name, _) | Change::ServiceGone(name) => (1, name.to_string()),
            Change::Slice(name, _) | Change::SliceGone(name) => (0, name.to_string()),
        };
        last.insert((kind, name), change.clone());
    }
    let mut zone = empty();
    let there = |change: &Change| matches!(change, Change::Namespace(_) | Change::Service(..) | Change::Slice(..));
    last.into_values().filter(there).for_each(|change| zone.apply(change));
    zone
}

proptest! {
    #[test]
    fn changes_one_by_one_equal_a_zone_built_anew(changes in prop::collection::vec(changes(), 0..40)) {
        let mut zone = empty();
        changes.iter().for_each(|change| zone.apply(change.clone()));
        let mut anew = built_anew(&changes);
        anew.serial = zone.serial;
        prop_assert_eq!(zone, anew);
    }
}
