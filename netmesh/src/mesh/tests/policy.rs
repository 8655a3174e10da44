//! Every kind of flow passes the decision point: one rule stops them all.

use std::io::ErrorKind;
use std::sync::Arc;

use carob_net::{Answer, Body, Denial, Direction, Flow, HttpService, NetworkError, Protocol, Reason, Rule};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use super::scene::{address, connect, denied_flows, listen, pod, receive_now, send};
use crate::backends::{Backends, Scope, Stage};
use crate::balance::{Endpoints, Found};
use crate::listener::Serve;
use crate::mesh::{Asking, Frontend, Mesh, MeshConfig, Source};
use crate::table::{ObjectName, ServicePort, Sources};
use crate::target::Target;

/// Closes one port to everybody but the Pod itself.
struct Closed(u16);

impl Rule for Closed {
    fn decide(&self, flow: &Flow<'_>) -> Result<(), Denial> {
        if flow.port != self.0 {
            return Ok(());
        }
        let why = format!("port {} is closed", self.0);
        Err(Denial { direction: Direction::Ingress, reason: Reason::Policy, why })
    }
}

/// Answers nothing.
struct Silent;

impl HttpService for Silent {
    fn call(&self, _: Request<Body>) -> Answer {
        Box::pin(async { Ok(Response::new(Empty::new().map_err(|never| match never {}).boxed_unsync())) })
    }

    fn load(&self) -> usize {
        0
    }
}

fn mesh() -> Mesh {
    Mesh::with_rules(MeshConfig::default(), vec![Box::new(Closed(7))])
}

/// A Service at port 80 in front of one endpoint.
fn service(mesh: &Mesh, protocol: Protocol, endpoint: &str) {
    let service = ObjectName { namespace: "default".into(), name: "web".into() };
    let backends = Arc::new(Backends::new(ServicePort { service, port: "".into() }));
    backends.add(address(endpoint), Stage::Ready, true);
    mesh.shared().frontends.open(protocol, address("10.96.0.9:80"), Frontend::new(backends, Scope::Cluster, None));
}

fn denied() -> NetworkError {
    NetworkError::AccessDenied("port 7 is closed".into())
}

#[tokio::test]
async fn connections_to_a_pod_directly_and_through_a_service() {
    let mesh = mesh();
    let (server, client) = (pod(&mesh, 2), pod(&mesh, 3));
    let _listeners = [listen(&server, "0.0.0.0:7"), listen(&server, "0.0.0.0:8")];
    service(&mesh, Protocol::Tcp, "10.244.0.2:7");
    for to in ["10.244.0.2:7", "10.96.0.9:80", "192.0.2.1:7"] {
        assert_eq!(connect(&client, to).await.err(), Some(denied()), "{to}");
    }
    assert!(connect(&client, "10.244.0.2:8").await.is_ok());
    assert_eq!(denied_flows(&mesh, Protocol::Tcp), 3);
}

#[tokio::test]
async fn datagrams_to_a_pod_directly_and_through_a_service() {
    let mesh = mesh();
    let (server, client) = (pod(&mesh, 2), pod(&mesh, 3));
    let far = server.bind_udp(address("0.0.0.0:7")).unwrap();
    service(&mesh, Protocol::Udp, "10.244.0.2:7");
    let near = client.bind_udp(address("0.0.0.0:0")).unwrap();
    for to in ["10.244.0.2:7", "10.96.0.9:80", "192.0.2.1:7"] {
        assert_eq!(send(&*near, "x", to).await, Err(denied()), "{to}");
    }
    assert!(receive_now(&*far).is_none());
    assert_eq!(denied_flows(&mesh, Protocol::Udp), 3);
}

#[tokio::test]
async fn requests_of_http_without_a_connection() {
    let mesh = mesh();
    let (server, client) = (pod(&mesh, 2), pod(&mesh, 3));
    let _bound = server.serve_http(address("0.0.0.0:7"), Arc::new(Silent)).unwrap();
    service(&mesh, Protocol::Tcp, "10.244.0.2:7");
    assert_eq!(client.http_route(address("10.244.0.2:7")).err(), Some(denied()));
    let in_process = matches!(client.http_route(address("10.96.0.9:80")), Ok(carob_net::HttpRoute::InProcess(_)));
    assert!(!in_process, "no endpoint of the Service may be asked");
    assert_eq!(connect(&client, "10.96.0.9:80").await.err(), Some(denied()));
}

#[tokio::test]
async fn clients_that_come_in_by_a_port_of_the_host() {
    let mesh = mesh();
    let server = pod(&mesh, 2);
    let listener = listen(&server, "0.0.0.0:7");
    let client = address("192.0.2.9:4000");
    assert_eq!(mesh.connect_inside(client, address("10.244.0.2:7")).await.err(), Some(denied()));
    drop(listener);
    let _bound = server.serve_http(address("0.0.0.0:7"), Arc::new(Silent)).unwrap();
    let asking = Asking { shared: mesh.shared(), source: Source::Outside(client) };
    assert!(matches!(asking.find(address("10.244.0.2:7")), Found::Denied));
}

/// What a client at a node port gets, whose bytes or request are for this endpoint.
async fn at_a_node_port(mesh: &Mesh, endpoint: &str) -> Result<String, ErrorKind> {
    let service = ObjectName { namespace: "default".into(), name: "web".into() };
    let backends = Arc::new(Backends::new(ServicePort { service, port: "".into() }));
    backends.add(address(endpoint), Stage::Ready, true);
    let frontend = Frontend::new(backends, Scope::Cluster, None);
    let target = Arc::new(Target { mesh: mesh.clone(), frontend, sources: Sources::default() });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut stream = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (accepted, client) = listener.accept().await.unwrap();
    let served = tokio::spawn(target.serve(accepted, client, CancellationToken::new()));
    let asked = stream.write_all(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n").await;
    let mut answer = String::new();
    let read = match asked {
        Ok(()) => stream.read_to_string(&mut answer).await.map(|_| ()),
        failed => failed,
    };
    served.await.unwrap();
    read.map(|()| answer).map_err(|error| error.kind())
}

/// Who is denied is not asked again, as one that is closed would be.
#[tokio::test]
async fn a_client_of_the_host_whom_policies_keep_out_hears_so_at_once() {
    let mesh = mesh();
    let server = pod(&mesh, 2);
    let _socket = listen(&server, "0.0.0.0:7");
    let refused = at_a_node_port(&mesh, "10.244.0.2:7").await.unwrap_err();
    assert!(matches!(refused, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{refused:?}");
    let web = pod(&mesh, 3);
    let _http = web.serve_http(address("0.0.0.0:7"), Arc::new(Silent)).unwrap();
    let told = at_a_node_port(&mesh, "10.244.0.3:7").await.unwrap();
    assert!(told.starts_with("HTTP/1.1 403 Forbidden\r\n") && told.contains("access denied by policy"), "{told}");
}
