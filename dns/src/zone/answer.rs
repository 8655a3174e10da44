//! What the zone says to a question.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use carob_net::Protocol;

use super::reverse::ReverseName;
use super::service::Known;
use super::{Service, ServicePort, Zone};

/// The version of the specification that the names follow.
const SCHEMA_VERSION: &str = "1.1.0";
/// Below the domain: the server itself, as the NS and SOA records name it.
const SERVER: &str = "ns.dns";
const SCHEMA_VERSION_NAME: &str = "dns-version";

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An IPv4 address.
    A,
    /// An IPv6 address.
    Aaaa,
    /// The name that this one is an alias of.
    Cname,
    /// Where a named port is.
    Srv,
    /// The name of an address.
    Ptr,
    /// A text.
    Txt,
    /// The server of the zone.
    Ns,
    /// What the zone is.
    Soa,
    /// All there is.
    Any,
    /// Something that no name in the zone has.
    Other,
}

/// What a name has. Names are whole, in lower case, without a dot at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// An address, of either family.
    Address(IpAddr),
    /// The name that it stands for.
    Alias(String),
    /// A port, and the host that has it.
    Port {
        /// Its number.
        port: u16,
        /// The host.
        target: String,
        /// Its share among those of the same name.
        weight: u16,
    },
    /// The name of an address.
    Pointer(String),
    /// A text.
    Text(&'static str),
    /// The server of the zone.
    Server(String),
}

/// A name and something that it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The name; [`None`] is the one that was asked for.
    pub name: Option<String>,
    /// What it has.
    pub data: Data,
}

/// What the zone says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The name is of another zone.
    NotOurs,
    /// What was asked for.
    Found {
        /// The answer itself.
        answers: Vec<Record>,
        /// What will be asked next.
        additionals: Vec<Record>,
    },
    /// The zone itself.
    Authority(Authority),
    /// The name exists, and has nothing of the kind.
    NoData(Authority),
    /// The name does not exist, nor any below it.
    NoSuchName(Authority),
}

/// The zone that an answer is of (RFC 1035, section 3.3.13).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// Its topmost name.
    pub apex: String,
    /// Its server.
    pub server: String,
    /// Grows with each change.
    pub serial: u32,
}

/// What there is at a name.
enum Node<'a> {
    Apex,
    /// Nothing, but there are names below it (RFC 8020).
    Between,
    Addresses(Vec<IpAddr>),
    Alias(&'a str),
    Ports(Vec<(u16, String)>),
    Pointers(Vec<String>),
    Text(&'static str),
}

impl Zone {
    /// What is at `name`, which is in lower case and without a dot at its end. Where there are several addresses or hosts,
    /// they are turned by `turn` places, so that not everybody begins with the same.
    pub fn look_up(&self, name: &str, kind: Kind, turn: usize) -> Answer {
        if name == self.config.domain {
            return self.answer(Some(Node::Apex), name, kind, turn);
        }
        if let Some(inside) = name.strip_suffix(&self.suffix) {
            return self.answer(self.node(inside), &self.config.domain, kind, turn);
        }
        let Some(reverse) = ReverseName::parse(name) else { return Answer::NotOurs };
        let node = reverse.whole().and_then(|address| self.named(address));
        match (self.config.ranges.iter().find_map(|range| reverse.apex(range)), node) {
            (Some(apex), _) if apex == name => self.answer(Some(Node::Apex), name, kind, turn),
            (Some(apex), node) => {
                // Every range is full of addresses that may have names: the parts of one are between.
                let between = reverse.whole().is_none().then_some(Node::Between);
                self.answer(node.or(between), &apex, kind, turn)
            }
            (None, Some(node)) => self.answer(Some(node), name, kind, turn),
            (None, None) => Answer::NotOurs,
        }
    }

    fn node(&self, inside: &str) -> Option<Node<'_>> {
        match inside {
            SCHEMA_VERSION_NAME => return Some(Node::Text(SCHEMA_VERSION)),
            SERVER => return Some(Node::Addresses(self.own_addresses())),
            "svc" | "pod" | "dns" => return Some(Node::Between),
            _ => {}
        }
        if let Some(below) = inside.strip_suffix(".svc") {
            return self.service_node(below);
        }
        let below = inside.strip_suffix(".pod")?;
        let Some((dashed, namespace)) = below.rsplit_once('.') else { return self.namespace_node(below) };
        self.namespace_node(namespace)?;
        undashed(dashed).map(|address| Node::Addresses(vec![address]))
    }

    fn namespace_node(&self, namespace: &str) -> Option<Node<'_>> {
        self.namespaces.contains(namespace).then_some(Node::Between)
    }

    /// `below` is what stands before `.svc`: of a namespace, a Service, an endpoint or a port.
    fn service_node(&self, below: &str) -> Option<Node<'_>> {
        let Some(dot) = below.rfind('.') else { return self.namespace_node(below) };
        let start = below[..dot].rfind('.').map_or(0, |dot| dot + 1);
        let (before, key) = below.split_at(start);
        let known = self.services.get(key)?;
        let service = known.service.as_ref()?;
        let labels: Vec<&str> = before.split_terminator('.').collect();
        match (labels.as_slice(), service) {
            ([], Service::Cluster { addresses, .. }) => Some(Node::Addresses(addresses.clone())),
            ([], Service::Headless { .. }) => headless(known),
            ([], Service::External(other)) => Some(Node::Alias(other)),
            ([protocol], _) if protocol.starts_with('_') => {
                let protocol = protocol_of(protocol)?;
                self.ports(known, key).any(|(port, _)| port.protocol == protocol).then_some(Node::Between)
            }
            ([label], Service::Headless { .. }) => Some(Node::Addresses(known.host(label)?.collect())),
            ([port, protocol], _) => {
                let (name, protocol) = (port.strip_prefix('_')?, protocol_of(protocol)?);
                let asked = |port: &ServicePort| port.protocol == protocol && port.name == name;
                let ports = self.ports(known, key).filter(|(port, _)| asked(port));
                let mut ports: Vec<_> = ports.map(|(port, target)| (port.port, target)).collect();
                ports.sort_unstable();
                ports.dedup();
                (!ports.is_empty()).then_some(Node::Ports(ports))
            }
            _ => None,
        }
    }

    /// The named ports of a Service with the host that has each.
    fn ports<'a>(&'a self, known: &'a Known, key: &'a str) -> Box<dyn Iterator<Item = (&'a ServicePort, String)> + 'a> {
        let full = move |rest: &str| format!("{rest}.svc{}", self.suffix);
        match &known.service {
            Some(Service::Cluster { ports, .. }) => Box::new(ports.iter().map(move |port| (port, full(key)))),
            Some(Service::Headless { .. }) => {
                Box::new(known.endpoint_ports().map(move |(port, label)| (port, full(&format!("{label}.{key}")))))
            }
            _ => Box::new(std::iter::empty()),
        }
    }

    fn named(&self, address: IpAddr) -> Option<Node<'_>> {
        let names = self.pointers.of(address)?;
        Some(Node::Pointers(names.map(|name| format!("{name}.svc{}", self.suffix)).collect()))
    }

    fn own_addresses(&self) -> Vec<IpAddr> {
        let service = self.services.get(&self.config.server.to_string()).and_then(|known| known.service.as_ref());
        super::addresses(service).to_vec()
    }

    fn answer(&self, node: Option<Node<'_>>, apex: &str, kind: Kind, turn: usize) -> Answer {
        let authority =
            || Authority { apex: apex.to_owned(), server: format!("{SERVER}{}", self.suffix), serial: self.serial };
        let Some(node) = node else { return Answer::NoSuchName(authority()) };
        if matches!((&node, kind), (Node::Apex, Kind::Soa)) {
            return Answer::Authority(authority());
        }
        let mut found = self.data(node, kind);
        if found.is_empty() {
            return Answer::NoData(authority());
        }
        let places = turn % found.len();
        found.rotate_left(places);
        let additionals = self.additionals(&found);
        Answer::Found { answers: found.into_iter().map(|data| Record { name: None, data }).collect(), additionals }
    }

    fn data(&self, node: Node<'_>, kind: Kind) -> Vec<Data> {
        match (node, kind) {
            (Node::Apex, Kind::Ns | Kind::Any) => vec![Data::Server(format!("{SERVER}{}", self.suffix))],
            (Node::Addresses(addresses), _) => {
                let asked = |address: &IpAddr| match kind {
                    Kind::A => address.is_ipv4(),
                    Kind::Aaaa => address.is_ipv6(),
                    kind => kind == Kind::Any,
                };
                addresses.into_iter().filter(asked).map(Data::Address).collect()
            }
            // An alias answers every question (RFC 1034, section 3.6.2).
            (Node::Alias(other), _) => vec![Data::Alias(other.to_owned())],
            (Node::Ports(ports), Kind::Srv | Kind::Any) => {
                let weight = u16::try_from(100 / ports.len()).unwrap_or(1).max(1);
                ports.into_iter().map(|(port, target)| Data::Port { port, target, weight }).collect()
            }
            (Node::Pointers(names), Kind::Ptr | Kind::Any) => names.into_iter().map(Data::Pointer).collect(),
            (Node::Text(text), Kind::Txt | Kind::Any) => vec![Data::Text(text)],
            _ => Vec::new(),
        }
    }

    /// The addresses of the hosts that have ports, and of the zone's server.
    fn additionals(&self, found: &[Data]) -> Vec<Record> {
        let mut targets: Vec<&str> = found
            .iter()
            .filter_map(|data| match data {
                Data::Port { target, .. } | Data::Server(target) => Some(target.as_str()),
                _ => None,
            })
            .collect();
        targets.sort_unstable();
        targets.dedup();
        let addresses = |target: &str| match target.strip_suffix(&self.suffix).and_then(|inside| self.node(inside)) {
            Some(Node::Addresses(addresses)) => addresses,
            _ => Vec::new(),
        };
        let of = |target: &str| {
            let record = |address| Record { name: Some(target.to_owned()), data: Data::Address(address) };
            addresses(target).into_iter().map(record).collect::<Vec<_>>()
        };
        targets.into_iter().flat_map(of).collect()
    }
}

/// A headless Service without endpoints does not exist, says the specification in section 2.4.1.
fn headless(known: &Known) -> Option<Node<'_>> {
    let mut addresses: Vec<IpAddr> = known.hosts().map(|(_, address)| address).collect();
    addresses.sort_unstable();
    addresses.dedup();
    (!addresses.is_empty()).then_some(Node::Addresses(addresses))
}

fn protocol_of(label: &str) -> Option<Protocol> {
    match label {
        "_tcp" => Some(Protocol::Tcp),
        "_udp" => Some(Protocol::Udp),
        _ => None,
    }
}

/// `10-244-0-2` is 10.244.0.2, `fd00--1` is fd00::1.
fn undashed(dashed: &str) -> Option<IpAddr> {
    let v4 = || dashed.replace('-', ".").parse::<Ipv4Addr>().map(IpAddr::V4);
    let v6 = || dashed.replace('-', ":").parse::<Ipv6Addr>().map(IpAddr::V6);
    v4().or_else(|_| v6()).ok()
}
