//! A whole cluster in this process: how long a Deployment takes from none to 1,000 Ready, and what it holds in memory.
//!
//! It has to run before the other benchmarks: memory that they used once would be used again, and not be seen.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use carob_apiserver::{ApiServer, Config, Identity};
use carob_engine::{Engine, EngineConfig};
use carob_netmesh::{Mesh, MeshConfig};
use carob_node::images::ImageStore;
use carob_node::{Node, NodeConfig};
use carob_reconcile::Informers;
use carob_store::Redb;
use futures::future::try_join_all;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Node as NodeObject, Pod};
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::floor::GroupCommit;
use crate::table::{Row, Target};

const PODS: usize = 1_000;
const IMAGE: &[u8] = include_bytes!("../../../samples/dist/hello-http.wasm");

pub(crate) async fn run() -> Result<Vec<Row>> {
    let dir = tempfile::tempdir()?;
    let bare = resident()?;
    let cluster = Cluster::start(dir.path()).await?;
    let idle = resident()?;
    let begun = Instant::now();
    cluster.scale(PODS).await?;
    cluster.ready(PODS).await?;
    let took = begun.elapsed();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let full = resident()?;
    let object = cluster.object().await?;
    let floor = three_commits_each(dir.path(), &object).await?;
    Ok(vec![
        row(
            "Deployment, 0 to 1,000 Ready",
            "s",
            took.as_secs_f64(),
            "3 group commits for each Pod",
            floor.as_secs_f64(),
        ),
        row("resident, idle cluster", "MiB", idle / MIB, "this process before it", bare / MIB),
        row("resident, for each idle HTTP Pod", "KiB", (full - idle) / 1024.0 / PODS as f64, "its JSON", kib(&object)),
    ])
}

const MIB: f64 = 1024.0 * 1024.0;

fn kib(bytes: &[u8]) -> f64 {
    bytes.len() as f64 / 1024.0
}

fn row(what: &'static str, unit: &'static str, ours: f64, floor_is: &'static str, floor: f64) -> Row {
    Row { what, unit, ours, floor_is, floor, target: Target::None }
}

/// Resident memory of this process, in bytes.
fn resident() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS is in it")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? * 1024.0)
}

/// What no implementation can do without: each Pod is created, bound and reported, one after the other.
async fn three_commits_each(dir: &Path, object: &[u8]) -> Result<Duration> {
    let log = GroupCommit::open(&dir.join("floor"))?;
    let begun = Instant::now();
    let pod = async || {
        for _ in 0..3 {
            log.append(object.to_vec()).await?;
        }
        anyhow::Ok(())
    };
    try_join_all((0..PODS).map(|_| pod())).await?;
    Ok(begun.elapsed())
}

/// The parts as `carob up` wires them, but for sockets. Dropping it ends them.
struct Cluster {
    admin: Client,
    _parts: JoinSet<()>,
}

impl Cluster {
    async fn start(dir: &Path) -> Result<Cluster> {
        let store = Redb::open(&dir.join("store.redb"), carob_store::Options::default())?;
        let api = ApiServer::new(Arc::new(store), Config::default()).await?;
        let door = api.clone();
        let client =
            move |user: &str| Client::new(door.client(Identity::user(user).group("system:masters")), "default");
        let stop = CancellationToken::new();
        let mut parts = JoinSet::new();
        let informers = Arc::new(Informers::new(client("system:kube-controller-manager")));
        let (scheduler, shared, token) = (client("system:kube-scheduler"), informers.clone(), stop.clone());
        parts.spawn(async move { carob_scheduler::run(scheduler, &shared, token).await });
        let (clients, token) = (client.clone(), stop.clone());
        let config = carob_controllers::Config { ca_pem: String::new() };
        parts.spawn(async move { carob_controllers::run(clients, &informers, config, token).await });
        let images = ImageStore::open(dir.join("images"))?;
        images.load(IMAGE, "hello-http")?;
        let engine = Engine::new(EngineConfig::new(dir.join("compiled")))?;
        let config = NodeConfig::new("node", dir.join("node"), images, IpAddr::V4(Ipv4Addr::LOCALHOST));
        let mesh = Mesh::new(MeshConfig::default());
        let endpoints = mesh.endpoints().clone();
        let node = Node::new(client("system:node:node"), engine, Arc::new(mesh), endpoints, config);
        parts.spawn(async move { node.run(stop).await });
        let cluster = Cluster { admin: client("admin"), _parts: parts };
        cluster.settle().await?;
        Ok(cluster)
    }

    /// Waits for the node, then has one Pod run, so that the image is compiled.
    async fn settle(&self) -> Result<()> {
        let nodes: Api<NodeObject> = Api::all(self.admin.clone());
        while nodes.get_opt("node").await?.and_then(|node| node.status?.conditions).is_none() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.deployments().create(&PostParams::default(), &deployment()?).await?;
        self.scale(1).await?;
        self.ready(1).await?;
        self.scale(0).await?;
        while !self.pods().await?.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    async fn scale(&self, replicas: usize) -> Result<()> {
        let patch = Patch::Merge(json!({ "spec": { "replicas": replicas } }));
        self.deployments().patch("many", &PatchParams::default(), &patch).await?;
        Ok(())
    }

    async fn ready(&self, replicas: usize) -> Result<()> {
        loop {
            let status = self.deployments().get("many").await?.status.unwrap_or_default();
            if status.ready_replicas == Some(i32::try_from(replicas)?) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn object(&self) -> Result<Vec<u8>> {
        let pods = self.pods().await?;
        Ok(serde_json::to_vec(pods.first().context("there are Pods")?)?)
    }

    async fn pods(&self) -> Result<Vec<Pod>> {
        let pods: Api<Pod> = Api::default_namespaced(self.admin.clone());
        Ok(pods.list(&ListParams::default()).await?.items)
    }

    fn deployments(&self) -> Api<Deployment> {
        Api::default_namespaced(self.admin.clone())
    }
}

fn deployment() -> Result<Deployment> {
    let labels = json!({ "app": "many" });
    let container = json!({ "name": "web", "image": "hello-http", "imagePullPolicy": "IfNotPresent" });
    Ok(serde_json::from_value(json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "many" },
        "spec": {
            "replicas": 0,
            "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": { "containers": [container] } },
        },
    }))?)
}
