//! Endpoints behind a Service of an API server, asked through the Service's node port.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use carob_apiserver::{ApiServer, Config};
use carob_net::{Answer, Body, HttpBound, HttpService, Network, Networks, Workload};
use carob_netmesh::{Mesh, MeshConfig, NetmeshConfig, Services};
use carob_store::Memory;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{Api, Client};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::objects;

/// A node port that is listened to until this is dropped.
pub(crate) struct NodePort {
    pub(crate) address: SocketAddr,
    _pods: Vec<(Box<dyn HttpBound>, Arc<dyn Network>)>,
    _running: JoinSet<()>,
}

/// Puts `services` behind a node port.
pub(crate) async fn start(services: Vec<Arc<dyn HttpService>>) -> Result<NodePort> {
    let api = ApiServer::new(Arc::new(Memory::new()), Config::default()).await?;
    let client = Client::new(api.client(objects::admin()), "default");
    let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), free_node_port().await?);
    let mesh = Mesh::new(MeshConfig::default());
    let pods = services.into_iter().enumerate().map(|(number, service)| serve(&mesh, number, service));
    let pods = pods.collect::<Result<Vec<_>>>()?;
    describe(&client, Some(address.port()), pods.len()).await?;

    let config =
        NetmeshConfig { node_name: "bench".into(), node_port_address: address.ip(), host_address: address.ip() };
    let mut running = JoinSet::new();
    running.spawn(Services::new(client, mesh, config).run(CancellationToken::new()));
    while TcpStream::connect(address).await.is_err() {
        tokio::task::yield_now().await;
    }
    Ok(NodePort { address, _pods: pods, _running: running })
}

/// One that answers by itself, with the greeting of `native.rs`.
pub(crate) struct Native;

impl HttpService for Native {
    fn call(&self, _request: Request<Body>) -> Answer {
        let greeting = Full::new(Bytes::from_static(b"Hello, world!\n"));
        Box::pin(async { Ok(Response::new(greeting.map_err(|never| match never {}).boxed_unsync())) })
    }

    fn load(&self) -> usize {
        0
    }
}

async fn free_node_port() -> Result<u16> {
    for port in 30000..32768 {
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.is_ok() {
            return Ok(port);
        }
    }
    anyhow::bail!("every node port of 127.0.0.1 is in use")
}

/// A Pod that serves HTTP.
fn serve(mesh: &Mesh, number: usize, service: Arc<dyn HttpService>) -> Result<(Box<dyn HttpBound>, Arc<dyn Network>)> {
    let workload = Workload {
        namespace: "default".into(),
        name: format!("hello-{number}"),
        addresses: vec![pod(number).into()],
        hosts: vec![],
        names: Default::default(),
    };
    let network = mesh.join(workload)?;
    Ok((network.serve_http((Ipv4Addr::UNSPECIFIED, 8080).into(), service)?, network))
}

pub(super) fn pod(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 244, 0, number as u8 + 1)
}

/// Tells the API of the Service and its ready Pods.
pub(super) async fn describe(client: &Client, node_port: Option<u16>, pods: usize) -> Result<()> {
    let service = json!({
        "metadata": { "name": "hello" },
        "spec": {
            "type": if node_port.is_some() { "NodePort" } else { "ClusterIP" },
            "ports": [{ "name": "http", "port": 80, "nodePort": node_port }],
        },
    });
    let ready: Vec<_> = (0..pods).map(|number| json!({ "addresses": [pod(number)] })).collect();
    let slice = json!({
        "metadata": { "name": "hello-1", "labels": { "kubernetes.io/service-name": "hello" } },
        "addressType": "IPv4", "ports": [{ "name": "http", "port": 8080 }], "endpoints": ready,
    });
    let service: Service = serde_json::from_value(service)?;
    let slice: EndpointSlice = serde_json::from_value(slice)?;
    Api::default_namespaced(client.clone()).create(&Default::default(), &service).await?;
    Api::default_namespaced(client.clone()).create(&Default::default(), &slice).await?;
    Ok(())
}
