//! A cluster's names, and a server outside that knows others, for tests.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use carob_net::{Protocol, Range};
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;

use crate::zone::{Change, Endpoint, Namespaced, Service, ServicePort, Slice, Zone, ZoneConfig};

pub(crate) fn named(name: &str) -> Namespaced {
    Namespaced { namespace: "shop".into(), name: name.into() }
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// `web` at 10.96.0.9 and fd00::9, headless `db` with a `first` host, `many` with a hundred, and some that are elsewhere.
pub(crate) fn zone() -> Zone {
    let mut zone = Zone::new(ZoneConfig {
        domain: "cluster.local".into(),
        ranges: vec![Range::new(ip("10.96.0.0"), 16), Range::new(ip("10.244.0.0"), 16)],
        server: Namespaced { namespace: "kube-system".into(), name: "kube-dns".into() },
    });
    let port = |name: &str, port| ServicePort { name: name.into(), protocol: Protocol::Tcp, port };
    let endpoint = |address: IpAddr, hostname: Option<&str>| Endpoint {
        address,
        hostname: hostname.map(str::to_owned),
        ready: true,
    };
    let slice = |service: &str, endpoints| Slice { service: named(service), ports: vec![port("sql", 5432)], endpoints };
    let headless = Service::Headless { publish_not_ready: false };
    let external = |name: &str| Service::External(name.to_owned());
    let many = (1..=100).map(|host| endpoint([10, 244, 1, host].into(), None)).collect();
    let web = Service::Cluster { addresses: vec![ip("10.96.0.9"), ip("fd00::9")], ports: vec![port("http", 80)] };
    for change in [
        Change::Namespace("shop".into()),
        Change::Service(named("web"), web),
        Change::Service(named("db"), headless.clone()),
        Change::Slice(named("db-1"), slice("db", vec![endpoint(ip("10.244.0.5"), Some("first"))])),
        Change::Service(named("many"), headless),
        Change::Slice(named("many-1"), slice("many", many)),
        Change::Service(named("outside"), external("www.example.com")),
        Change::Service(named("inside"), external("web.shop.svc.cluster.local")),
        Change::Service(named("round"), external("round.shop.svc.cluster.local")),
    ] {
        zone.apply(change);
    }
    zone
}

/// A server outside. It knows `example.com` and below, and counts what it is asked.
pub(crate) struct Outside {
    pub(crate) address: SocketAddr,
    asked: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Outside {
    pub(crate) async fn start() -> Outside {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let udp = UdpSocket::bind(address).await.unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        let count = asked.clone();
        tasks.spawn(async move {
            let mut buffer = [0; 4096];
            loop {
                let (length, from) = udp.recv_from(&mut buffer).await.unwrap();
                count.fetch_add(1, Ordering::Relaxed);
                let query = Message::from_vec(&buffer[..length]).unwrap();
                if let Some(answer) = answer(&query, false) {
                    // What is not the answer comes first, as from somebody who guesses.
                    let mut guess = answer.clone();
                    guess.metadata.id ^= 1;
                    udp.send_to(&guess.to_vec().unwrap(), from).await.unwrap();
                    udp.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
                }
            }
        });
        tasks.spawn(async move {
            loop {
                let (mut stream, _) = tcp.accept().await.unwrap();
                let mut packet = vec![0; usize::from(stream.read_u16().await.unwrap())];
                stream.read_exact(&mut packet).await.unwrap();
                let packet = answer(&Message::from_vec(&packet).unwrap(), true).unwrap().to_vec().unwrap();
                stream.write_u16(u16::try_from(packet.len()).unwrap()).await.unwrap();
                stream.write_all(&packet).await.unwrap();
            }
        });
        Outside { address, asked, _tasks: tasks }
    }

    /// How often it was asked by UDP.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn answer(question: &Message, over_tcp: bool) -> Option<Message> {
    let query = question.queries[0].clone();
    let name = query.name().to_lowercase().to_string();
    let mut answer = Message::new(question.metadata.id, MessageType::Response, OpCode::Query);
    answer.add_query(query.clone());
    let record = |name: &str, data| Record::from_rdata(Name::from_ascii(name).unwrap(), 60, data);
    match (name.as_str(), query.query_type()) {
        ("www.example.com.", _) => {
            answer.add_answer(record(&name, RData::CNAME(CNAME(Name::from_ascii("example.com.").unwrap()))));
            answer.add_answer(record("example.com.", RData::A(A([192, 0, 2, 80].into()))));
        }
        ("example.com.", RecordType::A) => drop(answer.add_answer(record(&name, RData::A(A([192, 0, 2, 80].into()))))),
        ("example.com.", RecordType::AAAA) => {
            answer.add_answer(record(&name, RData::AAAA(AAAA("2001:db8::80".parse().unwrap()))));
        }
        ("large.example.com.", RecordType::A) if over_tcp => {
            let hosts = (1..=200).map(|host| record(&name, RData::A(A([192, 0, 2, host].into()))));
            answer.add_answers(hosts);
        }
        ("large.example.com.", RecordType::A) => answer.metadata.truncation = true,
        ("broken.example.com.", _) => answer.metadata.response_code = ResponseCode::ServFail,
        ("silent.example.com.", _) => return None,
        _ => {
            answer.metadata.response_code = ResponseCode::NXDomain;
            let root = Name::root();
            answer.add_authority(record(".", RData::SOA(SOA::new(root.clone(), root, 1, 1, 1, 1, 30))));
        }
    }
    Some(answer)
}

pub(crate) fn query(name: &str, kind: RecordType) -> Query {
    Query::query(Name::from_ascii(name).unwrap(), kind)
}
