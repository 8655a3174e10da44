//! The two clients, of which what each says is brought into one form, and a server of others.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use hickory_resolver::Resolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::A;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::runtime::Runtime;

/// An answer: its status, and the data of its records, sorted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) status: String,
    pub(crate) records: Vec<String>,
}

/// Asks with `dig`; an address is asked for its name.
pub(crate) fn dig(server: SocketAddr, name: &str, kind: &str, more: &[&str]) -> Asked {
    let text = dig_says(server, name, kind, &[&["+answer"], more].concat());
    let status = text.split("status: ").nth(1).and_then(|rest| rest.split(',').next());
    let status = status.unwrap_or_else(|| panic!("{name} {kind}: {text}")).to_owned();
    let mut records: Vec<String> = records(&text).map(|record| record[4..].join(" ").replace('"', "")).collect();
    records.sort();
    Asked { status, records }
}

/// The SOA record that comes with an answer that there is nothing: its owner, and its server.
pub(crate) fn soa_of_nothing(server: SocketAddr, name: &str, kind: &str) -> (String, String) {
    let text = dig_says(server, name, kind, &["+authority"]);
    let soa = records(&text).find(|record| record[3] == "SOA");
    let soa = soa.unwrap_or_else(|| panic!("{name} {kind}: {text}"));
    (soa[0].to_owned(), soa[4].to_owned())
}

fn dig_says(server: SocketAddr, name: &str, kind: &str, more: &[&str]) -> String {
    let (at, port) = (format!("@{}", server.ip()), server.port().to_string());
    let mut command = Command::new(carob_tests::dig());
    command.args([&at, "-p", &port, "+noall", "+comments", "+tries=3"]).args(more);
    match name.parse::<IpAddr>() {
        Ok(_) => command.args(["-x", name]),
        Err(_) => command.args(["-q", name, "-t", kind]),
    };
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}

/// The words of each record: owner, TTL, class, type, data.
fn records(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let lines = text.lines().filter(|line| !line.starts_with(';') && !line.is_empty());
    lines.map(|line| line.split_whitespace().collect())
}

/// Asks with hickory; an address is asked for its name.
pub(crate) fn hickory(server: SocketAddr, name: &str, kind: &str) -> Asked {
    let name = match name.parse::<IpAddr>() {
        Ok(ip) => Name::from(ip),
        Err(_) => Name::from_ascii(format!("{name}.")).unwrap(),
    };
    let kind: RecordType = kind.parse().unwrap();
    let found = Runtime::new().unwrap().block_on(async { resolver(server, &[], 1).lookup(name, kind).await });
    let (status, mut records) = match found {
        Ok(found) => ("NOERROR", found.answers().iter().map(|record| data(&record.data)).collect()),
        Err(NetError::Dns(DnsError::NoRecordsFound(nothing))) => {
            assert!(nothing.soa.is_some() && nothing.negative_ttl.is_some(), "{nothing:?}");
            (if nothing.response_code == ResponseCode::NXDomain { "NXDOMAIN" } else { "NOERROR" }, Vec::new())
        }
        Err(error) => panic!("{error}"),
    };
    records.sort();
    Asked { status: status.to_owned(), records }
}

/// The addresses that hickory finds for a name, which is searched for as a `resolv.conf` would say; none of no such name.
pub(crate) fn hickory_searches(server: SocketAddr, search: &[&str], ndots: usize, name: &str) -> Vec<String> {
    let found = Runtime::new().unwrap().block_on(async { resolver(server, search, ndots).lookup_ip(name).await });
    match found {
        Ok(found) => found.iter().map(|ip| ip.to_string()).collect(),
        Err(NetError::Dns(DnsError::NoRecordsFound(_) | DnsError::ResponseCode(_))) => Vec::new(),
        Err(error) => panic!("{error}"),
    }
}

fn resolver(server: SocketAddr, search: &[&str], ndots: usize) -> Resolver<TokioRuntimeProvider> {
    let mut config = NameServerConfig::udp_and_tcp(server.ip());
    config.connections.iter_mut().for_each(|connection| connection.port = server.port());
    let search = search.iter().map(|domain| Name::from_ascii(domain).unwrap()).collect();
    let config = ResolverConfig::from_parts(None, search, vec![config]);
    let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
    builder.options_mut().ndots = ndots;
    builder.options_mut().use_hosts_file = ResolveHosts::Never;
    builder.build().unwrap()
}

fn data(data: &RData) -> String {
    match data {
        RData::TXT(text) => String::from_utf8(text.txt_data.concat()).unwrap(),
        data => data.to_string(),
    }
}

/// A server of others that gives every name the same address.
pub(crate) struct Elsewhere {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Elsewhere {
    pub(crate) const SAYS: &str = "192.0.2.80";

    /// Answers by UDP until the process ends.
    pub(crate) fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (address, asked) = (socket.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let count = asked.clone();
        thread::spawn(move || {
            let mut packet = [0; 4096];
            loop {
                let (length, from) = socket.recv_from(&mut packet).unwrap();
                count.fetch_add(1, Ordering::Relaxed);
                let answer = answer(&Message::from_vec(&packet[..length]).unwrap());
                socket.send_to(&answer.to_vec().unwrap(), from).unwrap();
            }
        });
        Self { address, asked }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many questions have come.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn answer(question: &Message) -> Message {
    let mut answer = Message::response(question.metadata.id, OpCode::Query);
    let query = question.queries[0].clone();
    let address = RData::A(A(Elsewhere::SAYS.parse().unwrap()));
    answer.add_answer(Record::from_rdata(query.name().clone(), 60, address));
    answer.add_query(query);
    answer
}
