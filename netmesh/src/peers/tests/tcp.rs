use std::sync::Arc;
use std::time::Duration;

use carob_net::{
    Answer, Body, Denial, Direction, HttpRoute, HttpService, Network, NetworkError, Protocol, Reason, Rule, TcpOptions,
    TcpStream,
};
use futures::future::poll_fn;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::scene::{Cluster, LONG, Node, accept, address, connect, denied_flows, listen, until};
use crate::backends::{Backends, Scope, Stage};
use crate::mesh::{Frontend, Mesh};
use crate::peers::Limits;
use crate::table::{ObjectName, ServicePort};

/// Both ends of a connection from `client` to `to`, where `server` listens at that port.
async fn meet(client: &Arc<dyn Network>, server: &Arc<dyn Network>, to: &str) -> (TcpStream, TcpStream) {
    let listener = listen(server, &format!("0.0.0.0:{}", address(to).port()));
    let near = connect(client, to).await.unwrap();
    (near.into(), accept(&*listener).await.into())
}

#[tokio::test]
async fn both_ends_see_each_other_and_bytes_go_both_ways() {
    let (_cluster, a, b) = Cluster::of_two().await;
    let (client, server) = (a.pod(9), b.pod(2));
    let (mut near, far) = meet(&client, &server, "10.244.2.2:80").await;
    assert_eq!(near.remote_address(), address("10.244.2.2:80"));
    assert_eq!((far.local_address(), far.remote_address()), (address("10.244.2.2:80"), near.local_address()));
    assert_eq!(near.local_address().ip(), address("10.244.1.9:0").ip());

    let text = "x".repeat(3_000_000);
    let echo = tokio::spawn(async move {
        let (mut read, mut write) = tokio::io::split(far);
        tokio::io::copy(&mut read, &mut write).await.unwrap();
        write.shutdown().await.unwrap();
    });
    let mut got = String::new();
    let (mut read, mut write) = tokio::io::split(&mut near);
    let ask = async {
        write.write_all(text.as_bytes()).await.unwrap();
        write.shutdown().await.unwrap();
    };
    tokio::join!(ask, async { read.read_to_string(&mut got).await.unwrap() });
    assert!(got == text, "{} bytes came back", got.len());
    echo.await.unwrap();
    assert_eq!((client.traffic().sent, server.traffic().received), (3_000_000, 3_000_000));
}

#[tokio::test]
async fn each_way_ends_by_itself() {
    let (_cluster, a, b) = Cluster::of_two().await;
    let (client, server) = (a.pod(9), b.pod(2));
    let (mut near, mut far) = meet(&client, &server, "10.244.2.2:80").await;
    near.write_all(b"question").await.unwrap();
    near.shutdown().await.unwrap();
    let mut question = String::new();
    far.read_to_string(&mut question).await.unwrap();
    assert_eq!(question, "question");
    far.write_all(b"answer").await.unwrap();
    far.shutdown().await.unwrap();
    let mut answer = String::new();
    near.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "answer");
}

#[tokio::test]
async fn a_connection_that_is_dropped_is_reset_at_the_other_end() {
    let (_cluster, a, b) = Cluster::of_two().await;
    let (client, server) = (a.pod(9), b.pod(2));
    for drops_near in [true, false] {
        let (mut near, mut far) = meet(&client, &server, "10.244.2.2:80").await;
        near.write_all(b"x").await.unwrap();
        assert_eq!(far.read_u8().await.unwrap(), b'x');
        let mut other = if drops_near {
            drop(near);
            far
        } else {
            drop(far);
            near
        };
        let read = timeout(LONG, other.read_u8()).await.unwrap();
        assert_eq!(read.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
        let written = timeout(LONG, async { while other.write_all(&[0; 1024]).await.is_ok() {} }).await;
        assert!(written.is_ok(), "whoever writes learns that nobody reads");
    }
}

#[tokio::test]
async fn what_cannot_be_reached_says_why() {
    let (_cluster, a, b) = Cluster::of_two().await;
    let (client, _server) = (a.pod(9), b.pod(2));
    for (to, why) in [
        ("10.244.2.2:80", NetworkError::ConnectionRefused),
        ("10.244.2.3:80", NetworkError::RemoteUnreachable),
        ("10.244.3.2:80", NetworkError::RemoteUnreachable),
        ("10.244.1.3:80", NetworkError::RemoteUnreachable),
    ] {
        assert_eq!(connect(&client, to).await.err(), Some(why), "{to}");
    }
}

/// Closes one port.
struct Closed(u16);

impl Rule for Closed {
    fn decide(&self, flow: &carob_net::Flow<'_>) -> Result<(), Denial> {
        if flow.port != self.0 {
            return Ok(());
        }
        let why = format!("port {} is closed", self.0);
        Err(Denial { direction: Direction::Ingress, reason: Reason::Policy, why })
    }
}

#[tokio::test]
async fn the_decision_point_is_asked_on_both_nodes() {
    let mut cluster = Cluster::new();
    let a = cluster.node_with_rules("a", 1, vec![Box::new(Closed(7))]).await;
    let b = cluster.node_with_rules("b", 2, vec![Box::new(Closed(8))]).await;
    let (client, server) = (a.pod(9), b.pod(2));
    let _listeners = [7, 8].map(|port| listen(&server, &format!("0.0.0.0:{port}")));
    let closed = |port| Some(NetworkError::AccessDenied(format!("port {port} is closed")));
    let denied = |node: &Node| denied_flows(&node.mesh, Protocol::Tcp);
    assert_eq!(connect(&client, "10.244.2.2:7").await.err(), closed(7));
    assert_eq!((denied(&a), denied(&b)), (1, 0));
    assert_eq!(connect(&client, "10.244.2.2:8").await.err(), closed(8));
    assert_eq!((denied(&a), denied(&b)), (1, 1));
}

/// A Service at port 80 in front of these endpoints.
fn service(mesh: &Mesh, endpoints: &[&str]) {
    let service = ObjectName { namespace: "default".into(), name: "web".into() };
    let backends = Arc::new(Backends::new(ServicePort { service, port: "".into() }));
    endpoints.iter().for_each(|endpoint| backends.add(address(endpoint), Stage::Ready, true));
    mesh.shared().frontends.open(Protocol::Tcp, address("10.96.0.9:80"), Frontend::new(backends, Scope::Cluster, None));
}

#[tokio::test]
async fn a_service_is_reached_at_its_endpoints_on_other_nodes_and_it_is_known_how_busy_they_are() {
    let mut cluster = Cluster::new();
    let (a, b, c) = (cluster.node("a", 1).await, cluster.node("b", 2).await, cluster.node("c", 3).await);
    let (client, servers) = (a.pod(9), [b.pod(2), c.pod(2)]);
    let listeners = servers.each_ref().map(|server| listen(server, "0.0.0.0:8080"));
    service(&a.mesh, &["10.244.2.2:8080", "10.244.3.2:8080"]);
    // A connection that either end drops is no load any more.
    let (mut near, mut far) = (Vec::new(), [Vec::new(), Vec::new()]);
    for _ in 0..10 {
        near.push(connect(&client, "10.96.0.9:80").await.unwrap());
        assert_eq!(near[0].remote, address("10.96.0.9:80"), "the client sees the Service");
        tokio::select! {
            accepted = accept(&*listeners[0]) => far[0].push(accepted),
            accepted = accept(&*listeners[1]) => far[1].push(accepted),
        }
    }
    let load = |node: &str, endpoint| a.mesh.shared().elsewhere.peer(node).unwrap().load(address(endpoint));
    let loads = || [load("b", "10.244.2.2:8080"), load("c", "10.244.3.2:8080")];
    assert_eq!(loads(), far.each_ref().map(Vec::len), "by it the less busy of two is chosen");
    drop(far);
    until(|| loads() == [0, 0]).await;
}

/// Says what it was asked for.
struct Path;

impl HttpService for Path {
    fn call(&self, request: Request<Body>) -> Answer {
        let path = request.uri().path().to_owned();
        Box::pin(async { Ok(Response::new(Full::from(path).map_err(|never| match never {}).boxed_unsync())) })
    }

    fn load(&self) -> usize {
        0
    }
}

/// Says its name, and what it was asked, by which name.
struct Named(&'static str);

impl HttpService for Named {
    fn call(&self, request: Request<Body>) -> Answer {
        let name = self.0;
        Box::pin(async move {
            let host = request.headers()[http::header::HOST].to_str().unwrap().to_owned();
            let asked = request.into_body().collect().await.unwrap().to_bytes();
            let said = format!("{name}, asked by {host}: {}", String::from_utf8_lossy(&asked));
            Ok(Response::new(Full::from(said).map_err(|never| match never {}).boxed_unsync()))
        })
    }

    fn load(&self) -> usize {
        0
    }
}

#[tokio::test]
async fn an_http_component_on_another_node_is_asked_over_a_connection() {
    let (_cluster, a, b) = Cluster::of_two().await;
    let (client, server) = (a.pod(9), b.pod(2));
    let _bound = server.serve_http(address("0.0.0.0:80"), Arc::new(Path)).unwrap();
    assert!(matches!(client.http_route(address("10.244.2.2:80")), Ok(HttpRoute::Connect)));
    let mut connection = TcpStream::from(connect(&client, "10.244.2.2:80").await.unwrap());
    connection.write_all(b"GET /there HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n/there"), "{answer}");
}

#[tokio::test]
async fn requests_for_a_service_go_to_its_endpoints_on_all_nodes_without_a_failure() {
    let (_cluster, a, b) = Cluster::of_two().await;
    let (client, near, far) = (a.pod(9), a.pod(2), b.pod(2));
    let here = near.serve_http(address("0.0.0.0:80"), Arc::new(Path)).unwrap();
    let there = far.serve_http(address("0.0.0.0:80"), Arc::new(Named("there"))).unwrap();
    service(&a.mesh, &["10.244.1.2:80", "10.244.2.2:80"]);
    let Ok(HttpRoute::InProcess(web)) = client.http_route(address("10.96.0.9:80")) else {
        panic!("one of its endpoints is here")
    };
    let ask = async || {
        let body = Full::from("question").map_err(|never| match never {}).boxed_unsync();
        let request = Request::builder().method("POST").uri("http://web/here").body(body).unwrap();
        let response = web.call(request).await.map_err(|(why, _)| why).unwrap();
        assert_eq!(response.status(), 200);
        String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    };
    let mut answers = [0, 0];
    for _ in 0..40 {
        match ask().await.as_str() {
            "/here" => answers[0] += 1,
            "there, asked by web: question" => answers[1] += 1,
            other => panic!("{other}"),
        }
    }
    assert!(answers.iter().all(|answered| *answered > 0), "{answers:?}");
    drop(here);
    for _ in 0..10 {
        assert_eq!(ask().await, "there, asked by web: question", "the one here has just closed");
    }
    drop(there);
    let _here = near.serve_http(address("0.0.0.0:80"), Arc::new(Path)).unwrap();
    for _ in 0..10 {
        assert_eq!(ask().await, "/here", "the one there has just closed");
    }
}

#[tokio::test]
async fn a_client_from_outside_is_passed_on_with_its_address_and_one_on_the_host_as_the_node() {
    let (_cluster, a, b) = Cluster::of_two().await;
    let server = b.pod(2);
    let listener = listen(&server, "0.0.0.0:80");
    let clients = [
        ("192.0.2.9:4000", "192.0.2.9:4000"),
        ("[2001:db8::9]:4000", "[2001:db8::9]:4000"),
        ("127.0.0.1:4000", "10.244.1.1:4000"),
    ];
    for (client, known_as) in clients {
        let near = a.mesh.connect_inside(address(client), address("10.244.2.2:80")).await.unwrap();
        let far = accept(&*listener).await;
        assert_eq!(far.remote, address(known_as));
        drop((near, far));
    }
}

#[tokio::test]
async fn a_reader_that_stops_is_felt_by_the_writer_and_by_no_other_flow() {
    let mut cluster = Cluster::new();
    cluster.limits = Limits { flow_window: 128 * 1024, ..cluster.limits };
    let (a, b) = (cluster.node("a", 1).await, cluster.node("b", 2).await);
    let (client, server) = (a.pod(9), b.pod(2));
    let listener = listen(&server, "0.0.0.0:80");
    let small = TcpOptions { send_buffer: Some(16 * 1024), ..TcpOptions::default() };
    let port = client.bind_tcp(address("0.0.0.0:0")).unwrap();
    let mut near = port.connect(address("10.244.2.2:80"), small).await.unwrap();
    let mut far = TcpStream::from(accept(&*listener).await);

    let mut sent = 0;
    // There is no event for "never": what stays full for so long is full.
    while let Ok(room) = timeout(Duration::from_secs(3), poll_fn(|cx| near.transmit.poll_capacity(cx))).await {
        let room = room.unwrap();
        near.transmit.transmit(vec![7; room].into()).unwrap();
        sent += room;
        assert!(sent < 4 << 20, "nobody reads, and {sent} bytes were taken");
    }
    // The pipes of both ends, the window, and the piece that waits between a pipe and the stream on each side.
    assert!(sent <= (48 + 64 + 128 + 2 * 64) * 1024, "{sent}");

    let (mut other, mut other_far) = meet(&client, &server, "10.244.2.2:81").await;
    other.write_all(&[1; 1000]).await.unwrap();
    other_far.read_exact(&mut [0; 1000]).await.unwrap();

    let mut rest = vec![0; sent];
    timeout(LONG, far.read_exact(&mut rest)).await.unwrap().unwrap();
    assert!(rest.iter().all(|byte| *byte == 7));
    assert!(timeout(LONG, poll_fn(|cx| near.transmit.poll_capacity(cx))).await.unwrap().unwrap() > 0);
}

/// A debug build takes seconds for it; the bench has ten thousand.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_flows_are_open_at_once() {
    const FLOWS: usize = 2_000;
    let (_cluster, a, b) = Cluster::of_two().await;
    let (client, server) = (a.pod(9), b.pod(2));
    let listener = server.bind_tcp(address("0.0.0.0:80")).unwrap().listen(FLOWS).unwrap();
    let serving = tokio::spawn(async move {
        let mut echoes = JoinSet::new();
        for _ in 0..FLOWS {
            let mut far = TcpStream::from(accept(&*listener).await);
            echoes.spawn(async move {
                let mut text = [0; 16];
                far.read_exact(&mut text).await.unwrap();
                far.write_all(&text).await.unwrap();
                far.shutdown().await.unwrap();
            });
        }
        echoes.join_all().await;
    });
    let mut connecting = JoinSet::new();
    for _ in 0..FLOWS {
        let client = client.clone();
        connecting.spawn(async move { TcpStream::from(connect(&client, "10.244.2.2:80").await.unwrap()) });
    }
    let mut open = connecting.join_all().await;
    assert_eq!(open.len(), FLOWS);
    for (number, near) in open.iter_mut().enumerate() {
        near.write_all(format!("{number:016}").as_bytes()).await.unwrap();
    }
    for (number, near) in open.iter_mut().enumerate() {
        let mut text = [0; 16];
        near.read_exact(&mut text).await.unwrap();
        assert_eq!(text[..], *format!("{number:016}").as_bytes());
    }
    drop(open);
    serving.await.unwrap();
    assert_eq!((a.quic.open_connections(), b.quic.open_connections()), (1, 1), "over one connection");
}
