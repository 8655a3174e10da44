use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn object(name: &str) -> ObjectName {
    ObjectName { namespace: "default".into(), name: name.into() }
}

fn service_port(service: &str, port: &str) -> ServicePort {
    ServicePort { service: object(service), port: port.into() }
}

fn service(name: &str, ports: &[(u16, &str)]) -> Change {
    let frontend = |&(number, port): &(u16, &str)| Frontend {
        door: door(number),
        target: service_port(name, port),
        uid: format!("uid-of-{name}").into(),
        affinity: None,
        scope: Scope::Cluster,
        sources: Sources::default(),
    };
    let frontends = ports.iter().map(frontend).collect();
    Change::Service(Service { name: object(name), frontends, ports: vec![] })
}

/// Even numbers are node ports, odd ones ports of a ClusterIP: to the table they are the same.
fn door(number: u16) -> Door {
    if number.is_multiple_of(2) {
        Door::Node(Protocol::Tcp, number)
    } else {
        Door::Cluster(Protocol::Tcp, ([10, 96, 0, 1], number).into())
    }
}

fn slice(name: &str, owner: &str, ready: &[(&str, u8)]) -> Change {
    let listed = ready.iter().map(|&(port, host)| listed(owner, port, host, Stage::Ready, "here")).collect();
    Change::Slice(Slice { name: object(name), listed })
}

fn listed(owner: &str, port: &str, host: u8, stage: Stage, node: &str) -> Listed {
    Listed { port: service_port(owner, port), address: address(host), stage, node: Some(node.into()) }
}

fn address(host: u8) -> SocketAddr {
    ([10, 244, 0, host], 8080).into()
}

/// What a host that executes every effect has open, and who answers there.
struct Host {
    table: Table,
    open: BTreeMap<Door, (Frontend, Arc<Backends>)>,
    ports: BTreeMap<ObjectName, Vec<(Port, Arc<Backends>)>>,
}

impl Default for Host {
    fn default() -> Host {
        Host { table: Table::new("here"), open: BTreeMap::new(), ports: BTreeMap::new() }
    }
}

impl Host {
    fn hears(&mut self, change: Change) {
        for effect in self.table.apply(change) {
            match effect {
                Effect::Open(frontend, backends) => {
                    let before = self.open.insert(frontend.door, (frontend, backends));
                    assert!(before.is_none(), "a port is opened only when it is closed");
                }
                Effect::Close(door) => assert!(self.open.remove(&door).is_some(), "only an open port is closed"),
                Effect::Ports(service, Some(ports)) => drop(self.ports.insert(service, ports)),
                Effect::Ports(service, None) => assert!(self.ports.remove(&service).is_some(), "only what was is gone"),
            }
        }
    }

    fn behind(&self, number: u16) -> BTreeSet<SocketAddr> {
        self.open[&door(number)].1.draw(Scope::Cluster, usize::MAX).into_iter().collect()
    }

    fn owner(&self, number: u16) -> Option<&str> {
        self.open.get(&door(number)).map(|(frontend, _)| &*frontend.target.service.name)
    }
}

fn hosts(hosts: &[u8]) -> BTreeSet<SocketAddr> {
    hosts.iter().map(|&host| address(host)).collect()
}

#[test]
fn a_service_and_its_endpoints_may_come_in_either_order() {
    let changes =
        [service("web", &[(30080, "http")]), slice("web-1", "web", &[("http", 1), ("http", 2), ("admin", 3)])];
    for order in [[0, 1], [1, 0]] {
        let mut host = Host::default();
        order.iter().for_each(|&index| host.hears(changes[index].clone()));
        assert_eq!(host.behind(30080), hosts(&[1, 2]));
    }
}

#[test]
fn endpoints_come_and_go_without_touching_the_listener() {
    let mut host = Host::default();
    host.hears(service("web", &[(30080, "http")]));
    host.hears(slice("web-1", "web", &[("http", 1)]));
    assert!(host.table.apply(slice("web-1", "web", &[("http", 2)])).is_empty());
    assert_eq!(host.behind(30080), hosts(&[2]));
    host.hears(Change::SliceGone(object("web-1")));
    assert_eq!(host.behind(30080), hosts(&[]));
    host.hears(slice("web-2", "web", &[("http", 7)]));
    assert_eq!(host.behind(30080), hosts(&[7]), "the listener still sees what comes after an empty moment");
}

#[test]
fn a_service_without_a_door_is_known_by_its_ports() {
    let headless = || {
        let port = Port { number: 80, target: service_port("web", "http"), affinity: None };
        Change::Service(Service { name: object("web"), frontends: vec![], ports: vec![port] })
    };
    let mut host = Host::default();
    host.hears(headless());
    let behind = |host: &Host| -> BTreeSet<SocketAddr> {
        host.ports[&object("web")][0].1.draw(Scope::Cluster, usize::MAX).into_iter().collect()
    };
    host.hears(slice("web-1", "web", &[("http", 1)]));
    assert_eq!(behind(&host), hosts(&[1]));
    host.hears(Change::SliceGone(object("web-1")));
    assert!(host.table.apply(headless()).is_empty());
    host.hears(slice("web-2", "web", &[("http", 2)]));
    assert_eq!(behind(&host), hosts(&[2]), "who has its ports still sees what comes after an empty moment");
    host.hears(Change::ServiceGone(object("web")));
    host.hears(Change::SliceGone(object("web-2")));
    assert!(host.ports.is_empty() && host.table.backends.is_empty());
}

#[test]
fn a_change_that_does_not_concern_ports_has_no_effect() {
    let mut host = Host::default();
    host.hears(service("web", &[(30080, "http")]));
    assert!(host.table.apply(service("web", &[(30080, "http")])).is_empty());
}

#[test]
fn a_port_that_two_services_want_goes_to_the_second_when_the_first_lets_go() {
    let mut host = Host::default();
    host.hears(slice("new-1", "new", &[("http", 9)]));
    host.hears(service("old", &[(30080, "http")]));
    host.hears(service("new", &[(30080, "http")]));
    assert_eq!(host.owner(30080), Some("old"));
    host.hears(Change::ServiceGone(object("old")));
    assert_eq!(host.owner(30080), Some("new"));
    assert_eq!(host.behind(30080), hosts(&[9]));
    host.hears(service("new", &[]));
    assert_eq!(host.owner(30080), None);
}

#[test]
fn nothing_is_remembered_of_what_is_gone() {
    let mut table = Table::new("here");
    for change in [
        service("web", &[(30080, "http")]),
        slice("web-1", "web", &[("http", 1)]),
        Change::ServiceGone(object("web")),
        Change::SliceGone(object("web-1")),
    ] {
        table.apply(change);
    }
    assert!(table.services.is_empty() && table.slices.is_empty());
    assert!(table.backends.is_empty() && table.claims.is_empty());
}

const NAMES: [&str; 3] = ["a", "b", "c"];
const PORTS: [&str; 2] = ["http", ""];

fn any_change() -> impl Strategy<Value = Change> {
    let name = || prop::sample::select(&NAMES[..]);
    let port = || prop::sample::select(&PORTS[..]);
    let node_ports = prop::collection::btree_map(port(), 30000..30003_u16, 0..3);
    let stage = prop::sample::select(&[Stage::Ready, Stage::Terminating][..]);
    let node = prop::sample::select(&["here", "there"][..]);
    let endpoints = prop::collection::vec((port(), 1..6_u8, stage, node), 0..6);
    prop_oneof![
        (name(), node_ports).prop_map(|(name, ports)| {
            let ports: Vec<_> = ports.into_iter().map(|(port, number)| (number, port)).collect();
            service(name, &ports)
        }),
        name().prop_map(|name| Change::ServiceGone(object(name))),
        (name(), name(), endpoints).prop_map(|(name, owner, endpoints)| {
            let listed = endpoints.into_iter().map(|(port, host, stage, node)| listed(owner, port, host, stage, node));
            Change::Slice(Slice { name: object(name), listed: listed.collect() })
        }),
        name().prop_map(|name| Change::SliceGone(object(name))),
    ]
}

/// The whole truth, worked out again after every change.
#[derive(Default)]
struct Naive {
    services: BTreeMap<ObjectName, Service>,
    slices: BTreeMap<ObjectName, Slice>,
}

impl Naive {
    fn hears(&mut self, change: Change) {
        match change {
            Change::Service(service) => drop(self.services.insert(service.name.clone(), service)),
            Change::ServiceGone(name) => drop(self.services.remove(&name)),
            Change::Slice(slice) => drop(self.slices.insert(slice.name.clone(), slice)),
            Change::SliceGone(name) => drop(self.slices.remove(&name)),
        }
    }

    fn wishes(&self) -> impl Iterator<Item = &Frontend> {
        self.services.values().flat_map(|service| &service.frontends)
    }

    /// Those who are ready, or else those who are about to end.
    fn behind(&self, target: &ServicePort, scope: Scope) -> BTreeSet<SocketAddr> {
        let is_in = |listed: &&Listed| {
            listed.port == *target && (scope == Scope::Cluster || listed.node.as_deref() == Some("here"))
        };
        let at = |stage: Stage| {
            let all = self.slices.values().flat_map(|slice| &slice.listed).filter(is_in);
            all.filter(|listed| listed.stage == stage).map(|listed| listed.address).collect::<BTreeSet<_>>()
        };
        let ready = at(Stage::Ready);
        if ready.is_empty() { at(Stage::Terminating) } else { ready }
    }
}

proptest! {
    #[test]
    fn after_any_changes_the_host_is_as_if_it_had_seen_only_the_end(changes in prop::collection::vec(any_change(), 1..40)) {
        let mut host = Host::default();
        let mut naive = Naive::default();
        for change in changes {
            host.hears(change.clone());
            naive.hears(change);

            let wished: BTreeSet<Door> = naive.wishes().map(|wish| wish.door).collect();
            prop_assert_eq!(host.open.keys().copied().collect::<BTreeSet<_>>(), wished);
            for (frontend, backends) in host.open.values() {
                prop_assert!(naive.wishes().any(|wish| wish == frontend), "{:?} is nobody's wish", frontend);
                for scope in [Scope::Cluster, Scope::Node] {
                    let behind: BTreeSet<_> = backends.draw(scope, usize::MAX).into_iter().collect();
                    prop_assert_eq!(behind, naive.behind(&frontend.target, scope));
                }
            }
        }
    }
}
