use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::*;
use crate::dns::Dns;
use crate::forward::Upstreams;
use crate::scene::{self, Outside};

/// A server of the scene's zone that asks the scene's server outside.
struct Server {
    address: SocketAddr,
    dns: Dns,
    outside: Outside,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn server() -> Server {
    let server = unlisted().await;
    server.dns.directory.set_complete();
    server
}

/// One that does not know yet what there is.
async fn unlisted() -> Server {
    let outside = Outside::start().await;
    let upstreams = Upstreams { servers: vec![outside.address], stubs: Vec::new() };
    let dns = Dns::new(scene::zone(), upstreams);
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_address().unwrap();
    let serving = dns.clone();
    let task = tokio::spawn(async move { serving.serve(listener, CancellationToken::new()).await });
    Server { address, dns, outside, task }
}

fn question(query: Query) -> Message {
    let mut question = Message::new(4711, MessageType::Query, OpCode::Query);
    question.metadata.recursion_desired = true;
    question.add_query(query);
    question
}

async fn udp_bytes(server: &Server, packet: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(server.address).await.unwrap();
    socket.send(packet).await.unwrap();
    let mut buffer = vec![0; 65_536];
    let length = socket.recv(&mut buffer).await.unwrap();
    buffer.truncate(length);
    buffer
}

async fn by_udp(server: &Server, question: &Message) -> Message {
    Message::from_vec(&udp_bytes(server, &question.to_vec().unwrap()).await).unwrap()
}

async fn send(stream: &mut TcpStream, question: &Message) {
    let packet = question.to_vec().unwrap();
    stream.write_u16(u16::try_from(packet.len()).unwrap()).await.unwrap();
    stream.write_all(&packet).await.unwrap();
}

async fn receive(stream: &mut TcpStream) -> Message {
    let mut packet = vec![0; usize::from(stream.read_u16().await.unwrap())];
    stream.read_exact(&mut packet).await.unwrap();
    Message::from_vec(&packet).unwrap()
}

async fn by_tcp(server: &Server, question: &Message) -> Message {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    send(&mut stream, question).await;
    receive(&mut stream).await
}

/// The code, then what each record of the answer has, then those of the other sections after bars.
fn said(answer: &Message) -> String {
    let data = |record: &Record| match &record.data {
        RData::SOA(soa) => format!("SOA {}", soa.mname),
        RData::TXT(text) => String::from_utf8_lossy(&text.txt_data[0]).into_owned(),
        data => data.to_string(),
    };
    let section = |records: &[Record]| records.iter().map(data).collect::<Vec<_>>().join(", ");
    let sections = [&answer.answers, &answer.authorities, &answer.additionals].map(|records| section(records));
    format!("{:?}: {}", answer.metadata.response_code, sections.join(" | "))
}

#[tokio::test]
async fn every_type_is_answered_by_udp_and_by_tcp() {
    let server = server().await;
    let nothing = "NoError:  | SOA ns.dns.cluster.local. | ";
    let no_name = "NXDomain:  | SOA ns.dns.cluster.local. | ";
    for (name, kind, expected) in [
        ("web.shop.svc.cluster.local.", RecordType::A, "NoError: 10.96.0.9 |  | "),
        ("WEB.Shop.svc.Cluster.Local.", RecordType::A, "NoError: 10.96.0.9 |  | "),
        ("web.shop.svc.cluster.local.", RecordType::AAAA, "NoError: fd00::9 |  | "),
        ("web.shop.svc.cluster.local.", RecordType::MX, nothing),
        ("nobody.shop.svc.cluster.local.", RecordType::A, no_name),
        ("first.db.shop.svc.cluster.local.", RecordType::A, "NoError: 10.244.0.5 |  | "),
        (
            "_http._tcp.web.shop.svc.cluster.local.",
            RecordType::SRV,
            "NoError: 0 100 80 web.shop.svc.cluster.local. |  | 10.96.0.9, fd00::9",
        ),
        (
            "_sql._tcp.db.shop.svc.cluster.local.",
            RecordType::SRV,
            "NoError: 0 100 5432 first.db.shop.svc.cluster.local. |  | 10.244.0.5",
        ),
        ("9.0.96.10.in-addr.arpa.", RecordType::PTR, "NoError: web.shop.svc.cluster.local. |  | "),
        ("5.0.244.10.in-addr.arpa.", RecordType::PTR, "NoError: first.db.shop.svc.cluster.local. |  | "),
        ("7.7.96.10.in-addr.arpa.", RecordType::PTR, no_name),
        ("10-244-0-5.shop.pod.cluster.local.", RecordType::A, "NoError: 10.244.0.5 |  | "),
        ("dns-version.cluster.local.", RecordType::TXT, "NoError: 1.1.0 |  | "),
        ("cluster.local.", RecordType::SOA, "NoError: SOA ns.dns.cluster.local. |  | "),
        ("cluster.local.", RecordType::NS, "NoError: ns.dns.cluster.local. |  | "),
        ("outside.shop.svc.cluster.local.", RecordType::CNAME, "NoError: www.example.com. |  | "),
        ("outside.shop.svc.cluster.local.", RecordType::A, "NoError: www.example.com., example.com., 192.0.2.80 |  | "),
        ("inside.shop.svc.cluster.local.", RecordType::A, "NoError: web.shop.svc.cluster.local., 10.96.0.9 |  | "),
        ("round.shop.svc.cluster.local.", RecordType::A, "ServFail:  |  | "),
        ("example.com.", RecordType::A, "NoError: 192.0.2.80 |  | "),
        ("nobody.example.com.", RecordType::A, "NXDomain:  | SOA . | "),
        ("broken.example.com.", RecordType::A, "ServFail:  |  | "),
        ("cluster.local.", RecordType::AXFR, "Refused:  |  | "),
    ] {
        let question = question(scene::query(name, kind));
        for answer in [by_udp(&server, &question).await, by_tcp(&server, &question).await] {
            assert_eq!(said(&answer), expected, "{name} {kind}");
            assert_eq!(answer.metadata.id, 4711);
            assert!(answer.queries[0].name().eq_case(question.queries[0].name()), "{name} is written as it was");
            let ours = !name.contains("example") && kind != RecordType::AXFR && !name.starts_with("round");
            assert_eq!(answer.metadata.authoritative, ours, "{name}");
        }
    }
}

#[tokio::test]
async fn what_others_say_is_remembered() {
    let server = server().await;
    for name in ["example.com.", "EXAMPLE.com.", "nobody.example.com.", "nobody.example.com."] {
        by_udp(&server, &question(scene::query(name, RecordType::A))).await;
    }
    assert_eq!(server.outside.asked(), 2);
    let metrics = server.dns.metrics();
    for line in [
        "coredns_cache_hits_total 2",
        "coredns_cache_misses_total 2",
        "coredns_dns_responses_total{proto=\"udp\",type=\"A\",rcode=\"NOERROR\"} 2",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} in {metrics}");
    }
}

#[tokio::test]
async fn what_does_not_fit_is_cut_and_whole_by_tcp() {
    let server = server().await;
    let many = scene::query("many.shop.svc.cluster.local.", RecordType::A);
    let plain = question(many);
    let mut large = plain.clone();
    let mut edns = Edns::new();
    edns.set_max_payload(4096);
    large.set_edns(edns);
    for (question, most) in [(&plain, 512), (&large, 1232)] {
        let packet = udp_bytes(&server, &question.to_vec().unwrap()).await;
        let answer = Message::from_vec(&packet).unwrap();
        assert!(packet.len() <= most && answer.metadata.truncation && !answer.answers.is_empty(), "{most}");
        assert_eq!(answer.edns.is_some(), question.edns.is_some());
    }
    let whole = by_tcp(&server, &plain).await;
    assert_eq!((whole.answers.len(), whole.metadata.truncation), (100, false));
    // The same of what others know: it is asked by TCP, since it does not fit for us either.
    let whole = by_tcp(&server, &question(scene::query("large.example.com.", RecordType::A))).await;
    assert_eq!(whole.answers.len(), 200);
}

#[tokio::test]
async fn questions_on_one_connection_do_not_wait_for_one_another() {
    let server = server().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let names = ["silent.example.com.", "web.shop.svc.cluster.local.", "first.db.shop.svc.cluster.local."];
    for (id, name) in (0..).zip(names) {
        let mut question = question(scene::query(name, RecordType::A));
        question.metadata.id = id;
        send(&mut stream, &question).await;
    }
    assert_eq!([receive(&mut stream).await.metadata.id, receive(&mut stream).await.metadata.id], [1, 2]);
    // Nobody answers the first one: that is said in the end, also to a client that has ended asking.
    stream.shutdown().await.unwrap();
    let last = receive(&mut stream).await;
    assert_eq!((last.metadata.id, last.metadata.response_code), (0, ResponseCode::ServFail));
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn what_is_no_question_is_refused_or_dropped() {
    let server = server().await;
    let web = || scene::query("web.shop.svc.cluster.local.", RecordType::A);
    let good = question(web());
    let cut = good.to_vec().unwrap()[..20].to_vec();
    let mut status = good.clone();
    status.metadata.op_code = OpCode::Status;
    let mut two = good.clone();
    two.add_query(web());
    let mut chaos = good.clone();
    chaos.queries[0].set_query_class(DNSClass::CH);
    let mut future = good.clone();
    let mut edns = Edns::new();
    edns.set_version(1);
    future.set_edns(edns);
    for (packet, code) in [
        (cut, ResponseCode::FormErr),
        (status.to_vec().unwrap(), ResponseCode::NotImp),
        (two.to_vec().unwrap(), ResponseCode::FormErr),
        (chaos.to_vec().unwrap(), ResponseCode::Refused),
        (future.to_vec().unwrap(), ResponseCode::BADVERS),
    ] {
        let answer = Message::from_vec(&udp_bytes(&server, &packet).await).unwrap();
        // One of the numbers has two names.
        assert_eq!((answer.metadata.id, u16::from(answer.metadata.response_code)), (4711, u16::from(code)));
    }
    // To an answer, or less than a header, nothing is said: what comes back is for the question after it.
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(server.address).await.unwrap();
    let mut response = good.clone();
    response.metadata.message_type = MessageType::Response;
    response.metadata.id = 1;
    for packet in [response.to_vec().unwrap(), vec![0; 11], good.to_vec().unwrap()] {
        socket.send(&packet).await.unwrap();
    }
    let mut buffer = [0; 512];
    let length = socket.recv(&mut buffer).await.unwrap();
    assert_eq!(Message::from_vec(&buffer[..length]).unwrap().metadata.id, 4711);
}

#[tokio::test]
async fn who_does_not_want_others_asked_gets_what_is_here() {
    let server = server().await;
    for (name, expected) in
        [("example.com.", "Refused:  |  | "), ("outside.shop.svc.cluster.local.", "NoError: www.example.com. |  | ")]
    {
        let mut question = question(scene::query(name, RecordType::A));
        question.metadata.recursion_desired = false;
        assert_eq!(said(&by_udp(&server, &question).await), expected);
    }
    assert_eq!(server.outside.asked(), 0);
}

#[tokio::test]
async fn before_it_is_known_what_there_is_nothing_is_denied() {
    let server = unlisted().await;
    let web = question(scene::query("web.shop.svc.cluster.local.", RecordType::A));
    assert_eq!(by_udp(&server, &web).await.metadata.response_code, ResponseCode::ServFail);
    let other = question(scene::query("example.com.", RecordType::A));
    assert_eq!(by_udp(&server, &other).await.metadata.response_code, ResponseCode::NoError);
    server.dns.directory.set_complete();
    assert_eq!(by_udp(&server, &web).await.metadata.response_code, ResponseCode::NoError);
}
