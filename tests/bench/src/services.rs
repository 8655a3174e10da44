//! Many Services: how soon a change of one endpoint takes effect, and what a connection through the table costs, each beside
//! a table with few. Neither may depend on how many there are.

use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use carob_apiserver::{ApiServer, Config};
use carob_net::{Names, Network, Networks, TcpListener, TcpOptions, Workload};
use carob_netmesh::{Mesh, MeshConfig, NetmeshConfig, Services};
use carob_store::Memory;
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::measure::Load;
use crate::objects;
use crate::table::{Row, Target};

/// What a turn measures of each table.
const CHANGES: usize = 100;
const CONNECTIONS: usize = 2_000;
const TURNS: usize = 3;
/// Objects that are created at once.
const AT_ONCE: usize = 64;
/// The Service that is measured: lists end with it.
const MEASURED: &str = "zzz";
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) async fn run() -> Result<Vec<Row>> {
    let [mut one, mut few, mut many] = [Scene::of(1).await?, Scene::of(100).await?, Scene::of(10_000).await?];
    for _ in 0..TURNS {
        for scene in [&mut one, &mut few, &mut many] {
            scene.change().await?;
            scene.connect().await?;
        }
    }
    let (changed, changed_few) = (many.changes.quantile(0.5), few.changes.quantile(0.5));
    let (cost, cost_one) = (many.connections.quantile(0.5), one.connections.quantile(0.5));
    Ok(vec![
        Row {
            what: "10,000 Services: one endpoint's change takes effect, p50",
            unit: "ms",
            ours: changed,
            floor_is: "with 100 Services",
            floor: changed_few,
            target: Target::AtMost(1.25),
        },
        Row {
            what: "10,000 Services: a connection through one, p50",
            unit: "us",
            ours: cost * 1e3,
            floor_is: "with 1 Service",
            floor: cost_one * 1e3,
            target: Target::AtMost(1.25),
        },
    ])
}

/// A node with so many Services, and two Pods that one of them leads to in turn.
struct Scene {
    api: Api<EndpointSlice>,
    service: SocketAddr,
    servers: [Server; 2],
    client: Arc<dyn Network>,
    /// Which of the servers is behind the Service.
    behind: usize,
    changes: Load,
    connections: Load,
    _running: JoinSet<()>,
}

struct Server {
    listener: Box<dyn TcpListener>,
    _network: Arc<dyn Network>,
}

impl Scene {
    async fn of(services: usize) -> Result<Scene> {
        let server = ApiServer::new(Arc::new(Memory::new()), Config::default()).await?;
        let client = Client::new(server.client(objects::admin()), "default");
        let others = (1..services).map(|number| format!("service-{number:05}"));
        let names: Vec<String> = others.chain([MEASURED.to_owned()]).collect();
        let created = stream::iter(names).map(|name| describe(&client, name)).buffer_unordered(AT_ONCE);
        created.try_collect::<Vec<()>>().await?;
        let mesh = Mesh::new(MeshConfig::default());
        let host = Ipv4Addr::LOCALHOST.into();
        let config = NetmeshConfig { node_name: "bench".into(), node_port_address: host, host_address: host };
        let mut running = JoinSet::new();
        running.spawn(Services::new(client.clone(), mesh.clone(), config).run(CancellationToken::new()));
        let measured = Api::<Service>::default_namespaced(client.clone()).get(MEASURED).await?;
        let ip: Ipv4Addr = measured.spec.and_then(|spec| spec.cluster_ip).context("it has an address")?.parse()?;
        let mut scene = Scene {
            api: Api::default_namespaced(client),
            service: (ip, 80).into(),
            servers: [serve(&mesh, 0)?, serve(&mesh, 1)?],
            client: join(&mesh, 2)?,
            behind: 0,
            changes: Load::EMPTY,
            connections: Load::EMPTY,
            _running: running,
        };
        scene.until_met(0).await?;
        Ok(scene)
    }

    /// From the write's beginning until flows go to the other server.
    async fn change(&mut self) -> Result<()> {
        let (mut latencies, all) = (Vec::with_capacity(CHANGES), Instant::now());
        for _ in 0..CHANGES {
            let other = 1 - self.behind;
            let patch = json!({ "endpoints": [{ "addresses": [pod(other)] }] });
            let begun = Instant::now();
            self.api.patch(MEASURED, &PatchParams::default(), &Patch::Merge(patch)).await?;
            self.until_met(other).await?;
            latencies.push(begun.elapsed());
            self.behind = other;
        }
        self.changes.add(Load::new(latencies, all.elapsed()));
        Ok(())
    }

    /// From the connect until the server has it.
    async fn connect(&mut self) -> Result<()> {
        let (mut latencies, all) = (Vec::with_capacity(CONNECTIONS), Instant::now());
        for _ in 0..CONNECTIONS {
            let begun = Instant::now();
            let _near = self.client.bind_tcp(ANY)?.connect(self.service, TcpOptions::default()).await?;
            let listener = &self.servers[self.behind].listener;
            let _far = poll_fn(|cx| listener.poll_accept(cx)).await?;
            latencies.push(begun.elapsed());
        }
        self.connections.add(Load::new(latencies, all.elapsed()));
        Ok(())
    }

    /// Connects until this server gets the connection.
    async fn until_met(&mut self, server: usize) -> Result<()> {
        let begun = Instant::now();
        loop {
            let connected = self.client.bind_tcp(ANY)?.connect(self.service, TcpOptions::default()).await;
            let listeners = self.servers.each_ref().map(|server| &server.listener);
            let met = poll_fn(|cx| Poll::Ready(listeners.map(|listener| listener.poll_accept(cx).is_ready()))).await;
            if connected.is_ok() && met[server] {
                return Ok(());
            }
            ensure!(begun.elapsed() < PATIENCE, "the change took no effect in {PATIENCE:?}");
            tokio::task::yield_now().await;
        }
    }
}

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

fn join(mesh: &Mesh, number: usize) -> Result<Arc<dyn Network>> {
    let workload = Workload {
        namespace: "default".into(),
        name: format!("pod-{number}"),
        addresses: vec![pod(number).into()],
        hosts: vec![],
        names: Names::default(),
    };
    Ok(mesh.join(workload)?)
}

fn serve(mesh: &Mesh, number: usize) -> Result<Server> {
    let network = join(mesh, number)?;
    let listener = network.bind_tcp((Ipv4Addr::UNSPECIFIED, 8080).into())?.listen(16)?;
    Ok(Server { listener, _network: network })
}

fn pod(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 244, 0, number as u8 + 1)
}

/// Tells the API of a Service with one endpoint.
async fn describe(client: &Client, name: String) -> Result<()> {
    let service = json!({ "metadata": { "name": name }, "spec": { "ports": [{ "name": "tcp", "port": 80 }] } });
    let slice = json!({
        "metadata": { "name": name, "labels": { "kubernetes.io/service-name": name } },
        "addressType": "IPv4", "ports": [{ "name": "tcp", "port": 8080 }], "endpoints": [{ "addresses": [pod(0)] }],
    });
    let service: Service = serde_json::from_value(service)?;
    let slice: EndpointSlice = serde_json::from_value(slice)?;
    Api::default_namespaced(client.clone()).create(&Default::default(), &service).await?;
    Api::default_namespaced(client.clone()).create(&Default::default(), &slice).await?;
    Ok(())
}
