use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use carob_net::{
    Answer, Body, HttpRoute, HttpService, Names, Network, NetworkError, Protocol, Resolver, TcpStream, WorkloadSockets,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::scene::{accept_now, address, connect, listen, mesh, pod, receive, send};
use crate::backends::{Backends, Scope, Stage};
use crate::mesh::{Frontend, Mesh, MeshConfig};
use crate::table::{ObjectName, ServicePort};

/// A Service at an address, in front of these endpoints.
fn service(mesh: &Mesh, protocol: Protocol, at: &str, endpoints: &[&str], affinity: Option<Duration>) -> Arc<Backends> {
    let name = ObjectName { namespace: "default".into(), name: "web".into() };
    let backends = Arc::new(Backends::new(ServicePort { service: name, port: "".into() }));
    endpoints.iter().for_each(|endpoint| backends.add(address(endpoint), Stage::Ready, true));
    mesh.shared().frontends.open(protocol, address(at), Frontend::new(backends.clone(), Scope::Cluster, affinity));
    backends
}

/// Answers with its name.
struct Named(&'static str);

impl HttpService for Named {
    fn call(&self, request: Request<Body>) -> Answer {
        let name = self.0;
        Box::pin(async move {
            let asked = request.into_body().collect().await.unwrap().to_bytes();
            let text = [name.as_bytes(), &asked].concat();
            Ok(Response::new(Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync()))
        })
    }

    fn load(&self) -> usize {
        0
    }
}

async fn ask(service: &dyn HttpService, text: &'static str) -> String {
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync();
    let response = service.call(Request::new(body)).await.unwrap_or_else(|(refused, _)| panic!("{refused}"));
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

fn in_process(network: &Arc<dyn Network>, to: &str) -> Arc<dyn HttpService> {
    match network.http_route(address(to)) {
        Ok(HttpRoute::InProcess(service)) => service,
        Ok(HttpRoute::Connect) => panic!("{to} is to be connected to"),
        Err(error) => panic!("{to}: {error}"),
    }
}

#[tokio::test]
async fn a_connection_to_a_service_goes_to_each_endpoint_sometime_and_never_to_one_that_is_not_there() {
    let mesh = mesh();
    let (one, two, client) = (pod(&mesh, 2), pod(&mesh, 3), pod(&mesh, 4));
    let listeners = [listen(&one, "0.0.0.0:8080"), listen(&two, "0.0.0.0:8080")];
    let endpoints = ["10.244.0.2:8080", "10.244.0.3:8080", "10.244.0.77:8080", "10.244.0.4:8080"];
    service(&mesh, Protocol::Tcp, "10.96.0.9:80", &endpoints, None);
    let mut met = BTreeSet::new();
    while met.len() < 2 {
        let near = connect(&client, "10.96.0.9:80").await.unwrap();
        assert_eq!(near.remote, address("10.96.0.9:80"), "the client sees whom it asked for");
        let accepted = listeners.iter().find_map(|listener| accept_now(&**listener)).unwrap();
        met.insert(accepted.local);
    }
    assert_eq!(connect(&client, "10.96.0.9:81").await.err(), Some(NetworkError::ConnectionRefused));
}

#[tokio::test]
async fn the_less_loaded_endpoint_is_chosen() {
    let mesh = mesh();
    let (busy, idle, client) = (pod(&mesh, 2), pod(&mesh, 3), pod(&mesh, 4));
    let (_first, second) = (listen(&busy, "0.0.0.0:80"), listen(&idle, "0.0.0.0:80"));
    let _load = [connect(&client, "10.244.0.2:80").await.unwrap(), connect(&client, "10.244.0.2:80").await.unwrap()];
    service(&mesh, Protocol::Tcp, "10.96.0.9:80", &["10.244.0.2:80", "10.244.0.3:80"], None);
    for _ in 0..8 {
        drop(connect(&client, "10.96.0.9:80").await.unwrap());
        assert!(accept_now(&*second).is_some());
    }
}

#[tokio::test]
async fn a_service_without_ready_endpoints_refuses() {
    let mesh = mesh();
    let client = pod(&mesh, 4);
    let backends = service(&mesh, Protocol::Tcp, "10.96.0.9:80", &["10.244.0.2:80"], None);
    backends.remove(address("10.244.0.2:80"), Stage::Ready, true);
    assert_eq!(connect(&client, "10.96.0.9:80").await.err(), Some(NetworkError::ConnectionRefused));
    assert!(matches!(client.http_route(address("10.96.0.9:80")), Err(NetworkError::ConnectionRefused)));
}

#[tokio::test]
async fn a_client_is_kept_where_it_was_if_the_service_says_so() {
    let mesh = mesh();
    let pods: Vec<_> = (2..10).map(|host| pod(&mesh, host)).collect();
    let listeners: Vec<_> = pods.iter().map(|pod| listen(pod, "0.0.0.0:80")).collect();
    let client = pod(&mesh, 20);
    let endpoints: Vec<String> = (2..10).map(|host| format!("10.244.0.{host}:80")).collect();
    let endpoints: Vec<&str> = endpoints.iter().map(String::as_str).collect();
    let hour = Some(Duration::from_secs(3600));
    let backends = service(&mesh, Protocol::Tcp, "10.96.0.9:80", &endpoints, hour);
    let meets = async || -> SocketAddr {
        connect(&client, "10.96.0.9:80").await.unwrap();
        listeners.iter().find_map(|listener| accept_now(&**listener)).unwrap().local
    };
    let first = meets().await;
    for _ in 0..20 {
        assert_eq!(meets().await, first);
    }
    backends.remove(first, Stage::Ready, true);
    let second = meets().await;
    assert_ne!(second, first, "an endpoint that is not ready keeps nobody");
    backends.add(first, Stage::Ready, true);
    assert_eq!(meets().await, second);
}

#[tokio::test]
async fn datagrams_to_a_service_stay_with_one_endpoint_and_answers_come_from_the_service() {
    let mesh = mesh();
    let (one, two, client) = (pod(&mesh, 2), pod(&mesh, 3), pod(&mesh, 4));
    let servers = [one.bind_udp(address("0.0.0.0:5353")).unwrap(), two.bind_udp(address("0.0.0.0:5353")).unwrap()];
    let endpoints = ["10.244.0.2:5353", "10.244.0.3:5353"];
    let backends = service(&mesh, Protocol::Udp, "10.96.0.10:53", &endpoints, None);
    let socket = client.bind_udp(address("0.0.0.0:0")).unwrap();

    send(&*socket, "first", "10.96.0.10:53").await.unwrap();
    let chosen = servers.iter().position(|server| super::scene::receive_now(&**server).is_some()).unwrap();
    for _ in 0..8 {
        send(&*socket, "again", "10.96.0.10:53").await.unwrap();
        let (text, from) = receive(&*servers[chosen]).await;
        assert_eq!(text, "again");
        send(&*servers[chosen], "answer", &from.to_string()).await.unwrap();
        assert_eq!(receive(&*socket).await, ("answer".into(), address("10.96.0.10:53")));
    }
    backends.remove(address(endpoints[chosen]), Stage::Ready, true);
    send(&*socket, "moved", "10.96.0.10:53").await.unwrap();
    assert_eq!(receive(&*servers[1 - chosen]).await.0, "moved");
    backends.remove(address(endpoints[1 - chosen]), Stage::Ready, true);
    send(&*socket, "lost", "10.96.0.10:53").await.unwrap();
}

#[tokio::test]
async fn an_endpoint_of_the_host_is_seen_as_the_service_by_udp_and_tcp() {
    let (udp, tcp) = loop {
        let udp = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        if let Ok(tcp) = tokio::net::TcpListener::bind(udp.local_addr().unwrap()).await {
            break (udp, tcp);
        }
    };
    let host = udp.local_addr().unwrap();
    let mesh = Mesh::new(MeshConfig { dns: Some(host), ..MeshConfig::default() });
    let endpoints = [&*host.to_string()];
    service(&mesh, Protocol::Udp, "10.96.0.10:53", &endpoints, None);
    service(&mesh, Protocol::Tcp, "10.96.0.10:53", &endpoints, None);
    service(&mesh, Protocol::Udp, "10.96.0.11:53", &["127.0.0.1:9"], None);
    let client = pod(&mesh, 4);
    let socket = client.bind_udp(address("0.0.0.0:0")).unwrap();
    send(&*socket, "question", "10.96.0.10:53").await.unwrap();
    let mut asked = [0; 16];
    let (length, from) = udp.recv_from(&mut asked).await.unwrap();
    udp.send_to(&asked[..length], from).await.unwrap();
    assert_eq!(receive(&*socket).await, ("question".into(), address("10.96.0.10:53")));
    let denied = send(&*socket, "question", "10.96.0.11:53").await;
    assert!(matches!(denied, Err(NetworkError::AccessDenied(_))), "{denied:?}");
    let connection = connect(&client, "10.96.0.10:53").await.unwrap();
    assert_eq!(connection.remote, address("10.96.0.10:53"));
    tcp.accept().await.unwrap();
}

#[tokio::test]
async fn an_http_service_is_reached_in_process_by_every_address_it_has() {
    let mesh = mesh();
    let (server, client) = (pod(&mesh, 2), pod(&mesh, 3));
    let bound = server.serve_http(address("0.0.0.0:8080"), Arc::new(Named("web"))).unwrap();
    service(&mesh, Protocol::Tcp, "10.96.0.9:80", &["10.244.0.2:8080"], None);
    for (network, to) in [
        (&server, "127.0.0.1:8080"),
        (&server, "10.244.0.2:8080"),
        (&client, "10.244.0.2:8080"),
        (&client, "10.96.0.9:80"),
    ] {
        assert_eq!(ask(&*in_process(network, to), "?").await, "web?", "{to}");
    }
    assert_eq!(server.bind_tcp(address("10.244.0.2:8080")).err(), Some(NetworkError::AddressInUse));
    assert!(matches!(client.http_route(address("10.244.0.2:8081")), Err(NetworkError::ConnectionRefused)));
    let metered = client.traffic();
    assert!(metered.sent > 2 && metered.received > 8, "{metered:?}");
    assert_eq!((server.traffic().sent, server.traffic().received), (metered.received, metered.sent));
    drop(bound);
    assert!(matches!(client.http_route(address("10.244.0.2:8080")), Err(NetworkError::ConnectionRefused)));
    assert!(server.bind_tcp(address("10.244.0.2:8080")).is_ok());
}

#[tokio::test]
async fn who_ends_sending_after_a_request_still_gets_the_answer() {
    let mesh = mesh();
    let server = pod(&mesh, 2);
    let _bound = server.serve_http(address("0.0.0.0:8080"), Arc::new(Named("web"))).unwrap();
    let mut stream = TcpStream::from(connect(&server, "127.0.0.1:8080").await.unwrap());
    stream.write_all(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\nweb"), "{answer}");
}

#[tokio::test]
async fn http_in_a_pods_loopback_is_nobody_elses() {
    let mesh = mesh();
    let (server, client) = (pod(&mesh, 2), pod(&mesh, 3));
    let _bound = server.serve_http(address("127.0.0.1:8080"), Arc::new(Named("web"))).unwrap();
    assert_eq!(ask(&*in_process(&server, "127.0.0.1:8080"), "").await, "web");
    assert!(matches!(client.http_route(address("10.244.0.2:8080")), Err(NetworkError::ConnectionRefused)));
    assert!(mesh.endpoints().lookup(address("10.244.0.2:8080")).is_none());
    let _listener = listen(&client, "0.0.0.0:9000");
    assert!(matches!(server.http_route(address("10.244.0.3:9000")), Ok(HttpRoute::Connect)));
}

#[tokio::test]
async fn a_request_that_one_endpoint_turns_away_reaches_the_next_as_it_was() {
    /// Takes nothing any more.
    struct Closed;
    impl HttpService for Closed {
        fn call(&self, request: Request<Body>) -> Answer {
            Box::pin(async { Err((carob_net::Refused::Closed, Some(request))) })
        }
        fn load(&self) -> usize {
            0
        }
    }
    let mesh = mesh();
    let (old, new, client) = (pod(&mesh, 2), pod(&mesh, 3), pod(&mesh, 4));
    let _old = old.serve_http(address("0.0.0.0:80"), Arc::new(Closed)).unwrap();
    let _new = new.serve_http(address("0.0.0.0:80"), Arc::new(Named("new"))).unwrap();
    service(&mesh, Protocol::Tcp, "10.96.0.9:80", &["10.244.0.2:80", "10.244.0.3:80"], None);
    for _ in 0..16 {
        assert_eq!(ask(&*in_process(&client, "10.96.0.9:80"), "?").await, "new?");
    }
    assert_eq!(old.traffic(), carob_net::Traffic::default(), "what was turned away was not received");
}

#[tokio::test]
async fn whoever_connects_to_an_http_service_is_served_over_the_connection() {
    let mesh = mesh();
    let (server, client) = (pod(&mesh, 2), pod(&mesh, 3));
    let bound = server.serve_http(address("0.0.0.0:8080"), Arc::new(Named("web"))).unwrap();
    let stream = TcpStream::from(connect(&client, "10.244.0.2:8080").await.unwrap());
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake::<_, Empty<Bytes>>(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    for _ in 0..2 {
        let request = Request::get("/").header("host", "web").body(Empty::new()).unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "web");
    }
    drop(bound);
    assert!(connection.await.unwrap().is_err(), "a connection ends with the service");
    assert_eq!(connect(&client, "10.244.0.2:8080").await.err(), Some(NetworkError::ConnectionRefused));
}

#[tokio::test]
async fn a_client_of_the_host_reaches_a_socket_but_not_a_loopback() {
    let mesh = mesh();
    let server = pod(&mesh, 2);
    let listener = listen(&server, "10.244.0.2:7");
    let _inner = listen(&server, "127.0.0.1:8");
    let client = address("192.0.2.9:4000");
    let mut near = TcpStream::from(mesh.connect_inside(client, address("10.244.0.2:7")).await.unwrap());
    let accepted = accept_now(&*listener).unwrap();
    assert_eq!(accepted.remote, client);
    let mut far = TcpStream::from(accepted);
    near.write_all(b"ping").await.unwrap();
    let mut text = [0; 4];
    far.read_exact(&mut text).await.unwrap();
    assert_eq!(&text, b"ping");
    for to in ["10.244.0.2:8", "127.0.0.1:8", "192.0.2.1:80"] {
        assert!(mesh.connect_inside(client, address(to)).await.is_err(), "{to}");
    }
}

/// Knows one name.
#[derive(Debug)]
struct Web;

impl Resolver for Web {
    fn resolve(
        &self,
        _: &str,
        _: &Names,
        _: Arc<dyn WorkloadSockets>,
    ) -> BoxFuture<'static, Result<Vec<IpAddr>, NetworkError>> {
        async { Ok(vec![address("10.96.0.9:0").ip()]) }.boxed()
    }
}

#[tokio::test]
async fn a_name_that_is_asked_for_before_services_are_known_waits_for_them() {
    let mesh = Mesh::new(MeshConfig { resolver: Arc::new(Web), ..MeshConfig::default() });
    let network = pod(&mesh, 2);
    mesh.shared().listed.expect();
    assert_eq!(network.resolve("10.96.0.9").await, Ok(vec![address("10.96.0.9:0").ip()]), "an address needs nobody");
    let mut early = network.resolve("web");
    assert!(futures::poll!(early.as_mut()).is_pending());
    mesh.shared().listed.complete();
    assert_eq!(early.await, Ok(vec![address("10.96.0.9:0").ip()]));
}
