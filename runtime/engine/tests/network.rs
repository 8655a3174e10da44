//! A guest's network is the one that its container was given, and nothing else.
#![allow(clippy::unwrap_used, reason = "this is a test")]

mod common;

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use carob_engine::Container;
use carob_net::{
    Answer, Body, HttpService, Network, NetworkError, Networks, Receive, TcpConnection, TcpOptions, Workload,
};
use carob_netmesh::{Caps, Mesh, MeshConfig};
use common::network::MemoryNetwork;
use common::{Printed, Setup, call, ended, get, read, setup};
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use tokio::time::timeout;

/// Somebody of the host whom no guest may reach.
///
/// There is one for all tests of this process: one of them counts the sockets that the process has.
static BYSTANDER: LazyLock<TcpListener> = LazyLock::new(|| {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
});

fn bystander() -> SocketAddr {
    BYSTANDER.local_addr().unwrap()
}

fn nobody_came() -> bool {
    BYSTANDER.accept().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

/// The sockets that this process has, as the system names them.
fn host_sockets() -> BTreeSet<String> {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let target = |entry: std::io::Result<std::fs::DirEntry>| std::fs::read_link(entry.ok()?.path()).ok();
    let names = open.filter_map(target).map(|target| target.to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("socket:")).collect()
}

async fn start(
    setup: &Setup,
    sample: &str,
    args: &[&str],
    env: &[(&str, String)],
    network: Arc<dyn Network>,
) -> (Container, Arc<Printed>) {
    let program = setup.sample(sample).await;
    let output = Arc::new(Printed::default());
    let mut config = common::config(output.clone());
    config.args.extend(args.iter().map(|arg| (*arg).to_owned()));
    config.env = env.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    config.network = network;
    (setup.engine.start(&program, config).unwrap(), output)
}

/// Answers with what it was sent, trailers included.
struct Mirror;

impl HttpService for Mirror {
    fn call(&self, request: Request<Body>) -> Answer {
        Box::pin(async move {
            let asked = request.into_body().collect().await.unwrap();
            let trailers = asked.trailers().cloned();
            Ok(Response::new(with_trailers(asked.to_bytes(), trailers)))
        })
    }

    fn load(&self) -> usize {
        0
    }
}

fn with_trailers(bytes: Bytes, trailers: Option<HeaderMap>) -> Body {
    let frames = std::iter::once(Frame::data(bytes)).chain(trailers.map(Frame::trailers));
    StreamBody::new(futures::stream::iter(frames.map(Ok))).boxed_unsync()
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_of_requests_and_responses_pass_through_guests() {
    let setup = setup();
    for front in ["front", "front-p3"] {
        let network = MemoryNetwork::default();
        network.serve("127.0.0.1:80", Arc::new(Mirror));
        let env = [("BACKEND", "http://127.0.0.1:80/".to_owned())];
        let (container, _) = start(&setup, front, &[], &env, Arc::new(network)).await;
        let trailers = HeaderMap::from_iter([("x-checksum".parse().unwrap(), "abc".parse().unwrap())]);
        let request =
            Request::post("http://front/").body(with_trailers("ping".into(), Some(trailers.clone()))).unwrap();
        let response = call(&container.http().unwrap(), request).await.unwrap();
        let answer = response.into_body().collect().await.unwrap();
        assert_eq!(answer.trailers(), Some(&trailers), "{front}");
        assert_eq!(answer.to_bytes(), "The backend says: ping", "{front}");
    }
}

struct Backend;

impl HttpService for Backend {
    fn call(&self, _: Request<Body>) -> Answer {
        Box::pin(async { Ok(Response::new(Full::from("hello").map_err(|never| match never {}).boxed_unsync())) })
    }

    fn load(&self) -> usize {
        0
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_network_everything_is_denied() {
    let setup = setup();
    let address = bystander();
    for client in ["echo-client", "echo-client-p3"] {
        let server = address.to_string();
        let args = ["tcp", &server, "udp", &server, "tcp", "localhost:80"];
        let (container, output) = start(&setup, client, &args, &[], Arc::new(carob_net::Unplugged)).await;
        assert_eq!(ended(&container).await.code, 1, "{client}: {}", output.text());
        assert_eq!(output.text().lines().count(), 3, "{client}: {}", output.text());
    }
    for front in ["front", "front-p3"] {
        let env = [("BACKEND", format!("http://{address}/"))];
        let (container, _) = start(&setup, front, &[], &env, Arc::new(carob_net::Unplugged)).await;
        let (status, said) = read(call(&container.http().unwrap(), get("/")).await.unwrap()).await;
        assert_eq!(status, 502, "{front}: {said}");
        assert!(said.contains("HttpRequestDenied"), "{front}: {said}");
    }
    assert!(nobody_came());
}

/// The guests that call every function of `wasi:sockets` (the conformance test makes sure that they do) and those that send
/// requests: all of it is asked of their network, and the process gets no socket by it.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_guests_do_is_asked_of_their_network() {
    let setup = setup();
    let address = bystander();
    let before = host_sockets();
    for (probe, asks) in [("probe-sockets", "0.2"), ("probe-sockets-p3", "0.3")] {
        let network = MemoryNetwork::default();
        let (container, output) = start(&setup, probe, &[], &[], Arc::new(network.clone())).await;
        assert_eq!(ended(&container).await.code, 0, "{asks}: {}", output.text());
        for question in ["resolve ", "bind tcp ", "bind udp ", "connect "] {
            assert!(
                network.asked().iter().any(|asked| asked.starts_with(question)),
                "{asks} has not asked: {question}"
            );
        }
    }
    for front in ["front", "front-p3"] {
        let network = MemoryNetwork::default();
        network.serve(&address.to_string(), Arc::new(Backend));
        let env = [("BACKEND", format!("http://{address}/"))];
        let (container, _) = start(&setup, front, &[], &env, Arc::new(network.clone())).await;
        let (status, said) = read(call(&container.http().unwrap(), get("/")).await.unwrap()).await;
        assert_eq!((status, said.as_str()), (200, "The backend says: hello"), "{front}");
        assert!(network.asked().contains(&format!("route http {address}")), "{front}: {:?}", network.asked());
    }
    assert!(nobody_came());
    let new: Vec<_> = host_sockets().difference(&before).cloned().collect();
    assert!(new.is_empty(), "the process has sockets that it had not: {new:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn echo_servers_and_clients_meet_in_their_network() {
    let setup = setup();
    for (version, suffix) in [("0.2", ""), ("0.3", "-p3")] {
        let network = MemoryNetwork::default();
        let (tcp, tcp_said) = start(&setup, &format!("tcp-echo{suffix}"), &[], &[], Arc::new(network.clone())).await;
        let (udp, udp_said) = start(&setup, &format!("udp-echo{suffix}"), &[], &[], Arc::new(network.clone())).await;
        tcp_said.contains("listening").await;
        udp_said.contains("listening").await;
        for client in ["echo-client", "echo-client-p3"] {
            let args = ["tcp", "localhost:7", "udp", "127.0.0.1:7"];
            let (client, said) = start(&setup, client, &args, &[], Arc::new(network.clone())).await;
            let exit = ended(&client).await;
            assert_eq!(
                (exit.code, said.text().matches("is anybody there?").count()),
                (0, 2),
                "{version}: {}",
                said.text()
            );
        }
        drop((tcp, udp));
    }
}

/// The Pod of a mesh with this address.
fn pod(mesh: &Mesh, host: u8) -> Arc<dyn Network> {
    let addresses = vec![[10, 244, 0, host].into()];
    let name = format!("pod-{host}");
    mesh.join(Workload { namespace: "default".into(), name, addresses, hosts: vec![], names: Default::default() })
        .unwrap()
}

async fn connected(network: &Arc<dyn Network>, to: &str) -> TcpConnection {
    let port = network.bind_tcp("0.0.0.0:0".parse().unwrap()).unwrap();
    port.connect(to.parse().unwrap(), TcpOptions::default()).await.unwrap()
}

async fn read_all(receive: &mut dyn Receive) -> Result<Vec<u8>, NetworkError> {
    let mut all = Vec::new();
    while let Some(bytes) = poll_fn(|cx| receive.poll_receive(cx, 64 * 1024)).await? {
        all.extend(bytes);
    }
    Ok(all)
}

/// What one Pod's client sees of another Pod's guest that listens: the whole life of a connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_listening_guest_is_held_back_half_closed_and_reset_from_another_pod() {
    const MOST: usize = 64 << 20;
    let setup = setup();
    for server in ["tcp-echo", "tcp-echo-p3"] {
        let mesh = Mesh::new(MeshConfig::default());
        let (there, here) = (pod(&mesh, 2), pod(&mesh, 3));
        let (_server, said) = start(&setup, server, &[], &[], there).await;
        said.contains("listening").await;

        let TcpConnection { mut transmit, mut receive, .. } = connected(&here, "10.244.0.2:7").await;
        let mut sent = 0;
        // Nothing is read back: sooner or later neither end may send.
        loop {
            let room = poll_fn(|cx| transmit.poll_capacity(cx));
            let Ok(room) = timeout(Duration::from_millis(500), room).await else { break };
            let room = room.unwrap();
            transmit.transmit(Bytes::from(vec![7; room])).unwrap();
            sent += room;
            assert!(sent < MOST, "{server}: nothing stops the writer");
        }
        poll_fn(|cx| transmit.poll_shutdown(cx)).await.unwrap();
        let echoed = read_all(&mut *receive).await.unwrap();
        assert_eq!(echoed.len(), sent, "{server}: after the half-close all of it comes back, and the end");

        let reset = connected(&here, "10.244.0.2:7").await;
        drop(reset);
        let TcpConnection { mut transmit, mut receive, .. } = connected(&here, "10.244.0.2:7").await;
        transmit.transmit("still here".into()).unwrap();
        poll_fn(|cx| transmit.poll_shutdown(cx)).await.unwrap();
        assert_eq!(read_all(&mut *receive).await.unwrap(), b"still here", "{server}: after a reset it serves the next");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_takes_all_sockets_is_refused_more_and_its_neighbours_are_not() {
    let setup = setup();
    let caps = Caps { sockets: 32, ..Caps::default() };
    let mesh = Mesh::new(MeshConfig { caps, ..MeshConfig::default() });
    let (_flood, said) = start(&setup, "misbehave", &["sockets"], &[], pod(&mesh, 2)).await;
    // What wasi-libc makes of new-socket-limit.
    said.contains("took 32 sockets, then: No file descriptors available").await;
    let (_server, said) = start(&setup, "tcp-echo-p3", &[], &[], pod(&mesh, 3)).await;
    said.contains("listening").await;
    let (client, said) = start(&setup, "echo-client", &["tcp", "10.244.0.3:7"], &[], pod(&mesh, 4)).await;
    assert_eq!(ended(&client).await.code, 0, "{}", said.text());
}
