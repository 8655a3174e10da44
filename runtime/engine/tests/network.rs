//! A guest's network is the one that its container was given, and nothing else.
#![allow(clippy::unwrap_used, reason = "this is a test")]

mod common;

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use carob_engine::Container;
use carob_net::{Answer, Body, HttpService, Network};
use common::network::MemoryNetwork;
use common::{Printed, Setup, call, ended, get, read, setup};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};

/// Somebody of the host whom no guest may reach.
fn bystander() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn nobody_came(listener: &TcpListener) -> bool {
    listener.accept().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
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
    let (listener, address) = bystander();
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
    assert!(nobody_came(&listener));
}

/// The guests that call every function of `wasi:sockets` (the conformance test makes sure that they do) and those that send
/// requests: all of it is asked of their network, and the process gets no socket by it.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_guests_do_is_asked_of_their_network() {
    let setup = setup();
    let (listener, address) = bystander();
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
    assert!(nobody_came(&listener));
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
