//! The gateway, beside nginx as a reverse proxy in front of the same server, and beside that server alone.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use carob_apiserver::{ApiServer, Config};
use carob_net::{HttpBound, Network, Networks, TcpListener as PodListener, TcpStream as PodStream, Workload};
use carob_netmesh::{Announcement, Gateway, GatewayConfig, Mesh, MeshConfig, NetmeshConfig, Services};
use carob_store::Memory;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use kube::{Api, Client};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::requests::take_turns;
use super::{client, native, nginx, node_port};
use crate::objects;
use crate::table::{Row, Target};

pub(crate) async fn run() -> Result<Vec<Row>> {
    let native = native::start().await?;
    let in_process = start(Behind::InProcess).await?;
    let at_socket = start(Behind::Socket).await?;
    let peer = nginx::start(native.address).await?;
    let [called, connected, alone] = take_turns([in_process.address, at_socket.address, native.address]).await?;
    let mut rows = vec![
        row(HANDED_OVER, called, "native hyper", alone, Target::None),
        row(CONNECTED, connected, "native hyper", alone, Target::None),
    ];
    if let Some(peer) = peer {
        let [called, connected, proxied] = take_turns([in_process.address, at_socket.address, peer.address]).await?;
        rows.push(row(HANDED_OVER, called, "nginx before native hyper", proxied, Target::AtLeast(1.5)));
        rows.push(row(CONNECTED, connected, "nginx before native hyper", proxied, Target::AtLeast(1.0)));
    }
    Ok(rows)
}

const HANDED_OVER: &str = "gateway to an endpoint of its process";
const CONNECTED: &str = "gateway to a Pod that listens at a socket";

fn row(what: &'static str, ours: f64, floor_is: &'static str, floor: f64, target: Target) -> Row {
    Row { what, unit: "requests/s", ours, floor_is, floor, target }
}

/// How the endpoint answers.
enum Behind {
    InProcess,
    Socket,
}

/// A gateway that is listened to until this is dropped.
struct Running {
    address: SocketAddr,
    _pod: Arc<dyn Network>,
    _bound: Option<Box<dyn HttpBound>>,
    _running: JoinSet<()>,
}

async fn start(behind: Behind) -> Result<Running> {
    let api = ApiServer::new(Arc::new(Memory::new()), Config::default()).await?;
    let client = Client::new(api.client(objects::admin()), "default");
    let mesh = Mesh::new(MeshConfig::default());
    let mut running = JoinSet::new();
    let workload = Workload {
        namespace: "default".into(),
        name: "hello".into(),
        addresses: vec![node_port::pod(0).into()],
        hosts: vec![],
        names: Default::default(),
    };
    let pod = mesh.join(workload)?;
    let at: SocketAddr = (Ipv4Addr::UNSPECIFIED, 8080).into();
    let bound = match behind {
        Behind::InProcess => Some(pod.serve_http(at, Arc::new(node_port::Native))?),
        Behind::Socket => {
            running.spawn(serve(pod.bind_tcp(at)?.listen(128)?));
            None
        }
    };
    node_port::describe(&client, None, 1).await?;
    describe(&client).await?;

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let config =
        NetmeshConfig { node_name: "bench".into(), node_port_address: address.ip(), host_address: address.ip() };
    let stop = CancellationToken::new();
    running.spawn(Services::new(client.clone(), mesh.clone(), config).run(stop.clone()));
    let gateway = Gateway::new(client, mesh, config_of(listener))?;
    running.spawn(gateway.run(stop));
    client::until_answered(address).await?;
    Ok(Running { address, _pod: pod, _bound: bound, _running: running })
}

fn config_of(http: TcpListener) -> GatewayConfig {
    GatewayConfig {
        controller: "example.com/bench".into(),
        http: Some(http),
        https: None,
        announcement: Announcement { node: "bench".into(), annotation: "example.com/bench", addresses: String::new() },
        limits: Default::default(),
        timeouts: Default::default(),
        access_log: None,
    }
}

async fn describe(client: &Client) -> Result<()> {
    let class = json!({ "metadata": { "name": "bench" }, "spec": { "controller": "example.com/bench" } });
    let class: IngressClass = serde_json::from_value(class)?;
    let ingress = json!({
        "metadata": { "name": "hello" },
        "spec": {
            "ingressClassName": "bench",
            "rules": [{ "host": "bench", "http": { "paths": [{
                "path": "/", "pathType": "Prefix", "backend": { "service": { "name": "hello", "port": { "name": "http" } } },
            }] } }],
        },
    });
    let ingress: Ingress = serde_json::from_value(ingress)?;
    Api::all(client.clone()).create(&Default::default(), &class).await?;
    Api::default_namespaced(client.clone()).create(&Default::default(), &ingress).await?;
    Ok(())
}

/// The server of `native.rs`, at a socket of a Pod.
async fn serve(listener: Box<dyn PodListener>) {
    let mut connections = JoinSet::new();
    while let Ok(connection) = std::future::poll_fn(|cx| listener.poll_accept(cx)).await {
        connections.spawn(async move {
            let service = service_fn(async |_| {
                Ok::<_, std::convert::Infallible>(http::Response::new(Full::new(Bytes::from_static(
                    b"Hello, world!\n",
                ))))
            });
            // A client that leaves is no failure of the server.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(PodStream::from(connection)), service).await;
        });
    }
}
